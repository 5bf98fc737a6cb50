"""Reads Windsurf's balance of credits: POST /api/v1/GetTeamCreditBalance, which only ever says how it stands now.

What was used is the difference of two balances; a record is such a pair. See README.md beside this file.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from finops.connectors.foreign import Part, Wrong, body_of, encode, given_cost, key_of, plain, received, tags_of
from finops.connectors.pages import BodyUnreadable, Page
from finops.connectors.types import NO_COUNTS, Received, UsageEvent

PARSER: Final = "windsurf"
PROVIDER: Final = "windsurf"
_MODEL: Final = "add-on credits"
_WHAT: Final = "Windsurf's balance of credits"


def parse(raw: bytes) -> Received:
    """One record of `cut`: a balance, the one before it, and what a credit costs."""
    return received(raw, _event, _name)


def cut(
    body: bytes,
    *,
    taken_at: datetime,
    before: bytes = b"",
    account: str = "",
    rate: str = "",
    currency: str = "USD",
) -> Page:
    """A balance and the one before it, `before`, as the bodies they came as; no record where nothing was used between
    them. Raises BodyUnreadable.

    `taken_at` is when this balance was asked for. `rate` is the contract's price of one add-on credit as text; without
    it what was used has no price. Without `before` all that was used since the cycle began is told.
    """
    now, then = _balance(body), _balance(before) if before else None
    if then is not None and now == then:
        return Page(())
    head = {"account": account, "rate": rate, "currency": currency, "taken_at": taken_at}
    record = encode({**head, "before": then, "after": now})
    found = parse(record)
    unused = found.event is not None and dict(found.event.tags).get("credits") == "0"
    return Page(() if unused else (record,))


def _balance(body: bytes) -> dict[str, Any]:
    said = body_of(body, _WHAT)
    if "addOnCreditsUsed" not in said:
        raise BodyUnreadable(f"This is not {_WHAT}: it does not say addOnCreditsUsed.")
    return dict(said)


def _begins(record: Part) -> tuple[datetime, Decimal]:
    """The cycle, and how many credits had been used in it where this record begins: none, or as the balance before
    says.

    What was used after the last balance of the cycle before is nowhere told.
    """
    after = record.part("after")
    cycle = after.moment("billingCycleStart")
    if not record.has("before") or record.part("before").moment("billingCycleStart") != cycle:
        return cycle, Decimal(0)
    return cycle, _used(record.part("before"))


def _used(balance: Part) -> Decimal:
    used = balance.decimal("addOnCreditsUsed")
    if used is None:
        raise balance.missing("addOnCreditsUsed")
    if used < 0:
        raise balance.invalid("addOnCreditsUsed", "nothing is used below 0")
    return used


def _name(record: Part) -> str:
    """By where it begins, so that the same credits told again up to another moment are a revision."""
    cycle, begins = _begins(record)
    return key_of([record.text("account"), cycle.isoformat(), plain(begins)])


def _event(record: Part) -> UsageEvent:
    after = record.part("after")
    cycle, begins = _begins(record)
    used = _used(after) - begins
    if used < 0:
        message = "addOnCreditsUsed is less than it was in the same cycle"
        raise Wrong("balance_went_back", "after.addOnCreditsUsed", message)
    rate = record.decimal("rate")
    if rate is not None and rate < 0:
        raise record.invalid("rate", "a price is not below 0")
    seats, pool = after.decimal("numSeats"), after.decimal("promptCreditsPerSeat")
    tags = {
        "credits": plain(used),
        "cycle": cycle.date().isoformat(),
        "included_credits": plain(seats * pool) if seats and pool else "",
    }
    return UsageEvent(
        external_id=_name(record),
        occurred_at=max(cycle, record.moment("taken_at")),
        provider=PROVIDER,
        model=_MODEL,
        counts=NO_COUNTS,
        provider_account=record.text("account"),
        tags=tags_of(tags),
        cost=None if rate is None else given_cost(used * rate, record.text("currency") or "USD", "rate"),
    )
