"""The largest answers of models that refuse to be asked for more, where that is less than most take. From their
providers' pages; the catalogue's releases have no such figure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_SMALLEST: Final = 4_096
_SMALL: Final = 8_192
# By provider and model, as the catalogue calls them.
LARGEST_OUTPUTS: Final[Mapping[tuple[str, str], int]] = {
    **dict.fromkeys(
        [
            ("openai", "gpt-3.5-turbo"), ("openai", "gpt-3.5-turbo-0613"), ("openai", "gpt-3.5-turbo-1106"),
            ("openai", "gpt-3.5-turbo-16k"), ("openai", "gpt-4-turbo"), ("openai", "gpt-4-vision-preview"),
            ("openai", "gpt-4o-2024-05-13"), ("cohere", "command-r"), ("cohere", "command-r-plus"),
            ("cohere", "command-r7b"),
        ],
        _SMALLEST,
    ),
    **dict.fromkeys(
        [
            ("google", "gemini-1.5-flash"), ("google", "gemini-1.5-pro"), ("google", "gemini-2.0-flash"),
            ("google", "gemini-2.0-flash-lite"), ("deepseek", "deepseek-chat"),
        ],
        _SMALL,
    ),
}  # fmt: skip
