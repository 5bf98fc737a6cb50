"""Models that a price-book update brought: what testing them would cost, before anybody here has used one. Pure.

They are no evidence of anything, so that all there can be is an experiment. A model is worth one for a task type where
calls as they are there would cost less at it, or where it is of the incumbent's own family and newer. Of hundreds the
best few are named: the dearer classes before the next one below the incumbent's, the cheaper before the dearer. Nothing
further down is named, for a price says least where the classes are furthest apart.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from finops.core.money import to_ledger
from routing.evidence.rules import USUAL_MARGIN
from routing.evidence.statistics.betting import LEAST_PAIRS
from routing.evidence.statistics.paired import items_needed
from routing.recommend import wording
from routing.recommend.deciding import LEAST_SHARE, Family, basis_of
from routing.recommend.measuring import Spent
from routing.recommend.types import Advice, Examined, Kind, Trial, Verdict
from routing.tiers.hot import Register
from routing.tiers.types import Known

MOST_A_TYPE: Final = 3
# Task types, those that most is spent on.
MOST_TYPES: Final = 20
# Before anything is measured: as where every fifth task tells the two apart, as `measuring` has it.
_USUAL_SPREAD: Final = 0.2
# Sold by the token, and doing other work than answering in text.
_OTHER_WORK: Final = re.compile(
    r"embed|rerank|tts|transcri|whisper|voice|audio|speech|realtime|(?:^|[-_.])live|image|video|moderation|guard|safety"
    r"|ocr|robotics|translate"
)


class Arrived(NamedTuple):
    """A model that is new in the book, where it would be had. `price_id` is of what it costs today."""

    model: str
    provider: str
    price_id: int


# (model, provider, meters of a call) -> dollars; None where nobody knows.
Price = Callable[[str, str, tuple[int, ...]], Decimal | None]


class Incumbent(NamedTuple):
    """What most is spent on in a task type."""

    spent: Spent
    provider: str


class News(NamedTuple):
    """What is new, and what is not any more: models that were used here, and that were measured in any type."""

    arrived: Sequence[Arrived]
    used: Collection[str]
    measured: Collection[str]

    def why_gone(self, candidate: str) -> str:
        """Why what was recommended of a new model is not any more."""
        if candidate in self.measured:
            return f"{candidate} is measured by now."
        if candidate in self.used:
            return f"{candidate} is used by now."
        if all(one.model != candidate for one in self.arrived):
            return f"{candidate} is not in the price book any more, or not new."
        return f"{candidate} is not among the best of what is new for it any more."


NOTHING: Final = News((), frozenset(), frozenset())


def answers_in_text(model: str) -> bool:
    return _OTHER_WORK.search(model.lower()) is None


def advised(
    incumbents: Mapping[str, Incumbent],
    news: News,
    types: Mapping[str, Examined],
    family: Family,
    *,
    register: Register,
    price: Price,
) -> list[Advice]:
    """Of the types that most is spent on, at most MOST_A_TYPE each."""
    fresh = [one for one in news.arrived if one.model not in news.used and one.model not in news.measured]
    ranked = sorted(incumbents.items(), key=lambda pair: (-pair[1].spent.volume.spend, pair[0]))
    found = []
    for task_type, incumbent in ranked[:MOST_TYPES]:
        found += _of_type(task_type, incumbent, fresh, types.get(task_type), family, register, price)
    return found


class _Worth(NamedTuple):
    """`cost` is of a call, in dollars; `ratio` that over what the incumbent's costs."""

    arrived: Arrived
    known: Known
    cost: Decimal
    ratio: Decimal
    successor: bool


def _of_type(
    task_type: str, incumbent: Incumbent, fresh: Sequence[Arrived], examined: Examined | None, family: Family,
    register: Register, price: Price,
) -> list[Advice]:  # fmt: skip
    spent = incumbent.spent
    usual = price(spent.model, incumbent.provider, spent.usual) if any(spent.usual) else None
    if not usual:
        return []
    here = register.of(spent.model, incumbent.provider)
    worth = []
    for one in fresh:
        cost, known = price(one.model, one.provider, spent.usual), register.of(one.model, one.provider)
        if cost is None or one.model == spent.model or known.tier.rank > here.tier.rank + 1:
            continue
        successor = bool(here.vendor) and known.vendor == here.vendor and known.tier is here.tier
        ratio = cost / usual
        if ratio <= 1 - Decimal(repr(LEAST_SHARE)) or successor:
            worth.append(_Worth(one, known, cost, ratio, successor))
    worth.sort(key=lambda one: (one.known.tier.rank, one.ratio, one.arrived.model))
    return [_advice(task_type, spent, one, usual, examined, family) for one in worth[:MOST_A_TYPE]]


def _advice(
    task_type: str, spent: Spent, one: _Worth, usual: Decimal, examined: Examined | None, family: Family
) -> Advice:
    margin = USUAL_MARGIN if examined is None else examined.margin
    tasks = max(family.more(items_needed(margin, _USUAL_SPREAD), 0.0), LEAST_PAIRS)
    saves = one.ratio < 1
    share = float(round(1 - one.ratio, 9))
    trial = Trial(tasks=tasks, cost=to_ledger((usual + one.cost) * tasks), share=share if saves else None)
    model = one.arrived.model
    kind = f"a {one.known.tier.value} model" + (f" of {one.known.vendor}'s" if one.known.vendor else "")
    there, here, all_of_it = (wording.money(amount, "USD") for amount in (one.cost, usual, trial.cost or 0))
    prices = (
        f"A call as they usually are on {task_type!r} costs {there} at it, and {here} at {spent.model}, were both to"
        " use as many tokens."
    )
    needed = (
        f"{tasks:,} tasks at both tell whether it is as good, if it is: {all_of_it} at these prices, where a task is"
        " one call."
    )
    reasons = [
        f"{model} is new in the price book, {kind}; nobody here has used or measured it.",
        prices,
        *([f"It is of the same family as {spent.model}."] if one.successor else []),
        needed,
        *([f"Should it be as good, {wording.percent(share)} of what {spent.model} costs is saved."] if saves else []),
    ]
    return Advice(
        kind=Kind.EXPERIMENT.value,
        task_type=task_type,
        task_types=(task_type,),
        incumbent=spent.model,
        candidate=model,
        verdict=Verdict.INCONCLUSIVE.value,
        basis=basis_of(task_type, spent.model, one.arrived, margin),
        evidence_version=0 if examined is None else examined.version,
        in_words=wording.tried(task_type, spent.model, model, trial),
        reasons=tuple(reasons),
        volume=spent.volume,
        margin=margin,
        margin_from=None if examined is None else examined.margin_from,
        trial=trial,
        brought=True,
    )
