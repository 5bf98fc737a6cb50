"""A month's mix as the ledger has it, and what it says: where it went, and what it would have come to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Final, NamedTuple

from msgspec.structs import replace

from finops.core.periods import DayRange, next_month
from finops.core.tokens import METERS
from finops.ledger import selectors as ledger
from finops.ledger.rules.questions import question
from finops.ledger.types import UNPRICED, Grain, SpendRow
from finops.orgs import selectors as orgs
from finops.orgs.rules import Caller
from finops.pricing import selectors as pricing
from routing.bills import rating, rules
from routing.bills.needing import Needs
from routing.bills.rating import Measured, Prices, Vendors
from routing.bills.shares import shares_of
from routing.bills.types import (
    CACHED,
    READ,
    REQUESTS,
    WRITTEN,
    Bill,
    Change,
    Drop,
    Line,
    Mix,
    Move,
    Offer,
    Shares,
)
from routing.evidence.statistics.betting import LEAST_PAIRS
from routing.recommend import deciding
from routing.recommend import selectors as recommend
from routing.tiers import selectors as tiers
from routing.tiers.hot import Register
from routing.tiers.types import Tier

_DIMENSIONS: Final = ("provider", "model", "host", "task_type", "state")


class Report(NamedTuple):
    """A month: where it went, and the same at one frontier model, `frontier`; None where no model is one."""

    month: date
    currency: str
    shares: Shares
    frontier: Offer | None
    all_frontier: Bill | None


def report(caller: Caller, month: date, at: datetime, *, frontier: Offer | None = None) -> Report:
    """Of what the caller may see. Unless one is named, the frontier model is the one that most was spent on; without
    any, the bill of all frontier is left out. Raises PermissionMissing.
    """
    found = mix(caller, month)
    register = tiers.register(caller.organization_id, at)
    types = recommend.examined(caller.organization_id)
    needs = Needs(types, deciding.judged_together(list(types.values())), register)
    shares, prices = shares_of(found, register, needs.told), prices_of(caller)
    named = _most_used(shares) if frontier is None else _placed(frontier, found, register, prices)
    bill = None if named is None else rating.all_at(found, named, prices)
    return Report(month, found.currency, shares, named, bill)


def what_if(caller: Caller, month: date, changes: Sequence[Change], at: datetime) -> Bill:
    """The caller's month with these changes; projects are ids. Raises QuestionInvalid, PermissionMissing."""
    rules.check(changes)
    projects = any(isinstance(one, Move) and one.project_id is not None for one in changes)
    found = mix(caller, month, projects=projects)
    register, prices = tiers.register(caller.organization_id, at), prices_of(caller)
    placed = [_in_place(one, found, register, prices) for one in changes]
    return rating.what_if(
        found, placed, prices, vendor_of=_vendors(register), measured=measured_of(caller.organization_id)
    )


def mix(caller: Caller, month: date, *, projects: bool = False) -> Mix:
    """A calendar month (UTC) by day, model and task type, within the caller's reach: one scan of the wide cube."""
    known = ledger.dimensions(caller.organization_id)
    days = DayRange(month, next_month(month))
    group_by = (*_DIMENSIONS, "project") if projects else _DIMENSIONS
    rows = ledger.crossed(question(caller, known, days, group_by=group_by, grain=Grain.DAY))
    words = _words(caller.organization_id, rows)
    unpriced = ledger.term_ids(caller.organization_id, "state", [UNPRICED]).get(UNPRICED, -1)
    currency = orgs.organization(caller.organization_id).reporting_currency
    return Mix(month=month, currency=currency, lines=tuple(_line(row, words, unpriced) for row in rows))


def prices_of(caller: Caller) -> Prices:
    return Prices(pricing.load_pricer(caller.organization_id), pricing.load_exchange(caller.organization_id))


