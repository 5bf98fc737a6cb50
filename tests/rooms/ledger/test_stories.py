"""One charge's story: how it was priced, what became of it, and who else saw the call."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from finops.connectors.types import GivenCost
from finops.core.periods import DayRange
from finops.ingest import services as ingest
from finops.jobs import services as jobs
from finops.ledger import selectors
from finops.ledger.selectors.stories import PricingState, Story, story
from finops.pricing.services import Agreed, add_custom_model
from tests.factories.ledger import Book, event
from tests.factories.orgs import HOUSE
from tests.factories.pricing import steps

OCTOBER = DayRange(date(2026, 10, 1), date(2026, 11, 1))


def told(book: Book, external_id: str, reason: str = "") -> Story:
    """The story of the one line of this id that was booked for this reason."""
    lines = selectors.charges(book.organization.id, OCTOBER).rows
    [row] = [line for line in lines if (line.external_id, line.reason) == (external_id, reason)]
    return story(book.organization.id, row)


def test_the_lines_of_a_priced_charge_add_up_to_it(book: Book) -> None:
    book.take(event("one"))
    found = told(book, "one")
    assert (found.pricing.state, found.pricing.reason, found.pricing.agrees) == (PricingState.PRICED, "", True)
    assert sum(line.contracted_cost for line in found.pricing.lines) == found.row.effective_cost > 0
    assert (found.reversed_by, found.replaced_by, found.sightings) == (None, None, ())


def test_a_cost_its_source_stated_is_beside_lines_for_comparison(book: Book) -> None:
    book.take(event("stated", cost=GivenCost(5 * 10**12, "USD")))
    found = told(book, "stated").pricing
    assert (found.state, found.agrees) == (PricingState.STATED, True)
    assert 0 < sum(line.list_cost for line in found.lines) < 5


def test_a_charge_without_a_price_says_what_it_lacks_until_it_is_rated_again(book: Book) -> None:
    book.take(event("new", model="ours-7b"))
    assert (told(book, "new").pricing.state, told(book, "new").pricing.reason) == ("unpriced", "model_unknown")
    add_custom_model(
        organization_id=book.organization.id,
        about=Agreed(provider="openai", model="ours-7b", effective_from=date(2026, 1, 1)),
        steps=[steps(input_uncached="2", output_text="5", requests="0")],
        by=HOUSE,
        at=book.now(),
    )
    assert (told(book, "new").pricing.state, told(book, "new").pricing.reason) == ("unpriced", "")
    mine: dict[str, Any] = {"organization_id": book.organization.id, "by": HOUSE, "at": book.now()}
    job = jobs.claim(job_id=ingest.open_rework(kind=ingest.RERATE, period=OCTOBER, **mine).id, at=book.now())
    assert job is not None
    ingest.run_rework(job=job, now=book.now)
    first, reversal, new = told(book, "new"), told(book, "new", "reversal"), told(book, "new", "rerate")
    assert (first.reversed_by, first.replaced_by) == (reversal.row.id, new.row.id)
    assert reversal.row.reverses == first.row.id
    assert (new.pricing.state, new.row.effective_cost) == (PricingState.PRICED, Decimal("0.0025"))


def test_a_reversal_is_told_with_negative_lines(book: Book) -> None:
    book.take(event("wrong"))
    book.reverse(*book.standing())
    there, back = told(book, "wrong").pricing, told(book, "wrong", "reversal").pricing
    assert back.agrees
    assert [(line.meter, line.list_cost) for line in back.lines] == [
        (line.meter, -line.list_cost) for line in there.lines
    ]


def test_who_else_saw_the_call_is_named(book: Book) -> None:
    book.take(event("one", provider_request_id="req_1"))
    book.take(event("two", provider_request_id="req_1"), source="tools")
    [seen] = told(book, "one").sightings
    assert (seen.source.value, seen.external_id, seen.billed_cost) == ("tools", "two", None)
    assert seen.usage["input_uncached"] > 0
