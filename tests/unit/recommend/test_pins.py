"""Sub-agents are pinned to a class only where every model that it stands for is as good, and where they make calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import pytest

from routing.recommend.deciding import judged_together
from routing.recommend.pins import Handed, pinned
from routing.recommend.types import Advice
from routing.rules.document import imported
from routing.rules.rules import read
from routing.rules.types import Use
from tests.factories.recommend import CHEAP, COSTS, STRONG, coins, tried, worked_out

TINY = "tiny"
HALF = Handed(calls=4_000, handed=3_000, share=0.5)


def asked(
    quality: Mapping[str, float], classes: Mapping[str, Sequence[str]], *, handed: Handed | None = HALF
) -> Advice | None:
    scores = coins({STRONG: 0.9, **quality}, 1_500)
    one = worked_out(tried(scores, costs=COSTS | {TINY: 0.004}))
    told = {} if handed is None else {("triage", STRONG): handed}
    return pinned(one, judged_together([one]), classes, told)


def test_each_of_the_class_is_as_good() -> None:
    found = asked({CHEAP: 0.9, TINY: 0.9}, {"light": (CHEAP, TINY), "frontier": (STRONG,)})
    assert found is not None
    assert (found.kind, found.candidate, found.verdict, found.incumbent) == ("pin", "tier:light", "pass", STRONG)
    # Half of the spend, at the dearest of the class: a fifth of the price.
    assert (found.volume.calls, found.volume.spend) == (7_500, Decimal(500))
    assert float(found.saving.amount) == pytest.approx(400, abs=10)
    rule = read(found.rule)
    assert imported(found.yaml) == (rule,)
    assert (rule.when.models, rule.when.task_types, rule.when.subagent) == ((STRONG,), ("triage",), True)
    assert rule.use == (Use(model="tier:light"), Use(model=STRONG))
    said = " ".join(found.reasons)
    assert f"{CHEAP}, {TINY}" in said
    assert "50 % of what the newest 4,000 calls" in said


@pytest.mark.parametrize(
    ("quality", "classes"),
    [
        ({CHEAP: 0.9, TINY: 0.7}, {"light": (CHEAP, TINY)}),
        ({CHEAP: 0.9}, {"light": (CHEAP, "never measured")}),
        ({CHEAP: 0.9}, {"light": ()}),
        ({CHEAP: 0.9}, {"frontier": (STRONG, CHEAP)}),
        ({CHEAP: 0.9}, {}),
    ],
    ids=["one is worse", "one was never tried", "nobody is in it", "the incumbent is in it", "nothing is served"],
)
def test_a_class_that_is_not_known_to_be_as_good(
    quality: Mapping[str, float], classes: Mapping[str, Sequence[str]]
) -> None:
    assert asked(quality, classes) is None


@pytest.mark.parametrize(
    "handed",
    [None, Handed(4_000, 0, 0.0), Handed(4_000, 40, 0.01), Handed(99, 99, 1.0)],
    ids=["nobody knows", "none", "hardly any", "too few calls"],
)
def test_where_sub_agents_make_no_calls_there_is_nothing_to_pin(handed: Handed | None) -> None:
    assert asked({CHEAP: 0.9}, {"light": (CHEAP,)}, handed=handed) is None


def test_the_cheapest_class_that_is_as_good() -> None:
    found = asked({CHEAP: 0.9, TINY: 0.9}, {"mid": (TINY,), "light": (CHEAP,)})
    assert found is not None
    assert found.candidate == "tier:light"
