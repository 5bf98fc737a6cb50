"""Spend is what the charges say: however it is grouped, filtered, cut and limited, folded or not, settled or not."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from itertools import combinations
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction

from finops.core.periods import DayRange
from finops.ledger import services
from finops.ledger.columns import MEASURES_OF_CHARGE
from finops.ledger.rules import CUBES, PAIRS, settled_day
from finops.ledger.selectors import spend
from finops.ledger.selectors.spend import TooManyDimensions, UnknownDimension
from finops.ledger.services.reverse import reverse_in_transaction
from finops.ledger.types import DIMENSIONS, Grain, SpendQuestion
from finops.orgs.models import Organization
from tests.factories.orgs import Cast
from tests.factories.postings import AT, ownership, post_all, posting, random_postings

FIRST = date(2026, 8, 3)
DAYS = [FIRST + timedelta(days=index) for index in range(80)]
WHOLE = DayRange(FIRST, DAYS[-1] + timedelta(days=1))
LIMITS = (None, 1, 3, 10)

Row = tuple[Any, ...]


def rows(question: SpendQuestion) -> list[Row]:
    return [
        (
            row.values,
            row.bucket,
            row.currency,
            *(row.calls, row.input_tokens, row.cached_tokens, row.output_tokens),
            *(row.list_cost, row.contracted_cost, row.effective_cost, row.reporting_cost),
        )
        for row in spend(question)
    ]


def by_hand(question: SpendQuestion) -> list[Row]:
    """The same answer from the charges themselves, in the plainest SQL and Python there is."""
    names = [f"{name}_id" for name in question.group_by]
    bucket = {
        Grain.TOTAL: "NULL::date",
        Grain.DAY: "(occurred_at AT TIME ZONE 'UTC')::date",
        Grain.WEEK: "date_trunc('week', occurred_at AT TIME ZONE 'UTC')::date",
        Grain.MONTH: "date_trunc('month', occurred_at AT TIME ZONE 'UTC')::date",
    }[question.grain]
    clauses = [f"{name}_id = ANY(%s)" for name in question.filters]
    where = " AND ".join(["organization_id = %s AND occurred_at >= %s AND occurred_at < %s", *clauses])
    params = [question.organization_id, *question.period.instants(), *map(sorted, question.filters.values())]
    columns = ", ".join([*names, bucket, "currency"])
    places = ", ".join(str(place) for place in range(1, len(names) + 3))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {columns}, {', '.join(MEASURES_OF_CHARGE)} FROM ledger_charge WHERE {where} GROUP BY {places}",
            params,  # type: ignore[arg-type]
        )
        width = len(names)
        found = [(row[:width], row[width], row[width + 1], *row[width + 2 :]) for row in cursor.fetchall()]
    if question.limit is not None and names:
        totals = {values: Decimal(0) for values in {row[0] for row in by_hand_total(question)}}
        for row in by_hand_total(question):
            totals[row[0]] += row[-1]
        kept = sorted(totals, key=lambda values: (-totals[values], values))[: question.limit]
        found = [row for row in found if row[0] in kept]
    found = [row for row in found if any(row[3:])]
    return sorted(found, key=lambda row: (row[1] or date.min, -row[-1], row[0], row[2]))


def by_hand_total(question: SpendQuestion) -> list[Row]:
    return by_hand(SpendQuestion(question.organization_id, question.period, question.group_by, question.filters))


def every_kind_of_question(organization_id: int, seed: int) -> Iterator[SpendQuestion]:
    """Every dimension, every named pair both ways, a good many other pairs; with each grain, limits and filters."""
    rng = random.Random(seed)
    groupings: list[tuple[str, ...]] = [(), *((name,) for name in DIMENSIONS), *PAIRS.values()]
    groupings += [(second, first) for first, second in PAIRS.values()]
    groupings += rng.sample(list(combinations(DIMENSIONS, 2)), 25)
    for grouping in groupings:
        start = rng.randrange(len(DAYS))
        length = rng.choice([1, 7, 30, len(DAYS)])
        period = DayRange(DAYS[start], DAYS[start] + timedelta(days=length)) if rng.random() < 0.7 else WHOLE
        filters = {}
        if rng.random() < 0.5:
            name = rng.choice([*grouping, "person", "model", "team", "project"])
            known = values_of(organization_id, name)
            filters[name] = frozenset(rng.sample(known, min(len(known), rng.choice([1, 2, 3]))))
        grain = rng.choice(list(Grain))
        yield SpendQuestion(organization_id, period, grouping, filters, grain, rng.choice(LIMITS))


def values_of(organization_id: int, name: str) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT DISTINCT {name}_id FROM ledger_charge WHERE organization_id = %s ORDER BY 1", [organization_id]
        )
        return [row[0] for row in cursor.fetchall()]


def check_everything(organization_id: int, seed: int) -> None:
    for question in every_kind_of_question(organization_id, seed):
        assert rows(question) == by_hand(question), question


def reverse_some(organization_id: int, every: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, occurred_at FROM ledger_charge WHERE organization_id = %s AND reverses IS NULL ORDER BY id",
            [organization_id],
        )
        charges = cursor.fetchall()[::every]
    with transaction.atomic():
        reverse_in_transaction(organization_id=organization_id, charges=charges, at=AT)


def test_spend_is_the_charges_at_every_stage_of_their_life(cast: Cast) -> None:
    acme = cast.acme.id
    post_all(acme, random_postings(1, 1500, DAYS[:70]))
    post_all(cast.globex.id, random_postings(2, 200, DAYS))
    check_everything(acme, seed=10)  # nothing folded

    services.fold_all()
    check_everything(acme, seed=11)  # days alone

    assert services.settle_days(organization_id=acme) is not None
    check_everything(acme, seed=12)  # larger blocks

    post_all(acme, random_postings(3, 500, DAYS))  # late ones, and a newer week
    reverse_some(acme, every=7)
    check_everything(acme, seed=13)  # blocks and deltas

    services.fold_all()
    check_everything(acme, seed=14)  # late deltas reached the larger blocks

    services.settle_days(organization_id=acme)
    check_everything(acme, seed=15)
    check_everything(cast.globex.id, seed=16)


def test_a_day_of_the_wide_cube_is_regrouped_without_changing_an_answer(cast: Cast) -> None:
    owner = ownership(team=1, person=2)
    for batch in range(3):
        post_all(cast.acme.id, [posting(f"call-{batch}", AT, owner=owner)])
        services.fold_all()
    question = SpendQuestion(cast.acme.id, DayRange(AT.date(), AT.date() + timedelta(days=1)), ("person", "region"))
    before = rows(question)

    assert services.compact_day(organization_id=cast.acme.id, day=AT.date()) == 2
    assert rows(question) == before == by_hand(question)


def test_a_group_that_was_reversed_whole_takes_nobody_s_place_among_the_largest(cast: Cast) -> None:
    charged = [
        posting(f"call-{person}", AT, pico=pico, owner=ownership(person=person))
        for person, pico in ((1, 5), (2, 9), (3, -4), (4, -6))
    ]
    post_all(cast.acme.id, charged)
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, occurred_at FROM ledger_charge WHERE person_id = 2")
        gone = cursor.fetchall()
    with transaction.atomic():
        reverse_in_transaction(organization_id=cast.acme.id, charges=gone, at=AT)
    services.fold_all()
    services.settle_days(organization_id=cast.acme.id)

    question = SpendQuestion(cast.acme.id, DayRange(AT.date(), AT.date() + timedelta(days=1)), ("person",), limit=2)

    assert [row.values for row in spend(question)] == [(1,), (3,)]


def test_the_largest_of_many_are_the_largest(cast: Cast) -> None:
    """More people than the tops are read to; with the even spenders the tops do not tell, and all are read."""
    period = DayRange(AT.date() - timedelta(days=20), AT.date())
    rng = random.Random(5)
    heavy = [(person, 10**16 // (person + 1)) for person in range(3000)]
    even = [(person, 10**10 + rng.randrange(10**3)) for person in range(5000, 8000)]
    for name, spenders in (("heavy", heavy), ("even", even)):
        charged = [
            posting(f"{name}-{person}-{day}", at, pico=pico, owner=ownership(person=person))
            for person, pico in spenders
            for day, at in enumerate([AT - timedelta(days=9), AT - timedelta(days=3)])
        ]
        post_all(cast.acme.id, charged)
        services.fold_all()
        services.settle_days(organization_id=cast.acme.id)
        for limit in (1, 8, 60):
            question = SpendQuestion(cast.acme.id, period, ("person",), limit=limit)
            assert rows(question) == by_hand(question)
            evens = SpendQuestion(cast.acme.id, period, ("person",), {"model": frozenset({999})}, limit=limit)
            assert rows(evens) == []
    only_even = SpendQuestion(cast.acme.id, period, ("person",), {"person": frozenset(range(5000, 8000))}, limit=20)
    assert rows(only_even) == by_hand(only_even)


def test_another_organization_s_spend_is_never_seen(cast: Cast) -> None:
    post_all(cast.globex.id, random_postings(4, 50, DAYS))
    services.fold_all()
    services.settle_days(organization_id=cast.globex.id)

    assert spend(SpendQuestion(cast.acme.id, WHOLE, ("person",), limit=5)) == []
    assert spend(SpendQuestion(cast.acme.id, WHOLE)) == []


def test_questions_that_make_no_sense_are_refused(cast: Cast) -> None:
    with pytest.raises(UnknownDimension):
        spend(SpendQuestion(cast.acme.id, WHOLE, ("colour",)))
    with pytest.raises(UnknownDimension):
        spend(SpendQuestion(cast.acme.id, WHOLE, filters={"person_id; --": frozenset({1})}))
    with pytest.raises(TooManyDimensions):
        spend(SpendQuestion(cast.acme.id, WHOLE, ("team", "model", "person")))


def test_an_empty_period_and_a_filter_that_allows_nothing_answer_nothing(cast: Cast) -> None:
    post_all(cast.acme.id, random_postings(6, 20, DAYS))
    services.fold_all()

    assert spend(SpendQuestion(cast.acme.id, DayRange(FIRST, FIRST), ("person",), limit=3)) == []
    assert spend(SpendQuestion(cast.acme.id, WHOLE, ("team",), {"person": frozenset()}, limit=3)) == []


def test_settling_again_does_nothing_until_days_have_passed(cast: Cast) -> None:
    post_all(cast.acme.id, [posting("one", AT - timedelta(days=30)), posting("two", AT)])
    services.fold_all()

    until = services.settle_days(organization_id=cast.acme.id)

    assert until == date(1970, 1, 1) + timedelta(days=settled_day((AT.date() - date(1970, 1, 1)).days))
    assert services.settle_days(organization_id=cast.acme.id) is None
    assert services.settle_days(organization_id=cast.globex.id) is None


def test_a_fold_that_fails_in_the_middle_has_taken_nothing(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    post_all(cast.acme.id, random_postings(7, 60, DAYS))
    before = rows(SpendQuestion(cast.acme.id, WHOLE, ("person",)))
    broken = {**CUBES, 45: ("person", "colour")}
    monkeypatch.setitem(services.fold.__globals__, "CUBES", broken)

    with pytest.raises(Exception, match="colour"), transaction.atomic():
        services.fold()

    monkeypatch.undo()
    assert rows(SpendQuestion(cast.acme.id, WHOLE, ("person",))) == before
    assert services.fold_all() > 0
    assert rows(SpendQuestion(cast.acme.id, WHOLE, ("person",))) == before


def all_rollups(organization_id: int) -> dict[str, list[Row]]:
    found = {}
    with connection.cursor() as cursor:
        for table in ("daily", "cube", "hourly", "session", "settled"):
            cursor.execute(
                f"SELECT t::text FROM ledger_{table} AS t WHERE organization_id = %s ORDER BY 1", [organization_id]
            )
            found[table] = cursor.fetchall()
    return found


@pytest.mark.django_db(transaction=True)
def test_rebuilding_makes_the_very_rollups_that_folding_made() -> None:
    acme = Organization.objects.create(slug="acme", name="Acme").id
    globex = Organization.objects.create(slug="globex", name="Globex").id
    recent = DAYS[-30:]
    post_all(acme, random_postings(8, 400, recent))
    post_all(globex, random_postings(9, 50, recent))
    services.fold_all()
    services.settle_days(organization_id=acme)
    post_all(acme, random_postings(18, 30, recent))
    services.fold_all()
    for day in recent:
        services.compact_day(organization_id=acme, day=day)
    folded, theirs = all_rollups(acme), all_rollups(globex)

    call_command("rebuild_rollups", organization="acme", verbosity=0)
    assert all_rollups(acme) == folded

    post_all(acme, random_postings(19, 5, recent[:1]))
    heard: list[str] = []
    services.rebuild(organization_id=acme, say=lambda step, done, total: heard.append(f"{step} {done}/{total}"))

    check_everything(acme, seed=20)
    assert services.fold_all() == 0, "what was posted before the rebuild is in it, and must not be folded again"
    assert all_rollups(globex) == theirs
    assert heard[-1].startswith("done")


@pytest.mark.django_db(transaction=True)
def test_rebuilding_inside_a_transaction_is_refused() -> None:
    with transaction.atomic(), pytest.raises(RuntimeError, match="snapshot"):
        services.rebuild(organization_id=1)
