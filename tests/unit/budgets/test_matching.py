"""Whom a budget concerns."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from finops.budgets.rules.matching import Matcher, limit_of, subject_of
from finops.budgets.types import Account, Call, Enforcement, Period, Terms

START = datetime(2026, 11, 1, tzinfo=UTC)
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
# Engineering (1) has Search (2), which has Ranking (3); Sales (4) stands beside it.
ABOVE = {1: frozenset({1}), 2: frozenset({1, 2}), 3: frozenset({1, 2, 3}), 4: frozenset({4})}
BOBS_CALL = Call(team=3, person=7, project=5, key=9, provider="anthropic", model="claude-opus-4-5", session="s-1")


def terms(each: str = "", **given: object) -> Terms:
    period = Period.SESSION if each == "session" else Period.MONTH
    return Terms(1, 1, 100, period, Enforcement.HARD, START, each=each, **given)  # type: ignore[arg-type]


def scope(**dimensions: str) -> dict[str, frozenset[str]]:
    return {name: frozenset(values.split()) for name, values in dimensions.items()}


@pytest.mark.parametrize(
    ("allowed", "concerned"),
    [
        ({}, True),
        (scope(team="3"), True),
        (scope(team="1"), True),
        (scope(team="4 1"), True),
        (scope(team="4"), False),
        (scope(person="7"), True),
        (scope(person="8"), False),
        (scope(provider="anthropic", model="claude-opus-4-5"), True),
        (scope(provider="anthropic", model="claude-haiku-4-5"), False),
        (scope(agent="0"), True),
        (scope(team="1", agent="6"), False),
    ],
)
def test_all_of_a_scope_must_match_and_a_team_is_all_below_it(
    allowed: dict[str, frozenset[str]], concerned: bool
) -> None:
    assert subject_of(terms(scope=allowed), BOBS_CALL, ABOVE) == ("" if concerned else None)


@pytest.mark.parametrize(
    ("each", "subject"), [("person", "7"), ("team", "3"), ("model", "claude-opus-4-5"), ("session", "s-1")]
)
def test_each_has_an_account_of_its_own(each: str, subject: str) -> None:
    assert subject_of(terms(each), BOBS_CALL, ABOVE) == subject


def test_leaving_out_one_s_name_is_no_way_round_a_cap() -> None:
    nobody = BOBS_CALL._replace(person=0, model="", session="")
    assert subject_of(terms("person"), nobody, ABOVE) == "0"
    assert subject_of(terms("model"), nobody, ABOVE) == "-"
    assert subject_of(terms("session"), nobody, ABOVE) is None


def test_who_is_exempt_is_not_concerned_and_who_has_a_limit_has_that() -> None:
    budget = terms("person", exempt=frozenset({"7"}), limits={"8": 500})
    assert subject_of(budget, BOBS_CALL, ABOVE) is None
    assert limit_of(budget, "8") == 500
    assert limit_of(budget, "9") == 100


def test_a_call_is_charged_to_every_budget_that_concerns_it() -> None:
    budgets = [terms(), terms(scope=scope(team="4")), terms("person"), terms("session")]
    matcher = Matcher(budgets, ABOVE)
    expected = [Account(1, "", START), Account(1, "7", START), Account(1, "s-1", START)]
    for _ in range(2):
        assert [account for _, account in matcher.accounts(BOBS_CALL, NOON)] == expected
