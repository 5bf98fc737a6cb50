"""A rule over several task types of one incumbent: none of them may be believed by itself, together they may. Pure.

`learning` says which types go to which cheaper model. What is expected of each type leans on what the same two models
do in all others (`statistics.shrinking`), so that those that were lucky do not look better than they are for having
been chosen. Prompts are not at hand: a rule decides by type alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from msgspec.structs import replace

from routing.evidence.statistics.betting import LEAST_PAIRS
from routing.evidence.types import Floats, TypeEvidence, Whole
from routing.recommend import wording, writing
from routing.recommend.deciding import Family, Judged, basis_of, saving_of, written
from routing.recommend.mixing import random_mix
from routing.recommend.types import Advice, Considered, Examined, Kind, Point, Said, Verdict, Volume
from routing.rules.policy import Chooser, Learnt, Policy
from routing.rules.rules import MOST_VALUES
from routing.rules.types import Rule

if TYPE_CHECKING:
    from routing.recommend.learning.tables import Tasks

TARGET: Final = 0.95
ASSURANCE: Final = 0.95
# Less than this beyond what sending calls at random saves is no rule.
BEYOND: Final = 0.01
LEAST_TYPES: Final = 2
MOST_TASKS: Final = 8_000
MOST_A_TYPE: Final = 400
MOST_CANDIDATES: Final = 8


class Sample(NamedTuple):
    """Some tasks of a type that the incumbent was tried on: scores and costs of the shape (tasks, models), and which of
    them are drawn together, (tasks,).
    """

    models: tuple[str, ...]
    scores: Floats
    costs: Floats
    clusters: Whole


class Group(NamedTuple):
    """Types of one incumbent for which no switch is recommended. `rows` are their candidates that are learned from, by
    type and model: also those that are worse, for to leave them out would make the others look better than they are.
    """

    incumbent: str
    types: tuple[Examined, ...]
    rows: Mapping[str, Mapping[str, Judged]]
    # Changes with anything that is learned from.
    basis: str
    # As the basis, and with how much is spent.
    stamp: str


class Part(NamedTuple):
    """What a rule does with one type: shares of its calls that go to models. `lost` is the difference of scores to be
    expected, with bounds, `allowed` how much worse would be as good, `weight` how often its calls are made.
    """

    examined: Examined
    shares: Mapping[str, float]
    quality: float
    lost: Said
    allowed: float
    saved: float
    weight: float

    @property
    def room(self) -> float:
        """What is left of the margin at the worst that is to be expected."""
        return (self.lost.lower or 0.0) + self.allowed


def sample_of(evidence: TypeEvidence, incumbent: str) -> Sample | None:
    """Tasks are in an order that was drawn already."""
    if incumbent not in evidence.models:
        return None
    tried = np.flatnonzero(~np.isnan(evidence.scores[:, evidence.models.index(incumbent)]))[:MOST_A_TYPE]
    return Sample(evidence.models, evidence.scores[tried], evidence.costs[tried], evidence.clusters[tried])


def groups(types: Sequence[Examined], family: Family, switched: frozenset[str]) -> list[Group]:
    """By incumbent, those with types enough; whoever most is spent on first."""
    found: dict[str, list[Examined]] = {}
    rows: dict[str, dict[str, Judged]] = {}
    for one in types:
        known = {row.measured.model: row for row in family.judged[one.task_type] if _known(row)}
        if known and one.task_type not in switched and one.margin_from is not None:
            rows[one.task_type] = known
            found.setdefault(one.incumbent, []).append(one)
    made = []
    for incumbent, mine in found.items():
        open_to = [one for one in mine if any(_allowed(row, one.margin) for row in rows[one.task_type].values())]
        if len(open_to) >= LEAST_TYPES:
            said = [(one.task_type, one.version, sorted(rows[one.task_type])) for one in mine]
            basis = basis_of(incumbent, said)
            stamp = basis_of(basis, [(str(one.volume.spend), one.volume.calls) for one in mine])
            of = {one.task_type: rows[one.task_type] for one in mine}
            made.append(Group(incumbent, tuple(mine), of, basis, stamp))
    return sorted(made, key=lambda one: (-sum(of.volume.spend for of in one.types), one.incumbent))


def routed(group: Group, samples: Mapping[str, Sample]) -> Advice | None:
    """The rule, where there is one that is worth it. Types without a sample are left out."""
    # What it takes to learn is loaded by who learns: it is large, and most processes would carry it for nothing.
    from routing.recommend.learning.choosing import learn

    tasks = _tasks(group, samples)
    if tasks is None:
        return None
    learned = learn(tasks, target=TARGET, assurance=ASSURANCE)
    if learned.policy is None:
        return None
    parts = _assured(_parts(Chooser(learned.policy), group))
    if len(parts) < LEAST_TYPES:
        return None
    kept, saved = _whole(parts)
    models = sorted({model for part in parts for model in part.shares})
    mix = random_mix(_together(parts), group.incumbent, kept=kept, without=models[0] if len(models) == 1 else "")
    # Where whole types go one way, nothing is drawn at random; where some calls of a type do, that has to be worth it.
    drawn = any(1e-9 < share < 1.0 - 1e-9 for part in parts for share in part.shares.values())
    if saved <= 0.0 or (drawn and (mix is None or saved < mix + BEYOND)):
        return None
    asked = sorted({name for part in parts for name in part.examined.asked})
    names = [part.examined.task_type for part in parts]
    rule = written(writing.routed, asked, names, _pruned(learned.policy, names, models))
    return None if rule is None else _advice(group, parts, models, saved, mix, rule)


def _known(row: Judged) -> bool:
    """Whether it was tried often enough to learn from, and looks sound. A rule names models as calls ask for them."""
    if row.verdict is Verdict.SUSPECT or row.measured.clusters < LEAST_PAIRS or row.expected is None:
        return False
    return row.ratio is not None and not writing.effort_of(row.measured.model)[1]


def _allowed(row: Judged, margin: float) -> bool:
    """Whether a rule may go to it: nothing is known against it, and it is expected to be as good, and cheaper. Quality
    is not sold; it is only believed of all types together what is not yet of each.
    """
    good = row.verdict is not Verdict.FAIL and row.expected is not None and row.expected.value >= -margin
    return good and row.ratio is not None and row.ratio < 1.0


def _tasks(group: Group, samples: Mapping[str, Sample]) -> Tasks | None:
    """Of each type as many, the incumbent first; of the models those that are tried on most types."""
    from routing.recommend.learning.tables import Tasks

    often: dict[str, int] = {}
    for one in group.types:
        for model in group.rows[one.task_type]:
            often[model] = often.get(model, 0) + 1
    models = sorted(often, key=lambda model: (-often[model], model))[:MOST_CANDIDATES]
    present = [one.task_type for one in group.types if one.task_type in samples]
    if len(present) < LEAST_TYPES:
        return None
    most = max(MOST_TASKS // len(present), LEAST_PAIRS)
    scores: list[Floats] = []
    costs: list[Floats] = []
    types: list[str] = []
    clusters: list[str] = []
    for task_type in present:
        sample = samples[task_type]
        size = min(len(sample.scores), most)
        columns = [
            sample.models.index(model) if model in (group.incumbent, *group.rows[task_type]) else -1
            for model in (group.incumbent, *models)
        ]
        for into, values in ((scores, sample.scores), (costs, sample.costs)):
            wide = np.hstack([values[:size], np.full((size, 1), np.nan)])
            into.append(wide[:, columns])
        types += [task_type] * size
        clusters += [f"{task_type} {number}" for number in sample.clusters[:size]]
    # Without an incumbent's cost there is nothing to save of.
    known = ~np.isnan(np.vstack(costs)[:, 0])
    names = (group.incumbent, *models)
    return Tasks(
        names, np.array(types, dtype=np.str_)[known], np.zeros(int(known.sum())), None, np.vstack(scores)[known],
        np.vstack(costs)[known], np.unique(np.array(clusters)[known], return_inverse=True)[1].astype(np.int64),
    )  # fmt: skip


def _parts(chooser: Chooser, group: Group) -> list[Part]:
    """Types that a policy moves, and only to models that it may."""
    by_calls = any(one.volume.calls for one in group.types)
    found = [
        part for one in group.types if (part := _part(chooser, one, group.rows[one.task_type], by_calls)) is not None
    ]
    return sorted(found, key=lambda part: (-part.examined.volume.spend, part.examined.task_type))[:MOST_VALUES]


def _part(chooser: Chooser, one: Examined, rows: Mapping[str, Judged], by_calls: bool) -> Part | None:
    share = chooser.policy.share
    shares: dict[str, float] = {}
    mean = least = most = saved = 0.0
    usual = next((point for point in one.points if point.model == one.incumbent), None)
    for choice, part in (
        (chooser.choose(one.task_type, 0, 0.0), share),
        (chooser.choose(one.task_type, 0, 1.0), 1 - share),
    ):
        if choice.model == one.incumbent or part <= 0.0:
            continue
        row = rows.get(choice.model)
        if row is None or row.expected is None or row.ratio is None or not _allowed(row, one.margin):
            return None
        shares[choice.model] = shares.get(choice.model, 0.0) + part
        mean += part * row.expected.value
        least += part * (row.expected.lower or 0.0)
        most += part * (row.expected.upper or 0.0)
        saved += part * (1.0 - row.ratio)
    if not shares or usual is None or usual.quality <= 0.0:
        return None
    weight = float(one.volume.calls if by_calls else usual.tasks)
    lost = Said(mean, least, most)
    return Part(one, shares, usual.quality, lost, one.margin * sum(shares.values()), saved, weight)


def _assured(parts: Sequence[Part]) -> list[Part]:
    """As many of them as are, all together, within their margins at the worst that is to be expected; whichever is
    furthest from it goes first. Bounds are added up, as if what is not known were the same of all types.
    """
    left = list(parts)
    while left and sum(part.weight * part.room for part in left) < 0.0:
        left.remove(min(left, key=lambda part: (part.room, part.examined.task_type)))
    return left


def _whole(parts: Sequence[Part]) -> tuple[float, float]:
    """Shares of quality and of cost of the calls of these types: as they are made, or as they were measured."""
    weights = [part.weight for part in parts] if any(part.weight for part in parts) else [1.0] * len(parts)
    usual = sum(weight * part.quality for weight, part in zip(weights, parts, strict=True))
    lost = sum(weight * part.lost.value for weight, part in zip(weights, parts, strict=True))
    dollars = [float(part.examined.volume.spend) for part in parts]
    if not sum(dollars):
        costs = [
            next((p.cost for p in part.examined.points if p.model == part.examined.incumbent), 0.0) for part in parts
        ]
        dollars = [weight * (cost or 0.0) for weight, cost in zip(weights, costs, strict=True)]
    saved = sum(cost * part.saved for cost, part in zip(dollars, parts, strict=True))
    return 1.0 + lost / usual, (saved / sum(dollars) if sum(dollars) else 0.0)


def _pruned(policy: Policy, task_types: Sequence[str], models: Sequence[str]) -> Policy:
    """What it needs for these types: what it never chooses for them changes nothing."""

    def of(one: Learnt) -> Learnt:
        return replace(one, types={name: one.types[name] for name in sorted(task_types) if name in one.types})

    used = tuple(of(one) for one in policy.candidates if one.model in models)
    return replace(policy, incumbent=of(policy.incumbent), candidates=used)


def _together(parts: Sequence[Part]) -> list[Point]:
    """Each model over all of these types, where it was measured on all of them."""
    found: dict[str, list[Point]] = {}
    for part in parts:
        for point in part.examined.points:
            found.setdefault(point.model, []).append(point)
    weights = [part.weight for part in parts] if any(part.weight for part in parts) else [1.0] * len(parts)
    made = []
    for model, points in found.items():
        costs = [point.cost for point in points if point.cost is not None]
        if len(points) == len(parts) == len(costs):
            quality = sum(w * point.quality for w, point in zip(weights, points, strict=True)) / sum(weights)
            cost = sum(w * one for w, one in zip(weights, costs, strict=True)) / sum(weights)
            made.append(Point(model=model, tasks=sum(one.tasks for one in points), quality=quality, cost=cost))
    return made


def _advice(
    group: Group, parts: Sequence[Part], models: Sequence[str], saved: float, mix: float | None, rule: Rule
) -> Advice:
    names = sorted(part.examined.task_type for part in parts)
    volume = Volume(
        calls=sum(part.examined.volume.calls for part in parts),
        spend=sum((part.examined.volume.spend for part in parts), Decimal(0)),
        currency=parts[0].examined.volume.currency,
    )
    saving = saving_of(volume, Said(saved), mix)
    difference, margin = _lost(parts)
    pairs = [group.rows[part.examined.task_type][_main(part)].measured for part in parts]
    together = (
        f"None of these {len(parts):,} task types tells enough alone. With each other in mind"
        f" {wording.points(difference.value)} are to be expected of all their calls, and"
        f" {wording.points(difference.lower or 0.0)} at the worst; {margin * 100:.1f} points below is as good."
    )
    reasons = [
        together,
        *(f"{part.examined.task_type!r}: {_shared(part)}." for part in parts[:20]),
        wording.saved(saving, volume),
        *([] if (mixed := wording.mixed(saving)) is None else [mixed]),
    ]
    return Advice(
        kind=Kind.ROUTE.value,
        task_type="",
        task_types=tuple(names),
        incumbent=group.incumbent,
        candidate=models[0] if len(models) == 1 else "",
        verdict=Verdict.PASS.value,
        basis=group.basis,
        evidence_version=sum(one.version for one in group.types),
        in_words=f"Send {wording.listed(names)} from {group.incumbent} to {wording.listed(models)}, by type.",
        reasons=tuple(reasons),
        volume=volume,
        saving=saving,
        margin=margin,
        margin_from="together",
        pairs=sum(one.pairs for one in pairs),
        clusters=sum(one.clusters for one in pairs),
        difference=difference,
        rule=writing.plain(rule),
        yaml=writing.document(rule),
        considered=tuple(_considered(part, group.rows[part.examined.task_type][_main(part)]) for part in parts),
    )


def _lost(parts: Sequence[Part]) -> tuple[Said, float]:
    """Of all their calls: the difference to be expected, and how much worse is as good."""
    weights = [part.weight for part in parts] if any(part.weight for part in parts) else [1.0] * len(parts)
    of = [weight / sum(weights) for weight in weights]
    mean = sum(w * part.lost.value for w, part in zip(of, parts, strict=True))
    lower = sum(w * (part.lost.lower or 0.0) for w, part in zip(of, parts, strict=True))
    upper = sum(w * (part.lost.upper or 0.0) for w, part in zip(of, parts, strict=True))
    return Said(mean, lower, upper), sum(w * part.allowed for w, part in zip(of, parts, strict=True))


def _main(part: Part) -> str:
    """Where most of its calls go."""
    return max(part.shares, key=lambda name: (part.shares[name], name))


def _shared(part: Part) -> str:
    return ", ".join(f"{wording.percent(share)} to {model}" for model, share in sorted(part.shares.items()))


def _considered(part: Part, row: Judged) -> Considered:
    return Considered(
        model=row.measured.model,
        verdict=row.verdict.value,
        pairs=row.measured.pairs,
        difference=row.measured.difference,
        expected=row.expected,
        cost=row.measured.cost,
        why=f"{part.examined.task_type}: {_shared(part)}",
    )
