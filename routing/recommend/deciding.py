"""What follows from all that was worked out: of each task type at most one change, and one experiment. Pure.

All candidates of all task types are believed together (e-BH at RATE), so that adding candidates does not add false
recommendations. What looks broken, and what nobody drew for, gives an experiment at most.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from hashlib import blake2b
from math import ceil, log
from typing import Any, Final

import numpy as np

from finops.core.errors import Invalid
from finops.core.money import to_ledger
from routing.evidence.statistics.betting import LEAST_PAIRS
from routing.evidence.statistics.choosing import believed
from routing.evidence.statistics.paired import two_sided
from routing.evidence.statistics.shrinking import shrunk
from routing.recommend import wording, writing
from routing.recommend.mixing import random_mix
from routing.recommend.types import (
    Advice,
    Considered,
    Examined,
    Flagged,
    Kind,
    Measured,
    Said,
    Saving,
    Trial,
    Verdict,
    Volume,
)
from routing.rules.types import Rule

# Of all that is recommended, the share that is expected to be worse by its margin.
RATE: Final = 0.1
# A candidate that is tried for less than this is not worth the trial.
LEAST_SHARE: Final = 0.02
_CONFIDENCE: Final = 0.9
# Of one candidate alone.
_ALPHA: Final = 0.05
# Evidence that may be looked at after every task takes so many times the tasks to tell four of five times, where one is
# as good (simulated).
_LOOKING: Final = 2.2
MOST_CONSIDERED: Final = 50


@dataclass(frozen=True, slots=True)
class Judged:
    """A candidate of a task type with its verdict among all. `expected` leans on other types."""

    measured: Measured
    verdict: Verdict
    expected: Said | None
    flags: tuple[Flagged, ...]

    @property
    def ratio(self) -> float | None:
        """Of cost, candidate over incumbent; of a completed task where that is known, else of a task."""
        cost = self.measured.cost
        return None if cost is None or cost.ratio is None else cost.ratio.value

    @property
    def cheaper(self) -> bool:
        cost = self.measured.cost
        return cost is not None and cost.ratio is not None and cost.ratio.upper is not None and cost.ratio.upper < 1.0


@dataclass(frozen=True, slots=True)
class Family:
    """All candidates of all task types, judged together: `passed` of so many hypotheses."""

    judged: Mapping[str, tuple[Judged, ...]]
    hypotheses: int
    passed: int

    def more(self, alone: int, log_evidence: float) -> int:
        """How many more tasks tell, where a sample of `alone` would of one candidate alone, looked at once, and so much
        evidence is there already. Evidence on an equal candidate grows evenly; beside all that are believed, the next
        one is believed by what e-BH asks of it.
        """
        asked = max(log((self.hypotheses or 1) / (RATE * (self.passed + 1))), log(1.0 / _ALPHA))
        return ceil(alone * _LOOKING * max(asked - log_evidence, 0.0) / log(1.0 / _ALPHA))


def judged_together(types: Sequence[Examined]) -> Family:
    """Every candidate of every type has its verdict; `hypotheses` is how many were tried at once."""
    tried = [(one, found) for one in types for found in one.candidates if _counts(one, found)]
    passed = believed([found.log_evidence for _, found in tried], rate=RATE)
    good = {(one.task_type, found.model) for (one, found), yes in zip(tried, passed, strict=True) if yes}
    expected = _expected(types)
    judged = {}
    for one in types:
        rows = []
        for found in one.candidates:
            flags = flags_on(one, found.model)
            verdict = Verdict.INCONCLUSIVE
            if flags:
                verdict = Verdict.SUSPECT
            elif found.alone == Verdict.FAIL.value:
                verdict = Verdict.FAIL
            elif found.alone == Verdict.PASS.value and (one.task_type, found.model) in good:
                verdict = Verdict.PASS
            rows.append(Judged(found, verdict, expected.get((one.task_type, found.model)), flags))
        judged[one.task_type] = tuple(rows)
    return Family(judged, len(tried), len(good))


def advice_of(one: Examined, family: Family, *, local: Collection[str] = ()) -> list[Advice]:
    """What is recommended of a task type: a change or that it stays, and an experiment where that may save more.
    `local` are models that are deployed at upstreams with that label.
    """
    rows = family.judged[one.task_type]
    if not rows:
        return []
    good = sorted((row for row in rows if passes(row)), key=lambda row: (row.ratio or 0.0, row.measured.model))
    found = []
    best = good[0] if good else None
    if best is not None:
        found.append(_change(one, best, rows, family, local))
        found += _at_home(one, good[1:], best, rows, family, local)
    saved = 0.0 if best is None or best.ratio is None else 1.0 - best.ratio
    trial = _trial(one, rows, saved, family)
    if trial is not None:
        found.append(_experiment(one, *trial, rows, family))
    elif best is None:
        found.append(_keep(one, rows, family))
    return found


def flags_on(one: Examined, model: str) -> tuple[Flagged, ...]:
    """What stands against believing what is known of a candidate: it is about it, or about the incumbent."""
    return tuple(flag for flag in one.flags if {model, one.incumbent} & set(flag.models))


def basis_of(*parts: object) -> str:
    return blake2b("\0".join(map(repr, parts)).encode(), digest_size=16).hexdigest()


def written(make: Any, *args: Any, **given: Any) -> Rule | None:
    """None where a name is none that a rule may have."""
    try:
        rule: Rule = make(*args, **given)
    except Invalid:
        return None
    return rule


def share_of(volume: Volume, share: float) -> Decimal:
    return to_ledger(volume.spend * Decimal(repr(round(share, 9))))


def saving_of(volume: Volume, share: Said, random: float | None) -> Saving:
    """A month's, of a share of what was spent."""
    return Saving(
        amount=share_of(volume, share.value),
        lower=None if share.lower is None else share_of(volume, share.lower),
        upper=None if share.upper is None else share_of(volume, share.upper),
        share=share,
        random_mix=random,
        random_mix_amount=None if random is None else share_of(volume, random),
    )


