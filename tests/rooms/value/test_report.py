"""Cost, energy and completed tasks side by side: whose, of what, and what is not known."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from finops.connectors.types import Dimensions as Owners
from finops.connectors.types import UsageEvent
from finops.core.periods import DayRange
from finops.energy.services import set_model_energy
from finops.ingest import services as ingest
from finops.ingest.types import Status
from finops.jobs import services as jobs
from finops.ledger import selectors as ledger
from finops.orgs import selectors as orgs
from finops.orgs.rules import OutOfReach
from finops.pricing.services import Agreed, set_discount
from routing.evidence.models import Evaluation
from routing.evidence.services import withdraw_evaluation
from routing.value import rules, selectors
from routing.value.types import Line, Report
from tests.factories.evidence import heard, outcome
from tests.factories.ledger import THEN, Book, event, small_book
from tests.factories.orgs import HOUSE, Cast, the_cast

OCTOBER = DayRange(date(2026, 10, 1), date(2026, 11, 1))
# In the small book a call as usual is 0.012 dollars of gpt, and a tenth of that of gpt-mini; it writes 100 tokens.
USUAL, CHEAP = Decimal("0.012"), Decimal("0.0012")


@pytest.fixture
def cast(db: None) -> Cast:
    small_book()
    return the_cast()


@pytest.fixture
def book(cast: Cast) -> Book:
    return Book(cast.acme)


def call(number: int, try_: int = 1, **given: Any) -> UsageEvent:
    return event(f"cap_ab12:call-{number}.{try_}", **given)


def told(cast: Cast, scores: dict[int, float], *, at: Any = THEN + timedelta(hours=1)) -> None:
    heard(cast.acme.id, [outcome(f"call-{number}", "gpt", score) for number, score in scores.items()], at=at)


def charged(book: Book, events: Iterable[UsageEvent]) -> None:
    assert set(book.take(*events)) == {Status.CHARGED}


def read(cast: Cast, by: str = "project", login: Any = None, **given: Any) -> Report:
    caller = orgs.caller_for(login or cast.alice_login, "acme")
    known = ledger.dimensions(cast.acme.id)
    return selectors.report(caller, known, OCTOBER, by=by, limit=given.pop("limit", 50), **given)


def line(report: Report, name: str) -> Line:
    [found] = [one for one in report.lines if one.group is not None and one.group.name == name]
    return found


def test_a_completed_task_costs_all_that_was_spent_on_scored_ones(cast: Cast, book: Book) -> None:
    # Ten calls without a session; six were scored, four of them well. One needed a second try.
    charged(book, [call(number, task_type="triage") for number in range(10)])
    charged(book, [call(0, 2, task_type="triage", model="gpt-mini")])
    told(cast, {0: 1.0, 1: 0.5, 2: 0.9, 3: 0.6, 4: 0.49, 5: 0.0})
    found = line(read(cast, "task_type"), "triage")
    scored = found.scored
    assert (found.calls, found.cost) == (11, 10 * USUAL + CHEAP)
    assert (scored.scored, scored.completed, scored.calls) == (6, 4, 7)
    assert scored.cost == 6 * USUAL + CHEAP
    assert scored.cost_each == scored.cost / 4
    assert scored.mean == pytest.approx(3.49 / 6)
    assert scored.few
    share = scored.share
    assert share is not None
    assert share.lower < 4 / 6 < share.upper


def test_a_session_is_one_task_with_all_its_calls_and_the_mean_of_what_was_said(cast: Cast, book: Book) -> None:
    charged(book, [call(number, session="s-1", task_type="triage") for number in range(4)])
    charged(book, [call(number, session="s-2", task_type="triage") for number in range(4, 6)])
    told(cast, {0: 1.0, 3: 0.2, 4: 0.1})
    scored = line(read(cast, "task_type"), "triage").scored
    assert (scored.scored, scored.completed, scored.calls, scored.cost) == (2, 1, 6, 6 * USUAL)
    assert scored.mean == pytest.approx((0.6 + 0.1) / 2)


def test_a_session_over_two_kinds_of_work_is_a_task_of_each_that_was_scored(cast: Cast, book: Book) -> None:
    charged(book, [call(0, session="s", task_type="triage"), call(1, session="s", task_type="reply")])
    told(cast, {0: 1.0})
    report = read(cast, "task_type")
    assert (line(report, "triage").scored.scored, line(report, "triage").scored.cost) == (1, USUAL)
    assert line(report, "reply").scored.scored == 0
    told(cast, {1: 0.4}, at=THEN + timedelta(hours=2))
    report = read(cast, "task_type")
    assert line(report, "reply").scored[:3] == (1, 0, 1)
    assert report.total.scored[:3] == (2, 1, 2)


def test_where_nothing_was_scored_there_is_no_cost_of_a_task(cast: Cast, book: Book) -> None:
    charged(book, [call(0, task_type="triage"), call(1, task_type="triage", model="nobody-knows")])
    scored = line(read(cast, "task_type"), "triage").scored
    assert (scored.scored, scored.cost_each, scored.wh_each, scored.share, scored.mean) == (0, None, None, None, None)
    # Scored, and none completed: it cost something, for nothing.
    told(cast, {0: 0.0})
    scored = line(read(cast, "task_type"), "triage").scored
    assert (scored.scored, scored.completed, scored.cost, scored.cost_each) == (1, 0, USUAL, None)


def test_energy_has_bounds_and_that_of_a_task_is_told_where_all_of_it_is_known(cast: Cast, book: Book) -> None:
    set_model_energy(
        organization_id=cast.acme.id, provider="", model="gpt", lower=Decimal(1), upper=Decimal(3), source="a meter",
        by=HOUSE, at=THEN,
    )  # fmt: skip
    charged(book, [call(number, task_type="triage") for number in range(4)])
    charged(book, [call(9, task_type="reply", model="gpt-mini")])
    told(cast, {0: 1.0, 1: 0.0, 9: 1.0})
    report = read(cast, "task_type")
    triage = line(report, "triage")
    written = triage.footprint.output_tokens
    assert triage.footprint.wh is not None
    assert (triage.footprint.wh.lower, triage.footprint.wh.upper) == (written / 1_000, 3 * written / 1_000)
    each = triage.scored.wh_each
    assert each is not None
    # Two of four calls were scored, one was completed.
    assert (each.lower, each.upper) == (written / 2_000, 3 * written / 2_000)
    reply = line(report, "reply")
    assert (reply.footprint.wh, reply.footprint.unknown, reply.scored.wh_each) == (None, ("openai/gpt-mini",), None)
    assert reply.scored.cost_each == CHEAP
    assert report.total.footprint.wh == triage.footprint.wh
    assert report.total.footprint.unknown == ("openai/gpt-mini",)
    assert report.total.scored.wh_each is None


def test_what_is_corrected_is_counted_as_it_is_now(cast: Cast, book: Book) -> None:
    charged(book, [call(number, task_type="triage") for number in range(4)])
    told(cast, {0: 1.0, 1: 1.0})
    half = Agreed(provider="openai", effective_from=OCTOBER.start)
    set_discount(organization_id=cast.acme.id, about=half, percent=Decimal(50), by=HOUSE, at=book.now())
    job = ingest.open_rework(
        organization_id=cast.acme.id, kind=ingest.RERATE, period=OCTOBER, by=HOUSE, at=book.now()
    )  # fmt: skip
    claimed = jobs.claim(job_id=job.id, at=book.now())
    assert claimed is not None
    ingest.run_rework(job=claimed, now=book.now)
    scored = line(read(cast, "task_type"), "triage").scored
    assert (scored.scored, scored.calls, scored.cost) == (2, 2, USUAL)
    # A call that was taken back whole is no task, whatever was said of it.
    book.reverse(*book.standing())
    assert read(cast, "task_type").total.scored[:3] == (0, 0, 0)


def test_withdrawn_scores_and_runs_say_nothing_of_calls(cast: Cast, book: Book) -> None:
    charged(book, [call(0, task_type="triage")])
    told(cast, {0: 1.0})
    source = Evaluation.objects.get()
    withdraw_evaluation(organization_id=cast.acme.id, evaluation_id=source.id, because="A mistake.", by=HOUSE, at=THEN)
    assert line(read(cast, "task_type"), "triage").scored.scored == 0


def test_by_person_only_for_whom_people_are_shown_and_a_lead_within_the_team(cast: Cast, book: Book) -> None:
    bob, dana = (Owners(person=one.slug) for one in (cast.bob, cast.dana))
    charged(book, [call(0, dimensions=bob), call(1, dimensions=bob), call(2, dimensions=dana)])
    told(cast, {0: 1.0, 2: 0.0})
    report = read(cast, "person")
    assert line(report, cast.bob.name).scored[:3] == (1, 1, 1)
    assert line(report, cast.dana.name).scored[:3] == (1, 0, 1)
    with pytest.raises(OutOfReach):
        read(cast, "person", cast.bob_login)
    mine = read(cast, "person", cast.bob_login, filters={"person": frozenset({cast.bob.id})})
    assert [one.group.name for one in mine.lines if one.group] == [cast.bob.name]
    assert mine.total.scored[:3] == (1, 1, 1)
    # Nothing of another organization's.
    assert read(cast, "person", filters={"person": frozenset()}).total.calls == 0


def test_the_dearest_come_first_and_the_total_has_all(cast: Cast, book: Book) -> None:
    charged(book, [call(number, task_type=f"type-{min(number, 3)}") for number in range(8)])
    told(cast, dict.fromkeys(range(8), 1.0))
    report = read(cast, "task_type", limit=1)
    assert [one.group.name for one in report.lines if one.group] == ["type-3"]
    assert (report.groups, report.total.calls, report.total.scored.completed) == (4, 8, 8)
    assert report.total.scored.cost == report.total.cost == 8 * USUAL


def test_a_period_is_bounded_and_so_is_the_number_of_questions(cast: Cast, book: Book) -> None:
    caller, known = orgs.caller_for(cast.alice_login, "acme"), ledger.dimensions(cast.acme.id)
    with pytest.raises(rules.PeriodTooLong):
        selectors.report(caller, known, DayRange(date(2026, 1, 1), date(2026, 10, 1)), by="project", limit=1)

    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            read(cast, "task_type")
        return len(queries)

    charged(book, [call(0, task_type="triage")])
    read(cast, "task_type")
    before = asked()
    charged(book, [call(number, task_type=f"type-{number}", model=f"gpt-{number}") for number in range(1, 20)])
    told(cast, dict.fromkeys(range(20), 1.0))
    assert asked() == before <= 24


def test_what_takes_too_long_is_refused_in_words(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selectors, "_TASKS", "SELECT pg_sleep(5), {column!r}::text")
    monkeypatch.setattr(selectors, "_WITHIN", "SET LOCAL statement_timeout = '50ms'")
    with pytest.raises(rules.TooMuch):
        read(cast, "task_type")