def measured_of(organization_id: int) -> Measured:
    """What completed tasks cost at a model, over what they cost at the incumbent, where tasks were measured at both and
    nothing of that looks broken; by every name of the incumbent.
    """
    found: dict[tuple[str, str, str], float] = {}
    for one in recommend.examined(organization_id).values():
        for row in one.candidates:
            cost = row.cost
            if cost is None or cost.ratio is None or cost.by_prices or deciding.flags_on(one, row.model):
                continue
            if cost.tasks >= LEAST_PAIRS and cost.ratio.value > 0:
                found |= {(one.task_type, asked, row.model): cost.ratio.value for asked in one.asked}
    return found


def _line(row: SpendRow, words: dict[str, dict[int, str]], unpriced: int) -> Line:
    values = dict(zip((*_DIMENSIONS, "project"), row.values, strict=False))
    counts = [0] * len(METERS)
    counts[READ] = row.input_tokens - row.cached_tokens
    counts[CACHED] = row.cached_tokens
    counts[WRITTEN] = row.output_tokens
    counts[REQUESTS] = row.calls
    assert row.bucket is not None  # noqa: S101 - by day
    return Line(
        day=row.bucket,
        provider=words["provider"].get(values["provider"], ""),
        model=words["model"].get(values["model"], ""),
        host=words["host"].get(values["host"], ""),
        task_type=words["task_type"].get(values["task_type"], ""),
        project_id=values.get("project", 0),
        unpriced=values["state"] == unpriced,
        calls=row.calls,
        counts=tuple(counts),
        spend=row.reporting_cost,
    )


def _words(organization_id: int, rows: Sequence[SpendRow]) -> dict[str, dict[int, str]]:
    named = _DIMENSIONS[:-1]
    ids = {name: {row.values[place] for row in rows} - {0} for place, name in enumerate(named)}
    called = ledger.named(organization_id, ids)
    return {name: {one: found.value for one, found in called[name].items()} for name in named}


def _most_used(shares: Shares) -> Offer | None:
    for one in shares.models:
        if one.known.tier is Tier.FRONTIER and one.spend > 0:
            return Offer(model=one.known.model, provider=one.provider)
    return None


def _vendors(register: Register) -> Vendors:
    return lambda model, provider: register.of(model, provider).vendor


def _in_place(one: Change, found: Mix, register: Register, prices: Prices) -> Change:
    if isinstance(one, Move):
        return replace(one, to=_placed(one.to, found, register, prices))
    if isinstance(one, Drop):
        instead = {model: _placed(offer, found, register, prices) for model, offer in one.instead.items()}
        otherwise = None if one.otherwise is None else _placed(one.otherwise, found, register, prices)
        return replace(one, instead=instead, otherwise=otherwise)
    return one


def _placed(offer: Offer, found: Mix, register: Register, prices: Prices) -> Offer:
    """Where a model would be had, if nobody says: where most is spent on it, else from whoever made it, else from whom
    its name says, else from anybody who sold something that month; of these the first that has a price for it.
    """
    if offer.provider:
        return offer
    spent: dict[str, Decimal] = {}
    for line in found.lines:
        if line.model == offer.model:
            spent[line.provider] = spent.get(line.provider, Decimal(0)) + line.spend
    by_spend = sorted(spent, key=lambda name: (-spent[name], name))
    used = sorted({line.provider for line in found.lines})
    asked = [*by_spend, register.provider(register.of(offer.model).vendor), "", *used]
    probe = _probe(found.month)
    places = [replace(offer, provider=name) for name in dict.fromkeys(asked)]
    return next((one for one in places if prices.cost(probe, one) is not None), places[0])


def _probe(month: date) -> Line:
    """A call that reads and writes a token, on the last day."""
    counts = [0] * len(METERS)
    counts[READ] = counts[WRITTEN] = counts[REQUESTS] = 1
    last = date.fromordinal(next_month(month).toordinal() - 1)
    return Line(day=last, provider="", model="", calls=1, counts=tuple(counts), spend=Decimal(0))
