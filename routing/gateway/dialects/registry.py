"""Which dialect is spoken at a path. What is not here is refused: nothing passes unmetered."""

from __future__ import annotations

from typing import Final

from routing.gateway.dialects.anthropic_messages import CountTokens, Messages
from routing.gateway.dialects.openai_audio import Speech, Transcriptions, Translations
from routing.gateway.dialects.openai_chat import Chat
from routing.gateway.dialects.openai_completions import Completions
from routing.gateway.dialects.openai_embeddings import Embeddings
from routing.gateway.dialects.openai_images import Edits, Generations
from routing.gateway.dialects.openai_responses import Responses
from routing.gateway.dialects.types import Dialect

_OPENAI: Final[tuple[Dialect, ...]] = (
    Chat(), Responses(), Embeddings(), Completions(), Generations(), Edits(),
    Speech(), Transcriptions(), Translations(),
)  # fmt: skip
_ANTHROPIC: Final[tuple[Dialect, ...]] = (Messages(), CountTokens())
# Clients have the version in their base URL or leave it out; some name the family before it.
_OPENAI_PREFIXES: Final = ("", "/v1", "/openai", "/openai/v1")
_ANTHROPIC_PREFIXES: Final = ("", "/anthropic")
_BY_PATH: Final = {
    **{prefix + dialect.path: dialect for prefix in _OPENAI_PREFIXES for dialect in _OPENAI},
    **{prefix + dialect.path: dialect for prefix in _ANTHROPIC_PREFIXES for dialect in _ANTHROPIC},
}
DIALECTS: Final = {dialect.name: dialect for dialect in (*_OPENAI, *_ANTHROPIC)}


def by_path(path: str, family: str = "") -> Dialect | None:
    """`path` without its query. `family` is which one the caller is known to speak; '' is either."""
    found = _BY_PATH.get(path.rstrip("/"))
    return found if found is not None and family in ("", found.family) else None