def considered_of(one: Examined, rows: Sequence[Judged], chosen: str) -> tuple[Considered, ...]:
    """The best first."""
    order = [Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.SUSPECT, Verdict.FAIL]
    ranked = sorted(rows, key=lambda row: (order.index(row.verdict), row.ratio or 9e9, row.measured.model))
    return tuple(
        Considered(
            model=row.measured.model,
            verdict=row.verdict.value,
            pairs=row.measured.pairs,
            difference=row.measured.difference,
            expected=row.expected,
            cost=row.measured.cost,
            why="" if row.measured.model == chosen else _why_not(row, one.margin),
        )
        for row in ranked[:MOST_CONSIDERED]
    )


def _counts(one: Examined, found: Measured) -> bool:
    """Whether it is among those that are tried at once."""
    return found.randomised and found.clusters >= LEAST_PAIRS and not flags_on(one, found.model)


def passes(row: Judged) -> bool:
    """Whether it is as good, together with all that are believed, and cheaper."""
    return row.verdict is Verdict.PASS and row.cheaper


def _expected(types: Sequence[Examined]) -> dict[tuple[str, str], Said]:
    """Differences that lean on those of the same two models in other task types."""
    groups: dict[tuple[str, str], list[tuple[str, float, float]]] = {}
    for one in types:
        for found in one.candidates:
            if found.difference is not None and found.error and not flags_on(one, found.model):
                row = (one.task_type, found.difference.value, found.error)
                groups.setdefault((one.incumbent, found.model), []).append(row)
    told = {}
    z = two_sided(_CONFIDENCE)
    for (_, model), rows in groups.items():
        leaning = shrunk(np.array([mean for _, mean, _ in rows]), np.array([error for *_, error in rows]))
        for (task_type, _, _), mean, error in zip(rows, leaning.means, leaning.errors, strict=True):
            told[task_type, model] = Said(float(mean), float(mean - z * error), float(mean + z * error))
    return told


