"""What a plan may be, from which day on a change of it is about the books, and which days are made in a step. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from finops.connectors.seats import LONGEST_TERM, Holder, SeatPlan, next_term
from finops.core.errors import Invalid
from finops.seats.types import HolderName, PlanDraft

# Of an organization: all are read for every batch of charges.
MOST_PLANS: Final = 500
MOST_SEATS: Final = 100_000
MOST_HOLDERS: Final = 2_000
MOST_COVERS: Final = 20
# How far back a plan may begin: three years and a bit.
MOST_DAYS_BACK: Final = 1_100
MOST_DAYS_AHEAD: Final = 1_100
LONGEST_NAME: Final = 120
_LONGEST_PROVIDER: Final = 60
_LONGEST_ACCOUNT: Final = 200
_LONGEST_HOLDER: Final = 200
_HIGHEST_PRICE: Final = Decimal(10) ** 7
_MONEY_PLACES: Final = 6
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
# How the name of an erased holder begins.
ERASED: Final = "erased:"
_KINDS: Final = ("email", "github", "provider_user", "key_alias")
# No provider sold seats of models before.
_EARLIEST_ANCHOR: Final = date(2019, 1, 1)
# What of a plan decides which calls it pays for, beside its days.
_COVERING: Final = ("name", "provider", "holders", "covers")


class PlanInvalid(Invalid):
    """A plan that cannot be; `field` says where."""

    code = "seats.plan_invalid"


def checked(draft: PlanDraft, *, today: date) -> PlanDraft:
    """The plan in the form it is kept in. Raises PlanInvalid naming the field."""
    made = replace(
        draft,
        name=_text(draft.name, "name", LONGEST_NAME),
        provider=_text(draft.provider, "provider", _LONGEST_PROVIDER).lower(),
        account=_text(draft.account, "account", _LONGEST_ACCOUNT, least=0),
        currency=draft.currency.strip().upper(),
        price=_money(draft.price, "price"),
        included=None if draft.included is None else _money(draft.included, "included"),
        anchor=draft.anchor or draft.start,
        holders=_holders(draft.holders),
        covers=tuple(sorted(set(draft.covers))),
    )
    _refuse(not _CURRENCY.fullmatch(made.currency), "currency", "a currency is three letters, like USD")
    _refuse(not 1 <= made.seats <= MOST_SEATS, "seats", f"a plan has 1 to {MOST_SEATS:,} seats")
    _refuse(len(made.holders) > made.seats, "holders", f"{len(made.holders)} holders have {made.seats} seats")
    _refuse(not 1 <= made.term_months <= LONGEST_TERM, "term_months", f"a term is 1 to {LONGEST_TERM} months long")
    _days(made, today)
    _refuse(len(made.covers) > MOST_COVERS, "covers", f"a plan covers calls from {MOST_COVERS} sources at most")
    _refuse(
        bool(made.covers) and made.included is not None, "covers",
        "calls are covered whole or not at all: an included amount is not counted down",
    )  # fmt: skip
    return made


def _days(made: PlanDraft, today: date) -> None:
    back, ahead = today - timedelta(days=MOST_DAYS_BACK), today + timedelta(days=MOST_DAYS_AHEAD)
    _refuse(not back <= made.start <= ahead, "start", f"a plan begins between {back} and {ahead}")
    _refuse(made.end is not None and made.end <= made.start, "end", "a plan ends after the day it begins")
    _refuse(made.end is not None and made.end > date(9000, 1, 1), "end", "say nothing where a plan has no end")
    anchor = made.anchor or made.start
    _refuse(anchor > made.start, "anchor", "the first term begins by the day the plan does")
    _refuse(anchor < _EARLIEST_ANCHOR, "anchor", f"a term begins on {_EARLIEST_ANCHOR} or later")


def _refuse(wrong: bool, field: str, message: str) -> None:
    if wrong:
        raise PlanInvalid(message, field=field)


def _text(raw: str, field: str, most: int, *, least: int = 1) -> str:
    text = " ".join(raw.split())
    _refuse(
        not least <= len(text) <= most or not text.isprintable(), field, f"{field} is one line, at most {most} long"
    )
    return text


def _money(amount: Decimal, field: str) -> Decimal:
    _refuse(
        not amount.is_finite() or not 0 <= amount <= _HIGHEST_PRICE or round(amount, _MONEY_PLACES) != amount, field,
        f"{field} is 0 to {_HIGHEST_PRICE:,}, with at most {_MONEY_PLACES} places",
    )  # fmt: skip
    return amount


def _holders(told: Iterable[HolderName]) -> tuple[HolderName, ...]:
    """Sorted; the same one twice is a mistake worth telling."""
    made = [HolderName(kind, value.strip()) for kind, value in told]
    _refuse(len(made) > MOST_HOLDERS, "holders", f"a plan names {MOST_HOLDERS:,} holders at most; the rest are seats")
    seen: set[tuple[str, str]] = set()
    for number, (kind, value) in enumerate(made, 1):
        _refuse(kind not in _KINDS, "holders", f"holder {number}: a holder is named by {', '.join(_KINDS)}")
        fits = 0 < len(value) <= _LONGEST_HOLDER and value.isprintable() and not any(map(str.isspace, value))
        _refuse(not fits, "holders", f"holder {number}: a name has no spaces and at most {_LONGEST_HOLDER} characters")
        named = value.startswith(ERASED) or kind != "email" or value.count("@") == 1
        _refuse(not named, "holders", f"holder {number} is no e-mail address")
        _refuse((kind, value.lower()) in seen, "holders", f"holder {number} is named twice")
        seen.add((kind, value.lower()))
    return tuple(sorted(made, key=lambda one: (one.kind, one.value.lower())))


def read_holder(line: str) -> HolderName:
    """A line as people write it: `bob@acme.example`, `github:octocat`. What has no kind is an e-mail address."""
    kind, colon, value = line.strip().partition(":")
    return HolderName(kind, value.strip()) if colon and kind in _KINDS else HolderName("email", line.strip())


def write_holder(kind: str, value: str) -> str:
    """The other way."""
    return value if kind == "email" else f"{kind}:{value}"


def refuse_broken_term(plan: SeatPlan, since: date) -> None:
    """A plan that is paid by whole terms is changed between two: the term would be paid twice. Raises PlanInvalid."""
    begins = next_term(plan, since)
    if not plan.prorated and begins != since:
        raise PlanInvalid(f"terms are paid whole here: the next one begins on {begins}", field="since")


def first_day(before: PlanDraft | None, after: PlanDraft | None) -> date | None:
    """The first day whose charges may differ, None where none does. None stands for a plan that is not."""
    if before is None or after is None:
        there = before or after
        return None if there is None else there.start
    if replace(before, included=None, covers=()) == replace(after, included=None, covers=()):
        return None
    # Terms that are paid whole are split over the days they are held, so the end moves what each day costs.
    if before.prorated and replace(before, end=None, included=None, covers=()) == replace(
        after, end=None, included=None, covers=()
    ):
        return min(day for day in (before.end, after.end) if day is not None)
    return min(before.start, after.start)


def covered_days(before: PlanDraft | None, after: PlanDraft | None) -> tuple[date, date | None] | None:
    """The days on which calls may be covered otherwise, `[from, to)`; None where none are."""
    told = [one for one in (before, after) if one is not None and one.covers and one.holders]
    if not told:
        return None
    ends = [one.end for one in told]
    last = None if None in ends else max(end for end in ends if end is not None)
    if len(told) == 2 and all(getattr(told[0], name) == getattr(told[1], name) for name in _COVERING):
        if (told[0].start, told[0].end) == (told[1].start, told[1].end):
            return None
        if told[0].start == told[1].start:
            return min(end for end in ends if end is not None), last
    return min(one.start for one in told), last


def days_a_step(plans: Collection[SeatPlan], most: int) -> int:
    """How many days have about `most` charges together; one at least."""
    a_day = sum(len(plan.holders) + 1 for plan in plans)
    return max(1, min(366, most // max(1, a_day)))


def holder_of(holder_id: int, kind: str, value: str, person: str) -> Holder:
    return Holder(kind, value, f"holder-{holder_id}", person)
