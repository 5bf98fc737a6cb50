"""Incidents in words, from what they hold and what things are called. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from finops.alerts.types import Event, Kind

KINDS: Final[Mapping[str, str]] = {
    Kind.THRESHOLD: "Budget thresholds",
    Kind.FORECAST: "Budgets that will not last",
    Kind.ANOMALY: "Unusual spend",
    Kind.UNATTRIBUTED: "Spend that belongs to nobody",
    Kind.UNPRICED: "Calls without a price",
    Kind.QUIET: "Sources gone quiet",
    Kind.CAP: "Caps that refuse",
    Kind.BREAKER: "Breakers that tripped",
    Kind.STOP: "Stops",
    Kind.HOLD: "Calls dearer than their hold",
    Kind.EXPIRED: "Authorizations never settled",
    Kind.BLOCKED: "Keys blocked at their provider",
    Kind.NOT_BLOCKED: "Keys that could not be blocked",
    Kind.STUCK: "Calls that cannot be booked",
    Kind.RULE_PAUSED: "Routing rules that were paused",
    Kind.ROLLED_BACK: "Routing rules that were rolled back",
    Kind.DRIFTING: "Task types named wrongly",
    Kind.CONCENTRATED: "Too much spend with one maker of models",
    Kind.FEED: "Sources that cannot be read",
    Kind.MONTH: "Closed months that changed",
}
EVENTS: Final[Mapping[str, str]] = {
    Event.OPENED: "",
    Event.ESCALATED: "Worse: ",
    Event.RESOLVED: "Over: ",
}
# What of a signal's details is told, and under which name. Limits of breakers are no money, so theirs are not.
_TOLD: Final = {"reason": "Why", "error": "What went wrong", "model": "Model", "until": "Until"}
_AMOUNTS: Final = {"limit": "Limit", "spent": "Spent", "held": "Held", "beyond": "Beyond its hold"}
_OF_MONEY: Final = frozenset({Kind.CAP, Kind.HOLD, Kind.EXPIRED, Kind.BLOCKED, Kind.NOT_BLOCKED})


@dataclass(frozen=True, slots=True)
class Called:
    """What the things of one incident are called; '' for what it does not concern."""

    budget: str
    whose: str
    currency: str

    @property
    def account(self) -> str:
        name = self.budget or "a budget"
        return f"{name}, {self.whose}" if self.whose else name


def told(kind: str, details: Mapping[str, Any], called: Called) -> tuple[str, tuple[str, ...]]:
    """A title and sentences."""
    tell = _TELLERS.get(kind)
    return tell(details, called) if tell else _signal(kind, details, called)


def amount(said: object, currency: str) -> str:
    """`1,234.50 USD`; what is no number is said as it is."""
    try:
        value = Decimal(str(said))
    except InvalidOperation:
        return str(said)[:60]
    if not value.is_finite() or value.adjusted() > 30:
        return str(said)[:60]
    places = 2 if abs(value) >= 1 or not value else 6
    return f"{value:,.{places}f} {currency}"


def _instant(said: object) -> str:
    try:
        return f"{datetime.fromisoformat(str(said)):%-d %b %Y %H:%M} UTC"
    except ValueError:
        return str(said)


def _threshold(details: Mapping[str, Any], called: Called) -> tuple[str, tuple[str, ...]]:
    title = f"{called.account}: past {details.get('threshold')} % of its limit"
    spent = f"{amount(details.get('spent'), called.currency)} of {amount(details.get('limit'), called.currency)}."
    ends = details.get("ends_at")
    return title, (spent, f"Its period ends {_instant(ends)}." if ends else "It does not begin anew by itself.")


def _forecast(details: Mapping[str, Any], called: Called) -> tuple[str, tuple[str, ...]]:
    title = f"{called.account}: at this rate it ends on {details.get('day')}"
    sentences = [f"{amount(details.get('spent'), called.currency)} of {amount(details.get('limit'), called.currency)}."]
    if "expected" in details:
        sentences.append(f"Expected by the end of the period: {amount(details['expected'], called.currency)}.")
    return title, tuple(sentences)


def _anomaly(details: Mapping[str, Any], called: Called) -> tuple[str, tuple[str, ...]]:
    title = f"Unusual spend: {called.whose or 'everything'}"
    seen = f"{amount(details.get('seen'), called.currency)}, where {amount(details.get('expected'), called.currency)}"
    return title, (f"{seen} was expected.", *([str(details["why"])] if details.get("why") else []))


def _unattributed(details: Mapping[str, Any], called: Called) -> tuple[str, tuple[str, ...]]:
    title = f"{details.get('percent')} % of spend belongs to nobody"
    loose, whole = (amount(details.get(name), called.currency) for name in ("amount", "of"))
    return title, (
        f"{loose} of {whole} in the last {details.get('days')} days; at most {details.get('allowed')} % is to.",
    )


def _unpriced(details: Mapping[str, Any], _: Called) -> tuple[str, tuple[str, ...]]:
    title = f"No price is known for {details.get('provider')} {details.get('model')}"
    return title, (f"{details.get('calls')} calls since {details.get('first_day')} are in no amount.",)


def _quiet(details: Mapping[str, Any], called: Called) -> tuple[str, tuple[str, ...]]:
    minutes = details.get("allowed_minutes", 0)
    usual = f"{minutes // 60} hours" if isinstance(minutes, int) and minutes >= 120 else f"{minutes} minutes"
    title = f"{called.whose or 'A source'} has gone quiet"
    return title, (
        f"It last sent usage {_instant(details.get('last_received_at'))}; {usual} without any is not usual.",
    )


def _month(details: Mapping[str, Any], called: Called) -> tuple[str, tuple[str, ...]]:
    title = f"{details.get('month')} changed after it was closed"
    charges = details.get("charges")
    changed = f"{amount(details.get('amount'), called.currency)} by {charges} charge{'' if charges == 1 else 's'}"
    moved = f"; {amount(details.get('moved'), called.currency)} is charged otherwise than it was stated."
    return title, (
        f"{changed} since {_instant(details.get('closed_at'))}{moved}",
        f"The statement of {details.get('carried_by')} carries it.",
    )


def _signal(kind: str, details: Mapping[str, Any], called: Called) -> tuple[str, tuple[str, ...]]:
    title = {
        Kind.CAP: f"{called.account} refuses calls",
        Kind.BREAKER: f"A breaker stopped {called.whose or 'calls'}",
        Kind.STOP: f"Stopped: {called.whose or 'everything'}",
        Kind.HOLD: "A call cost more than was held for it",
        Kind.EXPIRED: "An authorization was never settled",
        Kind.BLOCKED: f"A key is blocked at its provider, for {called.account}",
        Kind.NOT_BLOCKED: f"A key cannot be blocked or given back at its provider, for {called.account}",
        Kind.STUCK: f"Calls of {called.whose or 'a source'} cannot be booked",
        Kind.RULE_PAUSED: f"Routing rule {details.get('rule') or 'unknown'} is paused: its answers seem worse",
        Kind.ROLLED_BACK: f"Routing rule {details.get('rule') or 'unknown'} was rolled back",
        Kind.DRIFTING: "Task types are guessed wrongly more often than was measured",
        Kind.CONCENTRATED: f"{details.get('maker') or 'A maker'} has more of the spend than routing rules allow",
        Kind.FEED: f"{called.whose or 'A source'} cannot be read at its provider",
    }.get(Kind(kind), kind)
    known = {**_TOLD, **(_AMOUNTS if kind in _OF_MONEY else {})}
    sentences = [
        f"{word}: {_said(name, details[name], called)}."
        for name, word in known.items()
        if details.get(name) not in (None, "")
    ]
    return title, tuple(sentences)


def _said(name: str, value: object, called: Called) -> str:
    if name in _AMOUNTS:
        return amount(value, called.currency)
    return _instant(value) if name == "until" else str(value).rstrip(".")


_Teller = Callable[[Mapping[str, Any], Called], tuple[str, tuple[str, ...]]]
_TELLERS: Final[Mapping[str, _Teller]] = {
    Kind.THRESHOLD: _threshold,
    Kind.FORECAST: _forecast,
    Kind.ANOMALY: _anomaly,
    Kind.UNATTRIBUTED: _unattributed,
    Kind.UNPRICED: _unpriced,
    Kind.QUIET: _quiet,
    Kind.MONTH: _month,
}
