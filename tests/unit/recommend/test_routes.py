"""A rule over several types: what none of them tells alone, all of them together may."""

from __future__ import annotations

from decimal import Decimal

import numpy as np

from routing.evidence.types import Flag, TypeEvidence
from routing.recommend import routes
from routing.recommend.deciding import judged_together
from routing.recommend.routes import Sample, sample_of
from routing.recommend.types import Advice, Examined, Volume
from routing.rules.document import imported
from routing.rules.policy import Chooser
from routing.rules.rules import read
from tests.factories.recommend import CHEAP, COSTS, SPENT, STRONG, coins, tried, worked_out


def several(qualities: dict[str, float], *, number: int = 150, seed: int = 0) -> list[TypeEvidence]:
    """By task type, how many tasks the cheap model does; the strong one does 85 of 100."""
    return [
        tried(coins({STRONG: 0.85, CHEAP: cheap}, number, seed * 100 + place), task_type=name)
        for place, (name, cheap) in enumerate(qualities.items())
    ]


def learned(types: list[TypeEvidence], **given: dict[str, list[Flag]]) -> tuple[list[Examined], Advice | None]:
    known = [worked_out(one, flags=given.get("flags", {}).get(one.task_type, [])) for one in types]
    [*groups] = routes.groups(known, judged_together(known), frozenset())
    samples: dict[str, Sample] = {
        one.task_type: sample for one in types if (sample := sample_of(one, STRONG)) is not None
    }
    return known, routes.routed(groups[0], samples) if groups else None


def test_types_that_tell_too_little_alone_are_moved_together() -> None:
    known, found = learned(several({f"type-{n}": 0.87 for n in range(10)}, number=60))
    assert all(one.candidates[0].alone == "inconclusive" for one in known)
    assert found is not None
    assert (found.kind, found.task_type, found.incumbent, found.candidate) == ("route", "", STRONG, CHEAP)
    assert len(found.task_types) == 10
    rule = read(found.rule)
    assert imported(found.yaml) == (rule,)
    assert (rule.when.models, rule.when.task_types) == ((STRONG,), found.task_types)
    assert rule.policy is not None
    assert {Chooser(rule.policy).choose(name, 0, 0.5).model for name in found.task_types} == {CHEAP}
    # All of them together: ten times a thousand dollars, of which about nine tenths.
    assert found.volume.spend == 10 * SPENT.spend
    assert Decimal(8_500) < found.saving.amount < Decimal(9_500)


def test_types_that_are_worse_stay_where_they_are() -> None:
    qualities = {f"good-{n}": 0.87 for n in range(8)} | {f"bad-{n}": 0.3 for n in range(4)}
    _, found = learned(several(qualities))
    assert found is not None
    assert all(name.startswith("good") for name in found.task_types)


def test_what_looks_broken_is_not_learned_from() -> None:
    types = several({f"type-{n}": 0.87 for n in range(6)})
    flags = {"type-0": [Flag("truncated_run", "cut", "type-0", (CHEAP,))]}
    _, found = learned(types, flags=flags)
    assert found is None or "type-0" not in found.task_types
    _, none = learned(types, flags={one.task_type: flags["type-0"] for one in types})
    assert none is None


def test_one_type_alone_is_no_rule_and_nor_is_none() -> None:
    assert learned(several({"only": 0.87}))[1] is None
    assert routes.groups([], judged_together([]), frozenset()) == []


def test_quality_is_not_sold() -> None:
    """A quarter of the calls at a model that is 15 points worse would keep 95 % of quality, and is no advice."""
    assert learned(several({f"type-{n}": 0.7 for n in range(10)}, number=60))[1] is None


def moved(found: Advice, truth: dict[str, float]) -> float:
    """The true difference over all calls of the types that are moved."""
    policy = read(found.rule).policy
    assert policy is not None
    chooser = Chooser(policy)
    lost = 0.0
    for name in found.task_types:
        for draw, share in ((0.0, policy.share), (0.999999, 1 - policy.share)):
            lost += share * (truth[name] - 0.85) * (chooser.choose(name, 0, draw).model == CHEAP)
    return lost / len(found.task_types)


def test_what_is_moved_is_truly_within_the_margin() -> None:
    """Of types of which the truth is drawn, some better and most worse than the strong model."""
    found = []
    for seed in range(40):
        drawn = np.random.default_rng(seed)
        truth = {f"type-{n}": float(np.clip(0.85 + drawn.normal(-0.04, 0.06), 0.3, 0.98)) for n in range(12)}
        _, rule = learned(several(truth, number=120, seed=seed))
        if rule is not None:
            found.append(moved(rule, truth))
    assert len(found) >= 5
    assert np.mean(np.array(found) >= -0.05) >= 0.9


def test_types_that_are_all_worse_are_not_moved_for_some_of_them_were_lucky() -> None:
    """The cheap model is 10 points worse on each; of 30 types some look as good on 40 tasks."""
    wrong = 0
    for seed in range(20):
        _, rule = learned(several({f"type-{n}": 0.75 for n in range(30)}, number=40, seed=seed))
        wrong += rule is not None
    assert wrong <= 2


def test_the_basis_changes_with_evidence_and_the_stamp_with_volume_too() -> None:
    types = several({"a": 0.87, "b": 0.87})
    known = [worked_out(one) for one in types]
    [one] = routes.groups(known, judged_together(known), frozenset())
    more = [worked_out(of, volume=Volume(calls=1, spend=Decimal(5), currency="USD")) for of in types]
    [other] = routes.groups(more, judged_together(more), frozenset())
    assert (one.basis == other.basis, one.stamp == other.stamp) == (True, False)
    later = [worked_out(of._replace(version=2)) for of in types]
    [third] = routes.groups(later, judged_together(later), frozenset())
    assert third.basis != one.basis
    assert COSTS[CHEAP] < COSTS[STRONG]
