"""The file that `capstan gateway --init` writes."""

from __future__ import annotations

from typing import Final

SAMPLE: Final = """\
# Capstan's gateway on this machine: `capstan gateway` reads this file, and takes it again whenever it is saved.
# Everything there is to say: docs/guides/laptop.md

[organization]                  # optional
name = "My laptop"
currency = "USD"                # what prices and limits below are in; it stays once something was charged

[attribution]                   # optional: what calls may name in x-capstan-project and x-capstan-agent
projects = ["default"]
agents = []

# --- Where models run. A preset knows the address; name the models, or say "any". -------------------------------------

[[upstreams]]                   # Ollama, http://localhost:11434/v1
preset = "ollama"
models = ["llama3.2", { name = "small", upstream_model = "qwen3:0.6b" }]

# [[upstreams]]                 # vLLM and whatever else speaks OpenAI's API
# name = "vllm"
# base_url = "http://localhost:8000/v1"
# models = ["Qwen/Qwen3-8B"]
# labels = ["local"]

# [[upstreams]]                 # a provider; its credential is named, never written here
# preset = "openai"             # or anthropic, openrouter, azure, deepseek, zai, together, fireworks, mistral, groq
# credential_env = "OPENAI_API_KEY"       # or credential_file = "~/.config/openai.key"

# --- What may be spent. Calls past a hard limit are refused before they are made. -------------------------------------

[[budgets]]
name = "This month"
limit = 20.00
period = "month"                # day, week, month, quarter, year, total
enforcement = "hard"            # or alert, which tells and refuses nothing

# [[budgets]]
# name = "Each agent a day"
# limit = 2.00
# period = "day"
# each = "agent"                # or project, model, session …: a limit for each of them

# --- What local models cost, for a million tokens. 0 is a price; a hard budget refuses a model without one. -----------

[[prices]]
upstream = "ollama"             # of every model named there; or add model = "llama3.2"
input = 0
output = 0
"""
