"""Answers as JSON shows them, and refusals in words. Made when they are sent: a decision does not wait for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from finops.budgets.bank import Standing
from finops.core.money import pico_text
from finops.ingest.records import Held
from routing.gateway.house import Concern, House

# Of a hold that bounds no output: nothing is held, and nobody asked for a bound.
UNBOUNDED: Final = -1


class Budgets(NamedTuple):
    """How the budgets of a call stood when it was decided, as last heard of."""

    house: House
    concerns: tuple[Concern, ...]
    standings: tuple[Standing | None, ...]

    def shown(self) -> list[dict[str, Any]]:
        pairs = zip(self.concerns, self.standings, strict=True)
        return [budget_shown(self.house, concern, standing) for concern, standing in pairs]


class Settlement(NamedTuple):
    """What a call came to; no `cost` where nobody knows its price."""

    held: Held
    currency: str
    cost: int | None
    beyond: int

    def shown(self) -> dict[str, Any]:
        held = self.held
        return {
            "id": held.id,
            "cost": None if self.cost is None else pico_text(self.cost),
            "currency": self.currency,
            "held": pico_text(held.amount if held.accounts else 0),
            "beyond": pico_text(self.beyond if held.accounts else 0),
        }


class Allowance(NamedTuple):
    """A call that was allowed: what the journal has of it, what output it asked for, and how its budgets stood."""

    held: Held
    currency: str
    wanted: int
    downgraded_from: str = ""
    budgets: Budgets | None = None

    def shown(self) -> dict[str, Any]:
        held = self.held
        return {
            "id": held.id,
            "allowed": True,
            "held": pico_text(held.amount if held.accounts else 0),
            "currency": self.currency,
            "max_output_tokens": None if held.output == UNBOUNDED else held.output // held.turns,
            "clamped": held.output < self.wanted,
            "model": held.event.model,
            "downgraded_from": self.downgraded_from or None,
            "expires_at": held.expires_at,
            "headroom": self.budgets.shown() if self.budgets else [],
        }


def budget_shown(house: House, concern: Concern, standing: Standing | None) -> dict[str, Any]:
    """How a budget stands, as last heard of."""
    terms, account = concern
    shown: dict[str, Any] = {
        "budget_id": terms.budget_id,
        "budget": house.names.get(terms.budget_id, ""),
        "subject": account.subject,
        "resets_at": house.ends_at(concern),
    }
    if standing is not None:
        shown |= {
            "limit": pico_text(standing.limit),
            "spent": pico_text(standing.authorised + standing.observed),
            "held": pico_text(standing.leased),
            "left": pico_text(max(standing.free, 0)),
        }
    return shown


def budget_details(concern: Concern, standing: Standing | None) -> dict[str, Any]:
    """As `budget_shown`, without anybody's name: for signals."""
    details: dict[str, Any] = {
        "budget_id": concern.terms.budget_id,
        "subject": concern.account.subject,
        "period_starts_at": concern.account.start.isoformat(),
    }
    if standing is not None:
        spent = pico_text(standing.authorised + standing.observed)
        details |= {"limit": pico_text(standing.limit), "spent": spent, "held": pico_text(standing.leased)}
    return details


def exceeded(budgets: Sequence[Mapping[str, Any]], currency: str, worst: str) -> str:
    """Why a call is refused: which budgets are short, and by what."""
    if not budgets:
        return "A budget of this call has no account."
    first = budgets[0]
    name = first["budget"] + (f" of {first['subject']}" if first["subject"] else "")
    others = f" (and {len(budgets) - 1} more)" if len(budgets) > 1 else ""
    if "limit" not in first:
        return f"The budget {name}{others} cannot be asked."
    resets = f" It begins anew at {first['resets_at']:%Y-%m-%d %H:%M} UTC." if first["resets_at"] else ""
    return (
        f"The budget {name}{others} has {_short(first['left'])} {currency} left of {_short(first['limit'])}: "
        f"{_short(first['spent'])} is spent and {_short(first['held'])} held by calls under way. This call may cost "
        f"{_short(worst)}.{resets} Ask for more at /api/v1/increases."
    )


def _short(amount: str) -> str:
    """Without zeros that say nothing: `1.500000000000` is `1.50`."""
    whole, _, places = amount.partition(".")
    return f"{whole}.{places.rstrip('0').ljust(2, '0')}"
