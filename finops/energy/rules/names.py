"""Which model a name is, whoever serves it: names of hosts and gateways brought to the one that its maker gave. Pure.

Nothing is guessed: what is left has to be a name that is known, or it stays unknown until somebody says a figure.
"""

from __future__ import annotations

import re
from typing import Final

# `global.anthropic.claude-…-v1:0` as AWS writes it, `models/…` and `@cf/meta/…` as others do.
_REGION: Final = re.compile(r"^(?:global|regional|us|eu|apac|jp|au)\.")
_MAKER: Final = re.compile(r"^(?:anthropic|openai|google|meta|mistral|cohere|deepseek|qwen|moonshotai|zai|nvidia)\.")
# How it is sold, which changes no parameter: `:batch`, `:free`; and AWS's own numbering.
_SOLD: Final = re.compile(r":(?:batch|free|extended)$")
_NUMBERED: Final = re.compile(r"(?:-v\d+:\d+|-\d+:\d+|-v\d+)$")


def plain(name: str) -> str:
    """The name without who serves it, in lower case; `4.5` and `4-5` are one."""
    found = name.strip().lower().rsplit("/", 1)[-1]
    found = _SOLD.sub("", found)
    if _REGION.match(found) or _MAKER.match(found):
        found = _MAKER.sub("", _REGION.sub("", found))
        found = _NUMBERED.sub("", found)
    return found.replace(".", "-")
