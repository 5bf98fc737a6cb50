"""How many tokens a request is: a rule that a test can do in its head."""

from __future__ import annotations

from typing import Any, Final

# What the model reads, in any dialect. Pictures and sound count nothing: a test says `input_tokens` where it matters.
_READ: Final = ("messages", "input", "system", "instructions", "tools", "prompt")
_MEDIA: Final = frozenset({"data", "url", "image_url", "file_data"})
BYTES_PER_TOKEN: Final = 4


def tokens_of(body: dict[str, Any]) -> int:
    """A token for each four bytes begun of all texts in UTF-8, names of fields aside; at least one."""
    size = sum(_bytes(body[name]) for name in _READ if name in body)
    return max(1, -(-size // BYTES_PER_TOKEN))


def _bytes(value: Any) -> int:
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, list):
        return sum(map(_bytes, value))
    if isinstance(value, dict):
        return sum(_bytes(one) for name, one in value.items() if name not in _MEDIA)
    return 0


def words(count: int, since: int = 0) -> str:
    """A word is a token. No two alike in a row: LiteLLM takes a hundred of those for a model gone mad."""
    return "".join([f"word{number % 7} " for number in range(since, since + count)])