def _why_not(row: Judged, margin: float) -> str:
    if row.flags:
        return row.flags[0].reason
    if row.verdict is Verdict.FAIL:
        return "it is worse by more than the margin"
    if not row.measured.randomised:
        return "only calls are known of it that nobody drew for: they may suggest an experiment, and nothing else"
    if row.verdict is Verdict.INCONCLUSIVE and row.expected is not None and row.expected.value < -margin:
        return "it is expected to be worse by more than the margin, and that is not sure yet"
    if row.verdict is Verdict.INCONCLUSIVE:
        return "what is known does not tell yet whether it is as good"
    return "it is as good, and another one is cheaper" if row.cheaper else "it is as good, and not shown to be cheaper"


def _change(
    one: Examined, row: Judged, rows: Sequence[Judged], family: Family, local: Collection[str], kind: Kind | None = None
) -> Advice:
    candidate = row.measured.model
    if kind is None:
        name, effort = writing.effort_of(candidate)
        kind = Kind.LOCAL if name in local else Kind.EFFORT if effort and name in one.asked else Kind.SWITCH
    rule = written(writing.moving, one.task_type, one.asked, candidate, kind=kind.value, local=kind is Kind.LOCAL)
    ratio = row.measured.cost.ratio if row.measured.cost else None
    assert ratio is not None  # noqa: S101 - what passes is cheaper
    share = Said(
        1.0 - ratio.value,
        None if ratio.upper is None else 1.0 - ratio.upper,
        None if ratio.lower is None else 1.0 - ratio.lower,
    )
    saving = saving_of(one.volume, share, _mix(one, candidate))
    mixed = wording.mixed(saving)
    reasons = [
        wording.quality(row.measured, one.margin),
        wording.cost(row.measured.cost),
        wording.saved(saving, one.volume),
        *([mixed] if mixed else []),
        wording.believed(row.measured, row.verdict, family.hypotheses),
        *([] if rule else ["A name in it is none that a rule may have: nothing can be applied."]),
    ]
    return _advice(
        one, kind, row, rows, in_words=wording.moved(kind, one.task_type, one.incumbent, candidate), reasons=reasons,
        saving=saving, rule=None if rule is None else writing.plain(rule),
        yaml="" if rule is None else writing.document(rule),
    )  # fmt: skip


def _at_home(
    one: Examined,
    others: Sequence[Judged],
    best: Judged,
    rows: Sequence[Judged],
    family: Family,
    local: Collection[str],
) -> list[Advice]:
    """Beside a switch to somewhere else, one that stays in the house."""
    if best.measured.model in local:
        return []
    mine = [row for row in others if row.measured.model in local]
    return [_change(one, row, rows, family, local, Kind.LOCAL) for row in mine[:1]]


def _mix(one: Examined, candidate: str) -> float | None:
    quality = {point.model: point.quality for point in one.points}
    usual, mine = quality.get(one.incumbent), quality.get(candidate)
    if not usual or mine is None:
        return None
    suspect = {model for flag in one.flags for model in flag.models}
    trusted = [point for point in one.points if point.model not in suspect and point.tasks >= LEAST_PAIRS]
    return random_mix(trusted, one.incumbent, kept=mine / usual, without=candidate)


