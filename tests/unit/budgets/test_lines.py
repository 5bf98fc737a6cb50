"""What is made of a database that cannot do it now: tried again where others were in the way, and never called away."""

from __future__ import annotations

import django.db
import psycopg
import pytest
from psycopg.errors import AdminShutdown, DeadlockDetected, LockNotAvailable, QueryCanceled, SerializationFailure

from finops.budgets.lines import Busy, in_the_way, tried

OTHERS = (LockNotAvailable("busy"), DeadlockDetected("a circle"), SerializationFailure("somebody was quicker"))


class Act:
    """Fails so often before it is done."""

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)
        self.turns = 0

    def __call__(self) -> str:
        self.turns += 1
        if self._errors:
            raise self._errors.pop(0)
        return "done"


@pytest.mark.parametrize("error", OTHERS)
def test_who_was_in_the_way_once_is_gone_the_next_time(error: Exception) -> None:
    assert tried(Act(error)) == "done"


@pytest.mark.parametrize("error", OTHERS)
def test_others_who_stay_in_the_way_are_no_database_that_is_away(error: Exception) -> None:
    act = Act(error, error, error)
    with pytest.raises(Busy) as busy:
        tried(act)
    assert act.turns == 2
    assert not isinstance(busy.value, psycopg.Error)
    assert "away" not in busy.value.message


def test_what_took_as_long_as_it_may_is_not_begun_again() -> None:
    act = Act(QueryCanceled("too long"))
    with pytest.raises(Busy):
        tried(act)
    assert act.turns == 1


@pytest.mark.parametrize("error", [psycopg.OperationalError("lost"), AdminShutdown("restarted"), KeyError("a mistake")])
def test_what_nobody_knows_the_outcome_of_is_not_tried_again(error: Exception) -> None:
    act = Act(error)
    with pytest.raises(type(error)):
        tried(act)
    assert act.turns == 1


def test_what_django_says_is_known_by_what_the_driver_said() -> None:
    error = django.db.OperationalError("deadlock detected")
    assert not in_the_way(error)
    error.__cause__ = DeadlockDetected("deadlock detected")
    assert in_the_way(error)
