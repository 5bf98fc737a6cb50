"""Hosts that are well known: what to prefill. Nothing of it is a rule; whatever is said instead holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from routing.upstreams.types import Auth, Dialect


@dataclass(frozen=True, slots=True)
class Preset:
    """`name` is what the upstream is first called, `title` what people call the host. `asks` is the word in braces that
    has to be filled into `base_url`; '' where it is whole.
    """

    name: str
    title: str
    dialect: str
    base_url: str
    provider: str
    host: str = ""
    auth: str = Auth.BEARER
    any_model: bool = False
    labels: tuple[str, ...] = ()
    asks: str = ""


_OPENAI: Final = Dialect.OPENAI
_ANTHROPIC: Final = Dialect.ANTHROPIC
PRESETS: Final = (
    Preset("openai", "OpenAI", _OPENAI, "https://api.openai.com/v1", "openai", any_model=True),
    Preset(
        "anthropic", "Anthropic", _ANTHROPIC, "https://api.anthropic.com", "anthropic", auth=Auth.X_API_KEY,
        any_model=True,
    ),
    Preset("openrouter", "OpenRouter", _OPENAI, "https://openrouter.ai/api/v1", "openrouter", any_model=True),
    Preset(
        "azure", "Azure OpenAI", _OPENAI, "https://{resource}.openai.azure.com/openai/v1", "azure", auth=Auth.API_KEY,
        asks="resource",
    ),
    Preset("deepseek", "DeepSeek", _OPENAI, "https://api.deepseek.com/v1", "deepseek"),
    Preset(
        "deepseek-anthropic", "DeepSeek, Anthropic dialect", _ANTHROPIC, "https://api.deepseek.com/anthropic",
        "deepseek", auth=Auth.X_API_KEY,
    ),
    Preset("zai", "Z.ai", _OPENAI, "https://api.z.ai/api/paas/v4", "zai"),
    Preset("zai-anthropic", "Z.ai, Anthropic dialect", _ANTHROPIC, "https://api.z.ai/api/anthropic", "zai"),
    Preset("together", "Together AI", _OPENAI, "https://api.together.xyz/v1", "together"),
    Preset("fireworks", "Fireworks", _OPENAI, "https://api.fireworks.ai/inference/v1", "fireworks"),
    Preset("mistral", "Mistral", _OPENAI, "https://api.mistral.ai/v1", "mistral"),
    Preset("groq", "Groq", _OPENAI, "https://api.groq.com/openai/v1", "groq"),
    Preset("vllm", "vLLM", _OPENAI, "http://localhost:8000/v1", "vllm", auth=Auth.NONE, labels=("local",)),
    Preset("ollama", "Ollama", _OPENAI, "http://localhost:11434/v1", "ollama", auth=Auth.NONE, labels=("local",)),
)  # fmt: skip
BY_NAME: Final = {one.name: one for one in PRESETS}
