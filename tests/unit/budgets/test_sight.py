"""Whose accounts a caller may see."""

from __future__ import annotations

import pytest

from finops.budgets.rules.sight import Sight, sees, subjects_seen

SEARCH, CHAT, BOB, ALICE, ANSWERS, CRAWLER, BOBS_KEY = 1, 2, 7, 8, 20, 30, 40

OWNER = Sight(people=True)
VIEWER = Sight(people=False, own={"person": frozenset({9})}, own_anywhere=True)
ENGINEER = Sight(
    people=False,
    reach={"team": frozenset({SEARCH})},
    own={"person": frozenset({BOB}), "key": frozenset({BOBS_KEY})},
    belongs={"project": frozenset({ANSWERS}), "agent": frozenset({CRAWLER})},
    own_anywhere=True,
)
LEAD = Sight(
    people=True,
    reach={"team": frozenset({SEARCH})},
    belongs={"person": frozenset({BOB}), "project": frozenset({ANSWERS})},
    own_anywhere=True,
)
BOUND_KEY = Sight(
    people=False, reach={"team": frozenset({SEARCH}), "person": frozenset({BOB})}, own={"person": frozenset({BOB})}
)


@pytest.mark.parametrize(
    ("sight", "scope", "each", "seen"),
    [
        (OWNER, {}, "person", None),
        (OWNER, {"team": ["1"]}, "", None),
        (VIEWER, {}, "", None),
        (VIEWER, {"team": ["1"]}, "model", None),
        (VIEWER, {}, "person", {"9"}),
        (VIEWER, {}, "key", set()),
        (VIEWER, {"person": ["7"]}, "", set()),
        (ENGINEER, {}, "", set()),
        (ENGINEER, {}, "model", set()),
        (ENGINEER, {}, "team", {"1"}),
        (ENGINEER, {"team": ["1"]}, "", None),
        (ENGINEER, {"team": ["1"]}, "model", None),
        (ENGINEER, {"team": ["1", "2"]}, "", set()),
        (ENGINEER, {"team": ["1", "0"]}, "", set()),
        (ENGINEER, {"team": ["1"]}, "person", {"7"}),
        (ENGINEER, {}, "person", {"7"}),
        (ENGINEER, {}, "key", {"40"}),
        (ENGINEER, {}, "project", {"20"}),
        (ENGINEER, {}, "agent", {"30"}),
        (ENGINEER, {"person": ["7"]}, "", None),
        (ENGINEER, {"person": ["7", "8"]}, "", set()),
        (LEAD, {}, "person", {"7"}),
        (LEAD, {"team": ["1"]}, "person", None),
        (LEAD, {"team": ["2"]}, "person", {"7"}),
        (LEAD, {"team": ["2"]}, "", set()),
        (BOUND_KEY, {}, "person", set()),
        (BOUND_KEY, {"team": ["1"]}, "person", {"7"}),
        (BOUND_KEY, {"team": ["2"]}, "person", set()),
    ],
)
def test_subjects_within_sight(sight: Sight, scope: dict[str, list[str]], each: str, seen: set[str] | None) -> None:
    found = subjects_seen(sight, scope, each)
    assert found == seen
    for subject in found or ():
        assert sees(sight, scope, each, subject)
