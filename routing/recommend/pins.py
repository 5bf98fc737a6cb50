"""A task type's sub-agents pinned to a class of models, where each model that the class stands for now passed. Pure.

Beside a switch of the whole type it is the smaller step: the session's own calls stay where they are. What is known of
the whole type is what it stands on; nobody says that sub-agents' tasks are like the others, so the rollout watches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from routing.recommend import wording, writing
from routing.recommend.deciding import Family, Judged, basis_of, considered_of, passes, saving_of, share_of, written
from routing.recommend.hosts import LEAST_SHARE
from routing.recommend.types import Advice, Examined, Kind, Said, Verdict
from routing.upstreams.rules import TIER

# Of so few calls nobody can tell which part sub-agents make.
LEAST_CALLS: Final = 100
_CAUTION: Final = (
    "What is known is of all tasks of the type, and not of sub-agents' alone; and a model that comes to be served in"
    " that class is used before it is measured: the rollout watches both."
)


class Handed(NamedTuple):
    """Of the newest calls of a type at a model: how many, how many sub-agents made, and the share of cost of those."""

    calls: int
    handed: int
    share: float


def pinned(
    one: Examined,
    family: Family,
    classes: Mapping[str, Sequence[str]],
    handed: Mapping[tuple[str, str], Handed],
) -> Advice | None:
    """The cheapest class that may be pinned to, None where there is none. `classes` has, by class, the models that it
    stands for now; `handed` is by task type and by each name of a model.
    """
    names = [name for name in one.asked if (one.task_type, name) in handed]
    # Of names of one model, what most calls are under.
    part = max((handed[one.task_type, name] for name in names), default=None)
    if part is None or part.calls < LEAST_CALLS:
        return None
    rows = {row.measured.model: row for row in family.judged[one.task_type]}
    best: tuple[float, str, list[Judged]] | None = None
    for tier, models in sorted(classes.items()):
        members = [row for model in models if (row := rows.get(model)) is not None and passes(row)]
        if not models or len(members) != len(models):
            continue
        # The dearest of them: which one answers is not known beforehand.
        ratio = max(row.ratio or 0.0 for row in members)
        if best is None or (ratio, tier) < best[:2]:
            best = (ratio, tier, members)
    if best is None or part.share * (1.0 - best[0]) < LEAST_SHARE:
        return None
    return _advice(one, best[1], best[2], part, tuple(rows.values()))


def _advice(one: Examined, tier: str, members: Sequence[Judged], part: Handed, rows: Sequence[Judged]) -> Advice:
    dearest = max(members, key=lambda row: (row.ratio or 0.0, row.measured.model))
    ratio = dearest.measured.cost.ratio if dearest.measured.cost else None
    assert ratio is not None  # noqa: S101 - what passes is cheaper
    upper, lower = (None if bound is None else 1.0 - bound for bound in (ratio.lower, ratio.upper))
    calls = round(one.volume.calls * part.handed / part.calls)
    volume = msgspec.structs.replace(one.volume, calls=calls, spend=share_of(one.volume, part.share))
    saving = saving_of(volume, Said(1.0 - ratio.value, lower, upper), None)
    rule = written(writing.pinned, one.task_type, one.asked, tier)
    named = wording.listed([row.measured.model for row in members])
    mine = dearest.measured
    return Advice(
        kind=Kind.PIN.value,
        task_type=one.task_type,
        task_types=(one.task_type,),
        incumbent=one.incumbent,
        candidate=f"{TIER}{tier}",
        verdict=Verdict.PASS.value,
        basis=basis_of(one.task_type, one.version, one.incumbent, tier, [row.measured.model for row in members]),
        evidence_version=one.version,
        in_words=f"Pin sub-agents of {one.task_type!r} to {tier} models; sessions' own calls stay at {one.incumbent}.",
        reasons=(
            f"Each model that {TIER}{tier} stands for now is as good: {named}.",
            *(wording.quality(row.measured, one.margin) for row in members),
            wording.cost(mine.cost),
            f"Sub-agents made {wording.percent(part.share)} of what the newest {part.calls:,} calls of this type cost.",
            wording.saved(saving, volume),
            _CAUTION,
            *([] if rule else ["A name in it is none that a rule may have: nothing can be applied."]),
        ),
        volume=volume,
        saving=saving,
        margin=one.margin,
        margin_from=one.margin_from,
        pairs=min(row.measured.pairs for row in members),
        clusters=min(row.measured.clusters for row in members),
        difference=min(members, key=_lowest).measured.difference,
        cost=mine.cost,
        considered=considered_of(one, rows, mine.model),
        rule=None if rule is None else writing.plain(rule),
        yaml="" if rule is None else writing.document(rule),
    )


def _lowest(row: Judged) -> float:
    said = row.measured.difference
    return 0.0 if said is None else said.value
