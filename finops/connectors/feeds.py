"""Which accounts can be connected, by name, and what can be fetched of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from finops.connectors.anthropic import feeds as anthropic
from finops.connectors.azure import feeds as azure
from finops.connectors.bedrock import feeds as bedrock
from finops.connectors.copilot import feeds as copilot
from finops.connectors.cursor import feeds as cursor
from finops.connectors.devin import feeds as devin
from finops.connectors.fetching import Account, Feed
from finops.connectors.google import feeds as google
from finops.connectors.helicone import feeds as helicone
from finops.connectors.langfuse import feeds as langfuse
from finops.connectors.litellm import feeds as litellm
from finops.connectors.openai import feeds as openai
from finops.connectors.openrouter import feeds as openrouter
from finops.connectors.portkey import feeds as portkey
from finops.connectors.windsurf import feeds as windsurf

ACCOUNTS: Final[Mapping[str, Account]] = {
    one.name: one
    for one in (
        anthropic.ACCOUNT,
        azure.ACCOUNT,
        bedrock.ACCOUNT,
        copilot.ACCOUNT,
        cursor.ACCOUNT,
        devin.ACCOUNT,
        google.ACCOUNT,
        helicone.ACCOUNT,
        langfuse.ACCOUNT,
        litellm.ACCOUNT,
        openai.ACCOUNT,
        openrouter.ACCOUNT,
        portkey.ACCOUNT,
        windsurf.ACCOUNT,
    )
}  # fmt: skip
FEEDS: Final[Mapping[str, Feed]] = {one.name: one for account in ACCOUNTS.values() for one in account.feeds}
