"""What an engineer writes to point a client at the gateway: the client they have, one address changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# What stands where the key goes.
KEY: Final = "cap_your_key"
_OPENAI_MODEL: Final = "gpt-5-mini"
_ANTHROPIC_MODEL: Final = "claude-sonnet-4-5"


@dataclass(frozen=True, slots=True)
class Client:
    """`where` says where `lines` are written. `{openai}` and `{anthropic}` in them are the base URLs."""

    key: str
    name: str
    where: str
    lines: str

    def at(self, gateway: str) -> str:
        said = self.lines.replace("{openai}", f"{gateway}/v1").replace("{anthropic}", gateway)
        return said.replace("{key}", KEY).replace("{gpt}", _OPENAI_MODEL).replace("{claude}", _ANTHROPIC_MODEL)


CLIENTS: Final = (
    Client(
        "openai", "OpenAI SDK", "in Python; elsewhere OPENAI_BASE_URL and OPENAI_API_KEY do the same",
        """from openai import OpenAI
client = OpenAI(base_url="{openai}", api_key="{key}")
client.responses.create(model="{gpt}", input="Hello")""",
    ),
    Client(
        "anthropic", "Anthropic SDK", "in Python; elsewhere ANTHROPIC_BASE_URL and ANTHROPIC_AUTH_TOKEN do the same",
        """from anthropic import Anthropic
client = Anthropic(base_url="{anthropic}", api_key="{key}")
client.messages.create(model="{claude}", max_tokens=100, messages=[{"role": "user", "content": "Hello"}])""",
    ),
    Client(
        "claude-code", "Claude Code", "in the shell, or under env in ~/.claude/settings.json",
        """export ANTHROPIC_BASE_URL={anthropic}
export ANTHROPIC_AUTH_TOKEN={key}
claude""",
    ),
    Client(
        "codex", "Codex", "in ~/.codex/config.toml, with CAPSTAN_KEY set in the shell",
        """model_provider = "capstan"
web_search = "disabled"  # Codex bounds it by nothing, so hard budgets hold much for it
[model_providers.capstan]
name = "Capstan"
base_url = "{openai}"
env_key = "CAPSTAN_KEY"
wire_api = "responses\"""",
    ),
    Client(
        "aider", "Aider", "in the shell",
        """export OPENAI_API_BASE={openai}
export OPENAI_API_KEY={key}
aider --model openai/{gpt}""",
    ),
    Client(
        "opencode", "opencode", "in opencode.json, with CAPSTAN_KEY set in the shell",
        """{"$schema": "https://opencode.ai/config.json",
 "provider": {"capstan": {"npm": "@ai-sdk/openai-compatible", "name": "Capstan",
  "options": {"baseURL": "{openai}", "apiKey": "{env:CAPSTAN_KEY}"}, "models": {"{gpt}": {}}}}}""",
    ),
    Client(
        "langchain", "LangChain", "in Python",
        """from langchain_openai import ChatOpenAI
model = ChatOpenAI(model="{gpt}", base_url="{openai}", api_key="{key}")
model.invoke("Hello")""",
    ),
    Client(
        "curl", "curl", "in the shell",
        """curl {openai}/chat/completions \\
  -H "Authorization: Bearer {key}" -H "Content-Type: application/json" \\
  -d '{"model": "{gpt}", "messages": [{"role": "user", "content": "Hello"}]}'""",
    ),
)  # fmt: skip
