"""Who and what a call was for, as a tool's free fields tell it. Pure.

Such a field says nothing where it is bent, because an odd tag is no reason to hold a charge. What is money is read by
`foreign` instead, where a bent field is a Problem.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from finops.connectors.foreign import plain
from finops.connectors.wording import clean

LONGEST: Final = 300
_MOST_DIGITS: Final = 60
# One of each kind, in the order they decide.
_KINDS: Final = ("email", "provider_user", "github", "key_alias")


def words(value: Any) -> str:
    """A single value as text, cut to 300 characters; '' for what is none."""
    if isinstance(value, str):
        return clean(value.strip()[:LONGEST])
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if abs(value) < 10**_MOST_DIGITS else ""
    if isinstance(value, Decimal) and value.is_finite() and abs(value.adjusted()) < _MOST_DIGITS:
        return plain(value)
    return ""


def first(*values: Any) -> str:
    """The first that says something."""
    return next((found for value in values if (found := words(value))), "")


def mapping(value: Any) -> Mapping[str, Any]:
    """An object, or an empty one."""
    return value if isinstance(value, Mapping) else {}


def pairs(told: Any) -> Iterator[tuple[str, str]]:
    """An object's single values, its keys in lower case."""
    for name, value in mapping(told).items():
        said = words(value)
        if said:
            yield words(name).lower(), said


def identities(**told: str) -> tuple[tuple[str, str], ...]:
    """By their kinds, one of each. Tools' user ids are mail addresses as often as not: one that is names by it."""
    user = told.get("provider_user", "")
    if user and not told.get("email") and _is_address(user):
        told["email"] = user
    return tuple([(kind, told[kind]) for kind in _KINDS if told.get(kind)])


def _is_address(text: str) -> bool:
    name, sign, place = text.partition("@")
    return bool(name and sign and "." in place and "@" not in place and not any(one.isspace() for one in text))
