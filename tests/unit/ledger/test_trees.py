"""Whatever clients say of who is below whom, every sub-agent stands in the tree once, and the costs add up."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from finops.ledger.rules.trees import Work, tree

NOON = datetime(2026, 10, 14, 12, tzinfo=UTC)
SESSION = "fix-the-build"


def work(agent: str, parent: str = "", cost: int = 1) -> Work:
    return Work(agent, parent, "", NOON, NOON, 1, 1000, 0, 200, Decimal(cost), (), ())


def drawn(*works: Work) -> list[tuple[str, int, int]]:
    return [(one.work.agent, one.depth, int(one.cost_with_below)) for one in tree(SESSION, works)]


def test_a_session_its_sub_agents_and_theirs() -> None:
    found = drawn(
        work(""), work("plan", cost=2), work("search", "plan", 5), work("read", "search", 7), work("test", cost=3)
    )
    assert found == [("", 0, 18), ("plan", 1, 14), ("search", 2, 12), ("read", 3, 7), ("test", 1, 3)]


def test_a_parent_that_is_the_session_or_made_no_call_is_the_session() -> None:
    assert drawn(work("plan", SESSION), work("test", "gone")) == [("plan", 1, 1), ("test", 1, 1)]


def test_a_circle_is_opened_at_its_costliest() -> None:
    found = drawn(work("a", "c", 1), work("b", "a", 3), work("c", "b", 2), work("d", "c", 4))
    assert found == [("b", 1, 10), ("c", 2, 7), ("d", 3, 4), ("a", 3, 1)]
    assert drawn(work("a", "a")) == [("a", 1, 1)]


def test_one_deeper_than_any_stack() -> None:
    found = drawn(*(work(str(one), str(one - 1)) for one in range(1, 3_000)))
    assert found[-1] == ("2999", 2_999, 1)
    assert found[0] == ("1", 1, 2_999)


NAMES = st.sampled_from(["a", "b", "c", "d", "e", SESSION, "gone", ""])


@given(st.dictionaries(st.sampled_from(["", "a", "b", "c", "d", "e"]), st.tuples(NAMES, st.integers(-5, 50))))
def test_every_one_is_there_once_below_its_own_parent_and_the_costs_add_up(said: dict[str, tuple[str, int]]) -> None:
    branches = tree(SESSION, [work(agent, parent, cost) for agent, (parent, cost) in said.items()])
    assert sorted(one.work.agent for one in branches) == sorted(said)
    total = sum(cost for _, cost in said.values())
    assert sum(one.cost_with_below for one in branches if one.depth == (0 if "" in said else 1)) == total
    last_at_depth = {0: ""}
    for one in branches:
        last_at_depth[one.depth] = one.work.agent
        if one.depth == 0:
            continue
        assert one.parent == last_at_depth[one.depth - 1]
        below = [other.cost_with_below for other in branches if other.depth > 0 and other.parent == one.work.agent]
        assert one.cost_with_below == one.work.reporting_cost + sum(below)
