"""What a person said of an account besides its credential, as its feeds need it. Each raises RequestRefused, which
names what is missing or cannot be: nothing is asked of anybody with it.
"""

from __future__ import annotations

import re
from typing import Final

from finops.connectors.fetching import Access, RequestRefused

# Stands in an address, so nothing that would lead elsewhere.
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_LONGEST_FOLDER: Final = 500
_PRICE: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,12})?")
_YES: Final = frozenset({"yes", "true", "1", "on"})


def needed(access: Access, name: str) -> str:
    found = access.settings.get(name, "").strip()
    if not found:
        raise RequestRefused(f"the setting {name!r} is needed")
    return found


def slug(access: Access, name: str) -> str:
    """The name of an organization and the like; '' where it is not said."""
    found = access.settings.get(name, "").strip()
    if found and not _NAME.fullmatch(found):
        raise RequestRefused(f"the setting {name!r} is no name: letters, digits, '.', '_' and '-'")
    return found


def folder(access: Access, name: str) -> str:
    """Where something lies in a store, with its last slash: `logs/bedrock/`; '' where it is not said."""
    found = access.settings.get(name, "").strip().strip("/")
    if len(found) > _LONGEST_FOLDER or not found.isprintable():
        raise RequestRefused(f"the setting {name!r} is no folder, like logs/bedrock")
    return f"{found}/" if found else ""


def price(access: Access, name: str) -> str:
    """A price as text, like 2.25."""
    found = needed(access, name)
    if not _PRICE.fullmatch(found):
        raise RequestRefused(f"the setting {name!r} is no price, like 2.25")
    return found


def currency(access: Access, name: str = "currency") -> str:
    """Three letters; USD where it is not said."""
    found = access.settings.get(name, "").strip().upper() or "USD"
    if len(found) != 3 or not found.isascii() or not found.isalpha():
        raise RequestRefused(f"the setting {name!r} is no currency, like USD")
    return found


def flag(access: Access, name: str) -> bool:
    """Whether it was said to be so."""
    return access.settings.get(name, "").strip().lower() in _YES
