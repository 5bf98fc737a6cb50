"""Task types to recommend something for: made-up models of known quality on the same tasks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import numpy as np

from finops.orgs.models import Organization
from routing.evidence.types import Flag, Floats, Measure, OutcomeDraft, Seen, TypeEvidence
from routing.recommend import selectors, services
from routing.recommend.deciding import Family, advice_of, judged_together
from routing.recommend.measuring import DEAREST, SPEND, Incumbent, examined
from routing.recommend.models import Recommendation
from routing.recommend.types import Advice, Examined, Volume
from tests.factories.evidence import outcome, recorded
from tests.factories.ledger import AT, Book, event
from tests.factories.orgs import HOUSE, Cast

STRONG: Final = "strong"
CHEAP: Final = "cheap"
# Dollars a task.
COSTS: Final[dict[str, float]] = {STRONG: 0.02, CHEAP: 0.002}
SPENT: Final = Volume(calls=10_000, spend=Decimal(1_000), currency="USD")


def tried(
    scores: Mapping[str, Iterable[float]], *, task_type: str = "triage", version: int = 1,
    costs: Mapping[str, float] = COSTS, clusters: Sequence[int] | None = None,
) -> TypeEvidence:  # fmt: skip
    """By model, its scores on tasks 0, 1, 2 and so on; NaN where it was not tried."""
    models = tuple(sorted(scores))
    table = np.column_stack([np.array(list(scores[model]), dtype=float) for model in models])
    priced = np.array([costs.get(model, np.nan) for model in models])
    number = len(table)
    drawn = np.random.default_rng(7)
    spread = drawn.uniform(0.5, 1.5, number)[:, None] * drawn.uniform(0.9, 1.1, table.shape)
    known = ~np.isnan(table)
    return TypeEvidence(
        task_type=task_type,
        version=version,
        models=models,
        measures=(Measure("evaluation", "suite", "1"),),
        items=np.array([f"item-{place}" for place in range(number)], dtype=object),
        clusters=np.arange(number) if clusters is None else np.array(clusters),
        measure=np.zeros(number, dtype=np.int64),
        scores=table,
        costs=np.where(known, spread * priced, np.nan),
        failed=np.zeros(table.shape, dtype=bool),
        arrived=np.where(known, 0, -1),
        abstained=np.zeros(number, dtype=bool),
    )


def coins(shares: Mapping[str, float], number: int, seed: int = 0) -> dict[str, Floats]:
    """Each model does so large a share of tasks."""
    drawn = np.random.default_rng(seed)
    ease = drawn.random(number)
    found = {}
    for model, share in shares.items():
        own = drawn.random(number)
        # Of ten tasks seven go by how hard they are, and three by luck.
        found[model] = np.where(drawn.random(number) < 0.7, ease < share, own < share).astype(float)
    return found


def worked_out(
    evidence: TypeEvidence, *, incumbent: str = STRONG, volume: Volume = SPENT, seen: Sequence[Seen] = (),
    flags: Sequence[Flag] = (), margin: float | None = 0.05, by: str = SPEND, fixed: float | None = None,
) -> Examined:  # fmt: skip
    who = Incumbent(incumbent, by, (incumbent,), volume if by != DEAREST else Volume())
    return examined(evidence, who, seen=seen, flags=flags, said_margin=margin, fixed_margin=fixed)


def advised(*types: Examined, **given: Any) -> list[Advice]:
    """Of all of them together."""
    family: Family = judged_together(types)
    return [advice for one in types for advice in advice_of(one, family, **given)]


def drafts(
    scores: Mapping[str, Iterable[float]],
    *,
    task_type: str = "triage",
    prefix: str = "item",
    costs: Mapping[str, float] = COSTS,
    **given: Any,
) -> list[OutcomeDraft]:
    """The same as outcomes to be recorded."""
    return [
        outcome(
            f"{prefix}-{place}",
            model,
            float(score),
            task_type=task_type,
            cost=Decimal(repr(round(costs[model] * (0.5 + (place * 7 % 10) / 10), 9))) if model in costs else None,
            **given,
        )
        for model, its in scores.items()
        for place, score in enumerate(its)
    ]


def known(
    organization: Organization, shares: Mapping[str, float], *, at: datetime, number: int = 1_200, seed: int = 0,
    task_type: str = "triage", name: str = "nightly", costs: Mapping[str, float] = COSTS, **given: Any,
) -> None:  # fmt: skip
    """A run of models that do so large a share of tasks, of its own."""
    said = drafts(coins(shares, number, seed), task_type=task_type, prefix=f"{task_type}-{name}", costs=costs)
    recorded(organization.id, said, at=at, name=name, **given)


OF_BOOK: Final = {"gpt": 0.02, "gpt-mini": 0.002}


def measured(cast: Cast, strong: float = 0.9, cheap: float = 0.9, *, at: datetime = AT, **given: Any) -> None:
    known(cast.acme, {"gpt": strong, "gpt-mini": cheap}, at=at, costs=OF_BOOK, **given)


def spend(book: Book, *, calls: int = 100, model: str = "gpt", task_type: str = "triage", first: int = 0) -> None:
    book.take(*[
        event(f"{task_type}-{model}-{n}", model=model, task_type=task_type, occurred_at=AT - timedelta(days=3))
        for n in range(first, first + calls)
    ])  # fmt: skip


def worked(cast: Cast, at: datetime = AT) -> services.Recomputed:
    return services.recompute(organization_id=cast.acme.id, by=HOUSE, at=at)


def rows(cast: Cast, **given: Any) -> list[Recommendation]:
    return list(selectors.recommendations(cast.acme.id, **given))
