"""Where a month went by tier, maker and origin, and what of frontier is needed by what was measured."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from routing.bills.needing import Needs
from routing.bills.shares import portions, shares_of
from routing.bills.types import Mix, Need, Shares, Told
from routing.evidence.types import Flag
from routing.recommend.deciding import judged_together
from routing.recommend.types import Examined
from routing.tiers.hot import Register
from routing.tiers.types import Entry, Tier
from tests.factories.bills import CLAUDE, GPT, MINI, line, mix, register
from tests.factories.recommend import coins, tried, worked_out
from tests.unit.bills.test_rating import months

NOBODY_KNOWS = Told(need=Need.UNKNOWN, why="")


def shares(found: Mix) -> Shares:
    return shares_of(found, register(), lambda *_: NOBODY_KNOWS)


@given(months)
def test_shares_add_up_to_one(found: Mix) -> None:
    told = shares(found)
    spent, called = told.spend > 0, told.calls > 0
    for slices in (told.tiers, told.vendors, told.origins):
        assert sum((one.spend_share for one in slices), Decimal(0)) == (1 if spent else 0)
        assert sum((one.call_share for one in slices), Decimal(0)) == (1 if called else 0)
        assert sum((one.spend for one in slices), Decimal(0)) == told.spend == sum(one.spend for one in found.lines)
        assert sum(one.calls for one in slices) == told.calls
    frontier = next(one for one in told.tiers if one.key == Tier.FRONTIER)
    assert sum((one.spend for one in told.needs), Decimal(0)) == frontier.spend
    assert sum(one.calls for one in told.needs) == frontier.calls
    assert sum((one.spend for one in told.types), Decimal(0)) == told.spend
    for one in told.types:
        assert sum((each.spend for each in one.tiers), Decimal(0)) == one.spend


@given(st.dictionaries(st.text(max_size=3), st.integers(0, 10**30), max_size=9))
def test_portions_are_whole(weights: dict[str, int]) -> None:
    found = portions(weights)
    assert found.keys() == weights.keys()
    assert sum(found.values(), Decimal(0)) == (1 if any(weights.values()) else 0)
    assert all(share >= 0 for share in found.values())


def test_by_tier_maker_and_origin() -> None:
    told = shares(mix(
        line(spend=Decimal(6)), line(CLAUDE, spend=Decimal(2)), line(MINI, spend=Decimal(1), calls=7),
        line(MINI, spend=Decimal(0), unpriced=True, calls=1),
    ))  # fmt: skip
    assert {one.key: (one.spend_share, one.call_share) for one in told.tiers} == {
        "frontier": (Decimal("0.8889"), Decimal("0.2")), "mid": (0, 0), "light": (Decimal("0.1111"), Decimal("0.8")),
    }  # fmt: skip
    # Nobody knows who makes a model called gpt.
    assert [(one.key, one.title, one.spend) for one in told.vendors] == [
        ("Unknown", "Unknown", Decimal(6)), ("anthropic", "Anthropic", Decimal(2)), ("openai", "OpenAI", Decimal(1)),
    ]  # fmt: skip
    assert [(one.key, one.spend) for one in told.origins] == [("Unknown", Decimal(6)), ("US", Decimal(3))]
    assert told.unpriced_calls == 1
    assert told.guessed_spend == 0


def test_spend_without_a_model_is_its_own_part() -> None:
    shared = line(GPT, spend=Decimal(1))
    told = shares(mix(line(spend=Decimal(3)), type(shared)(
        day=shared.day, provider="", model="", calls=0, counts=(0,) * len(shared.counts), spend=Decimal(1),
    )))  # fmt: skip
    assert {one.title: one.spend_share for one in told.tiers}["No model"] == Decimal("0.25")


def tiers() -> Register:
    return Register([
        Entry(model="strong", tier=Tier.FRONTIER), Entry(model="other", tier=Tier.FRONTIER),
        Entry(model="cheap*", tier=Tier.LIGHT),
    ])  # fmt: skip


def told(one: Examined | None, model: str = "strong", task_type: str = "triage") -> Told:
    types = {} if one is None else {one.task_type: one}
    return Needs(types, judged_together(list(types.values())), tiers()).told(task_type, model)


def measured(number: int = 1_500, /, **others: float) -> Examined:
    costs = {"strong": 0.02} | dict.fromkeys(others, 0.002)
    return worked_out(tried(coins({"strong": 0.9} | others, number), costs=costs))


def test_needed_where_every_cheaper_one_fails() -> None:
    found = told(measured(cheap=0.5, cheap2=0.6))
    assert (found.need, found.candidates) == (Need.NEEDS, ("cheap", "cheap2"))


def test_not_needed_where_one_of_them_is_as_good() -> None:
    found = told(measured(cheap=0.5, cheap2=0.9))
    assert (found.need, found.why) == (Need.DOES_NOT, "As good there: cheap2.")


def test_unknown_is_never_taken_for_not_needed() -> None:
    open_ = told(measured(60, cheap=0.9))
    assert open_.need is Need.UNKNOWN
    assert open_.tasks is not None
    assert open_.tasks > 100
    assert open_.cost is not None
    assert open_.cost > 0
    # One that fails and one that is open: nobody knows.
    assert told(measured(60, cheap=0.9, cheap2=0.1)).need is Need.UNKNOWN
    for unmeasured in (told(None), told(measured(cheap=0.9), model="other"), told(measured(other=0.9))):
        assert unmeasured.need is Need.UNKNOWN
        assert unmeasured.tasks
        assert unmeasured.cost is None
    assert told(None, task_type="").tasks is None


def test_what_looks_broken_is_not_believed() -> None:
    flag = Flag("format_collapse", "all its scores are the same", "triage", ("cheap",))
    evidence = tried(coins({"strong": 0.9, "cheap": 0.1}, 1_500))
    found = told(worked_out(evidence, flags=[flag]))
    assert found.need is Need.UNKNOWN
    assert "looks broken" in found.why


def test_the_incumbent_asked_to_think_less_is_no_cheaper_tier() -> None:
    assert told(measured(**{"strong@low": 0.9})).need is Need.UNKNOWN
