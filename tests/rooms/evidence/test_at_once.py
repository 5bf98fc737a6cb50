"""Many who say the same at once: it is recorded once, and counted once."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from django.db import connection

from routing.evidence.models import Evaluation, Outcome, TypeVersion
from routing.evidence.types import Recorded
from tests.factories.evidence import STRONG, outcome, recorded
from tests.factories.orgs import NOON, the_cast

AT_ONCE = 4
ITEMS = 300


def together(work: Callable[[int], Recorded]) -> list[Recorded]:
    gate, found = threading.Barrier(AT_ONCE), list[Recorded]()

    def one(number: int) -> None:
        try:
            gate.wait()
            found.append(work(number))
        finally:
            connection.close()

    threads = [threading.Thread(target=one, args=(number,)) for number in range(AT_ONCE)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return found


@pytest.mark.django_db(transaction=True)
def test_the_same_run_sent_four_times_at_once_is_recorded_once() -> None:
    acme = the_cast().acme.id
    drafts = [outcome(f"{n}", STRONG) for n in range(ITEMS)]
    # Each in an order of its own: nobody waits for each other in a circle.
    found = together(lambda number: recorded(acme, drafts if number % 2 else drafts[::-1], at=NOON))
    assert len(found) == AT_ONCE
    assert sum(len(one.new) for one in found) == ITEMS
    assert sum(len(one.repeated) for one in found) == (AT_ONCE - 1) * ITEMS
    assert (
        Outcome.objects.count() == Evaluation.objects.get().outcome_count == TypeVersion.objects.get().outcomes == ITEMS
    )


@pytest.mark.django_db(transaction=True)
def test_runs_of_several_task_types_at_once_count_all_of_them() -> None:
    acme = the_cast().acme.id
    types = [f"type-{n}" for n in range(20)]

    def work(number: int) -> Recorded:
        order = types if number % 2 else types[::-1]
        return recorded(
            acme,
            [outcome("1", task_type=one) for one in order[:1]] + [outcome(one, task_type=one) for one in order],
            at=NOON,
            name=f"run {number}",
        )

    assert len(together(work)) == AT_ONCE
    assert sum(one.outcomes for one in TypeVersion.objects.all()) == AT_ONCE * 21
