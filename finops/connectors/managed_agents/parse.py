"""Reads what running an agent on a provider's machines costs beside its tokens: hours of Claude Managed Agents'
sessions, gigabytes of OpenAI's sandboxes.

A record is our own: what somebody counted, of a session what Anthropic's SDK calls `usage.active_seconds`, and the
price it is paid by. See README.md beside this file.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple

from finops.connectors.foreign import Part, encode, given_cost, key_of, plain, received, tags_of
from finops.connectors.types import NO_COUNTS, Received, UsageEvent

PARSER: Final = "managed_agents"


class Kind(NamedTuple):
    """Whose it is, what it is booked as, and what its quantity is told in; `per` of these are paid for at once."""

    provider: str
    model: str
    unit: str
    per: int


KINDS: Final[Mapping[str, Kind]] = {
    # A second of a session that runs is a 3,600th of its hourly price.
    "claude-session": Kind("anthropic", "managed-agents-session", "seconds", 3600),
    "openai-sandbox": Kind("openai", "agents-sandbox", "gigabytes", 1),
}


def record_of(
    *, kind: str, session: str, started_at: datetime, quantity: Decimal, rate: Decimal, currency: str = "USD",
    account: str = "", agent: str = "",
) -> bytes:  # fmt: skip
    """A session's use as a record for `parse`. `quantity` is in the kind's unit; `rate` is the price of an hour, or of
    a gigabyte.
    """
    said = {
        "kind": kind, "session": session, "started_at": started_at, "quantity": format(quantity, "f"),
        "rate": format(rate, "f"), "currency": currency, "account": account, "agent": agent,
    }  # fmt: skip
    return encode(said)


def parse(raw: bytes) -> Received:
    """One session's use."""
    return received(raw, _event, _name)


def _name(record: Part) -> str:
    return key_of([record.needed("kind"), record.text("account"), record.needed("session")])


def _event(record: Part) -> UsageEvent:
    kind = KINDS.get(record.needed("kind"))
    if kind is None:
        raise record.invalid("kind", f"expected one of {', '.join(sorted(KINDS))}")
    quantity, rate = record.decimal("quantity"), record.decimal("rate")
    if quantity is None or rate is None:
        raise record.missing("quantity" if quantity is None else "rate")
    if quantity < 0 or rate < 0:
        raise record.invalid("quantity" if quantity < 0 else "rate", "it is not below 0")
    return UsageEvent(
        external_id=_name(record),
        occurred_at=record.moment("started_at"),
        provider=kind.provider,
        model=kind.model,
        counts=NO_COUNTS,
        provider_account=record.text("account"),
        session=record.needed("session"),
        evidence="estimated",
        tags=tags_of({kind.unit: plain(quantity), "agent_id": record.text("agent")}),
        cost=given_cost(quantity * rate / kind.per, record.text("currency") or "USD", "rate"),
    )
