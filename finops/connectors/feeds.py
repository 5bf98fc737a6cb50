"""Which accounts can be connected, by name, and what can be fetched of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from finops.connectors.anthropic import feeds as anthropic
from finops.connectors.fetching import Account, Feed
from finops.connectors.openai import feeds as openai
from finops.connectors.openrouter import feeds as openrouter

ACCOUNTS: Final[Mapping[str, Account]] = {
    one.name: one
    for one in (
        anthropic.ACCOUNT,
        openai.ACCOUNT,
        openrouter.ACCOUNT,
    )
}  # fmt: skip


def feed(name: str) -> Feed:
    """Raises KeyError."""
    return FEEDS[name]


FEEDS: Final[Mapping[str, Feed]] = {one.name: one for account in ACCOUNTS.values() for one in account.feeds}
