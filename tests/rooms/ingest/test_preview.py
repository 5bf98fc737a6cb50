"""What a preview says would change hands is what re-attribution moves, to the picodollar."""

from __future__ import annotations

import random
from datetime import date, timedelta
from typing import Any

import pytest

from finops.attribution.services import promote_tag
from finops.attribution.types import RuleDraft
from finops.connectors.types import Dimensions
from finops.core.periods import DayRange
from finops.ingest import services as ingest
from finops.jobs import services as jobs
from finops.jobs.models import Job
from finops.ledger.rules.periods import PeriodUnclear
from finops.ledger.selectors import labels, spend
from finops.ledger.types import SpendQuestion
from tests.factories.attribution import draft, rule
from tests.factories.ledger import PRICE, THEN, Book, event
from tests.factories.orgs import HOUSE, Cast
from tests.factories.pricing import counts

OCTOBER = DayRange(date(2026, 10, 1), date(2026, 11, 1))


@pytest.fixture
def history(book: Book, cast: Cast) -> Book:
    dice = random.Random(3)
    events = [
        event(
            f"call-{n}",
            occurred_at=THEN + timedelta(minutes=dice.randrange(-15_000, 15_000)),
            model=dice.choice(("gpt", "gpt-mini", "unheard-of")),
            counts=counts(input_uncached=dice.randrange(1, 9_999), requests=1),
            session=dice.choice(("", "s-1", "s-2")),
            region=dice.choice(("eu", "us")),
            dimensions=dice.choice((Dimensions(), Dimensions(team="search"), Dimensions(person="bob"))),
            identities=dice.choice(((), (("email", "bob@acme.example"),), (("key_alias", "nightly"),))),
            tags=dice.choice(((), (("env", "prod"),), (("env", "test"), ("job", "x")))),
        )
        for n in range(400)
    ]
    book.take(*events)
    book.reverse(*book.standing()[::17])
    return book


CONDITIONS: dict[str, tuple[tuple[str, str, tuple[str, ...]], ...]] = {
    "everything": (),
    "a model": (("model", "is", ("gpt",)),),
    "a tag": (("tag:env", "is", ("prod",)),),
    "an identity": (("identity:key_alias", "exists", ()),),
    "a session": (("session", "starts_with", ("s-",)),),
    "a region and what was told": (("region", "is", ("eu",)), ("team", "absent", ())),
}


@pytest.mark.parametrize("override", [False, True])
@pytest.mark.parametrize("conditions", CONDITIONS.values(), ids=CONDITIONS)
def test_preview_and_re_attribution_agree(history: Book, cast: Cast, conditions: Any, override: bool) -> None:
    _agree(history, draft(*conditions, override=override, team=cast.chat.id, task_type="batch"))


def test_they_agree_on_a_rule_that_begins_and_ends_in_the_middle_of_a_day(book: Book, cast: Cast) -> None:
    book.take(*[event(f"hour-{hour}", occurred_at=THEN + timedelta(hours=hour)) for hour in range(-48, 48)])
    said = draft(override=True, team=cast.chat.id, since=THEN - timedelta(hours=30), until=THEN + timedelta(hours=3))
    _agree(book, said)


def test_they_agree_beside_a_rule_that_is_in_force_already(history: Book, cast: Cast) -> None:
    rule(cast.acme.id, draft(("model", "is", ("gpt-mini",)), team=cast.search.id), name="First")
    _work(history)
    _agree(history, draft(("tag:env", "exists", ()), team=cast.chat.id))


def test_a_tag_key_promoted_later_gets_its_history_by_attributing_anew(book: Book) -> None:
    book.take(event("a", tags=(("env", "prod"),)), event("b"))
    promote_tag(organization_id=book.organization.id, key="env", by=HOUSE, at=book.now())
    assert _work(book)["changed"] == 1
    question = SpendQuestion(book.organization.id, OCTOBER, group_by=("tag1",))
    spent = {row.values: row.reporting_cost for row in spend(question)}
    words = labels(book.organization.id, "tag1", [value for (value,) in spent])
    assert {words[value]: cost for (value,), cost in spent.items()} == {"prod": PRICE, "(none)": PRICE}
    assert _work(book)["changed"] == 0
    assert book.disagreements() == []


def _agree(book: Book, said: RuleDraft) -> None:
    organization_id = book.organization.id
    told = ingest.preview_rule(organization_id=organization_id, draft=said, period=OCTOBER)
    standing = len(book.standing())
    assert told.charges_seen == standing
    assert told.charges_moved > 0
    rule(organization_id, said, name="Drafted", at=book.now())
    done = _work(book)
    assert done["changed"] == told.charges_moved
    assert done["before_pico"] == done["after_pico"] == sum(told.pico.values())
    assert ingest.preview_rule(organization_id=organization_id, draft=said, period=OCTOBER).charges_moved == 0
    assert book.disagreements() == []


def _work(book: Book) -> dict[str, Any]:
    job = ingest.open_rework(
        organization_id=book.organization.id, kind=ingest.REATTRIBUTE, period=OCTOBER, by=HOUSE, at=book.now()
    )
    claimed = jobs.claim(job_id=job.id, at=book.now())
    assert claimed is not None
    ingest.run_rework(job=claimed, now=book.now)
    result: dict[str, Any] = Job.objects.get(id=job.id).result
    return result


def test_a_rule_is_not_tried_on_years_of_charges(history: Book, cast: Cast) -> None:
    years = DayRange(THEN.date(), THEN.date() + timedelta(days=101))
    with pytest.raises(PeriodUnclear, match="100 days"):
        ingest.preview_rule(organization_id=cast.acme.id, draft=draft(), period=years)