def _trial(one: Examined, rows: Sequence[Judged], saved: float, family: Family) -> tuple[Judged, Trial] | None:
    """The candidate that may save most beyond what is saved already, and what it takes to tell."""
    usual = one.incumbent_cost
    if usual is None and one.volume.calls and one.volume.currency == "USD":
        usual = float(one.volume.spend / one.volume.calls)
    best: tuple[bool, float, str, Judged, float | None] | None = None
    for row in rows:
        share = _share(row, usual)
        if row.verdict not in (Verdict.INCONCLUSIVE, Verdict.SUSPECT) or (share is not None and share < LEAST_SHARE):
            continue
        if row.verdict is Verdict.INCONCLUSIVE and row.expected is not None and row.expected.value < -one.margin:
            continue
        if share is None and not row.measured.randomised:
            continue
        if (share or 0.0) < saved + LEAST_SHARE and saved > 0:
            continue
        # What is measured and not broken is nearer to an answer than what is not.
        rank = (row.verdict is Verdict.INCONCLUSIVE and row.measured.randomised, share or 0.0, row.measured.model)
        if best is None or rank > best[:3]:
            best = (*rank, row, share)
    if best is None:
        return None
    row, share = best[3], best[4]
    tasks = max(family.more(row.measured.needed, 0.0 if row.flags else row.measured.log_evidence), LEAST_PAIRS)
    both = None if usual is None or row.measured.own_cost is None else usual + row.measured.own_cost
    cost = None if both is None else to_ledger(Decimal(repr(round(both, 9))) * tasks)
    return row, Trial(tasks=tasks, cost=cost, share=share)


def _share(row: Judged, usual: float | None) -> float | None:
    """What would be saved; None where nobody knows."""
    if row.ratio is not None:
        return 1.0 - row.ratio
    if not usual or row.measured.own_cost is None:
        return None
    return 1.0 - row.measured.own_cost / usual


def _experiment(one: Examined, row: Judged, trial: Trial, rows: Sequence[Judged], family: Family) -> Advice:
    reasons = []
    if row.flags:
        reasons.append(f"What is known looks broken, and is not believed: {row.flags[0].reason}.")
    elif not row.measured.randomised:
        reasons.append(
            f"{row.measured.model} is known by calls alone that nobody drew for. Which calls went to it may be why they"
            " went well or badly, so that they say nothing of a switch."
        )
    else:
        reasons += [
            wording.quality(row.measured, one.margin),
            wording.believed(row.measured, row.verdict, family.hypotheses),
        ]
        if row.expected is not None and row.measured.clusters < LEAST_PAIRS:
            reasons.append(wording.expected(row.expected, row.measured.pairs, one.incumbent))
    if trial.share is not None:
        reasons.append(f"Should it be as good, {wording.percent(trial.share)} of what the incumbent costs is saved.")
    said = wording.tried(one.task_type, one.incumbent, row.measured.model, trial)
    return _advice(one, Kind.EXPERIMENT, row, rows, in_words=said, reasons=reasons, trial=trial)


def _keep(one: Examined, rows: Sequence[Judged], family: Family) -> Advice:
    broken = next((flag for flag in one.flags if one.incumbent in flag.models), None)
    if broken is not None:
        reasons = [f"What is known of {one.incumbent} looks broken, and is not believed: {broken.reason}."]
    else:
        reasons = [f"{row.measured.model}: {_why_not(row, one.margin)}." for row in rows[:MOST_CONSIDERED]]
    return _advice(one, Kind.KEEP, None, rows, in_words=wording.kept(one), reasons=reasons)


def _advice(
    one: Examined, kind: Kind, row: Judged | None, rows: Sequence[Judged], *, in_words: str, reasons: Sequence[str],
    **given: Any,
) -> Advice:  # fmt: skip
    candidate = "" if row is None else row.measured.model
    considered = considered_of(one, rows, candidate)
    if row is not None:
        mine = row.measured
        given |= {"pairs": mine.pairs, "clusters": mine.clusters, "difference": mine.difference, "cost": mine.cost}
    return Advice(
        kind=kind.value,
        task_type=one.task_type,
        task_types=(one.task_type,),
        incumbent=one.incumbent,
        candidate=candidate,
        # Of what stays it is that of the best there was to change to.
        verdict=considered[0].verdict if row is None else row.verdict.value,
        basis=basis_of(one.task_type, one.version, one.incumbent),
        evidence_version=one.version,
        in_words=in_words,
        reasons=tuple(reasons),
        volume=one.volume,
        margin=one.margin,
        margin_from=one.margin_from,
        flags=tuple(flag for flag in one.flags if row is None or {candidate, one.incumbent} & set(flag.models)),
        considered=considered,
        **given,
    )
