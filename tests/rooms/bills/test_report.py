"""A month's bill from the ledger: by tier, what of frontier is needed, all at frontier, and what might have been."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from finops.connectors.types import Dimensions
from finops.ledger.services import fold
from finops.orgs.rules import Caller, Permission, PermissionMissing
from finops.orgs.services import add_project
from routing.bills import selectors
from routing.bills.types import Basis, Move, Need, Offer
from routing.tiers.services import set_entry
from routing.tiers.types import Entry, Tier
from tests.factories.ledger import AT, THEN, Book, event
from tests.factories.orgs import HOUSE, Cast
from tests.factories.pricing import counts
from tests.factories.recommend import known, worked

OCTOBER = date(2026, 10, 1)
GPT = Offer(model="gpt", provider="openai")
# Claude's outputs are dearer than what it reads, and most of what an agent reads it wrote into a cache before.
CACHING = counts(input_uncached=1_000, cache_write_5m=8_000, cache_read=50_000, output_text=700, requests=1)


def asking(cast: Cast, **given: Any) -> Caller:
    usual: dict[str, Any] = {
        "organization_id": cast.acme.id, "organization_slug": "acme", "actor": HOUSE,
        "permissions": frozenset({Permission.ROUTING_READ, Permission.SPEND_READ}),
    }  # fmt: skip
    return Caller(**usual | given)


def said(cast: Cast, model: str, tier: Tier) -> None:
    set_entry(organization_id=cast.acme.id, entry=Entry(model=model, tier=tier), by=HOUSE, at=AT)


def calls(book: Book, number: int, prefix: str = "", **given: Any) -> None:
    book.take(*[event(f"{prefix}{given.get('model', 'gpt')}-{place}", **given) for place in range(number)])


def test_a_month_by_tier_and_the_same_at_the_frontier_model_that_is_used(cast: Cast, book: Book) -> None:
    said(cast, "gpt-mini", Tier.LIGHT)
    calls(book, 3, task_type="triage")
    calls(book, 2, model="gpt-mini", task_type="triage")
    calls(book, 1, prefix="later", occurred_at=datetime(2026, 11, 1, tzinfo=UTC))
    calls(book, 1, model="unheard-of")
    fold()
    calls(book, 1, prefix="unfolded")
    found = selectors.report(asking(cast), OCTOBER, AT)
    shares = found.shares
    assert (shares.calls, shares.spend, shares.unpriced_calls) == (7, Decimal("0.0504"), 1)
    assert {one.key: (one.calls, one.spend) for one in shares.tiers} == {
        "frontier": (4, Decimal("0.048")), "light": (2, Decimal("0.0024")), "mid": (1, 0),
    }  # fmt: skip
    assert found.frontier == GPT
    bill = found.all_frontier
    assert bill is not None
    # What has no price is in no bill; the calls of gpt are what they were.
    assert (bill.before, bill.after, bill.unpriced_calls) == (Decimal("0.0504"), Decimal("0.072"), 1)
    assert [(row.task_type, row.told.need) for row in shares.frontier] == [
        ("triage", Need.UNKNOWN), ("", Need.UNKNOWN),
    ]  # fmt: skip


def test_what_cubes_do_not_tell_apart_is_kept_in_proportion(cast: Cast, book: Book) -> None:
    """No change is the bill to the last digit, whatever it was made of; and all at the only model there is, too."""
    book.take(event("one", provider="anthropic", model="claude", counts=CACHING))
    before = book.total()
    found = selectors.report(asking(cast), OCTOBER, AT)
    assert found.all_frontier is not None
    assert found.all_frontier.before == found.all_frontier.after == before
    bill = selectors.what_if(asking(cast), OCTOBER, [Move(model="nobody-uses", to=Offer(model="gpt"))], AT)
    assert bill.before == bill.after == before
    assert bill.difference == 0
    moved = selectors.what_if(asking(cast), OCTOBER, [Move(model="claude", to=GPT)], AT)
    # 9,000 read, 50,000 from a cache and 700 written: 0.0525 at claude by what cubes know, and 0.154 at gpt.
    assert moved.after == (before * Decimal("0.154") / Decimal("0.0525")).quantize(Decimal("1e-12"))


def test_what_was_measured_says_what_frontier_is_needed_for(cast: Cast, book: Book) -> None:
    said(cast, "gpt-mini", Tier.LIGHT)
    for task_type in ("triage", "review", "poems"):
        calls(book, 2, prefix=task_type, task_type=task_type)
    known(cast.acme, {"gpt": 0.9, "gpt-mini": 0.9}, at=AT, costs={"gpt": 0.02, "gpt-mini": 0.005})
    known(cast.acme, {"gpt": 0.9, "gpt-mini": 0.4}, at=AT, task_type="review", costs={"gpt": 0.02, "gpt-mini": 0.002})
    worked(cast)
    found = selectors.report(asking(cast), OCTOBER, AT)
    told = {row.task_type: row.told for row in found.shares.frontier}
    assert {name: one.need for name, one in told.items()} == {
        "triage": Need.DOES_NOT, "review": Need.NEEDS, "poems": Need.UNKNOWN,
    }  # fmt: skip
    assert sum((one.spend_share for one in found.shares.needs), Decimal(0)) == 1
    bill = selectors.what_if(asking(cast), OCTOBER, [Move(model="gpt", to=Offer(model="gpt-mini"))], AT)
    measured = next(row for row in bill.rows if row.basis is Basis.MEASURED)
    assert (measured.calls, measured.to_model) == (4, "gpt-mini")
    assert any("same tasks" in note for note in bill.notes)


def test_a_move_of_one_project(cast: Cast, book: Book) -> None:
    search = add_project(organization_id=cast.acme.id, name="Search", slug="search", by=HOUSE, at=AT)
    calls(book, 2)
    calls(book, 1, prefix="search", dimensions=Dimensions(project="search"))
    change = Move(model="gpt", to=Offer(model="gpt-mini"), project_id=search.id)
    bill = selectors.what_if(asking(cast), OCTOBER, [change], AT)
    assert bill.before == Decimal("0.036")
    assert bill.after == Decimal("0.0252")


def test_only_what_the_caller_may_see_and_nothing_of_others(cast: Cast, book: Book) -> None:
    calls(book, 2)
    nothing = asking(cast, reach={"team": frozenset({cast.search.id})})
    assert selectors.report(nothing, OCTOBER, AT).shares.spend == 0
    assert selectors.report(nothing, OCTOBER, AT).all_frontier is None
    with pytest.raises(PermissionMissing):
        selectors.report(asking(cast, permissions=frozenset({Permission.ROUTING_READ})), OCTOBER, AT)
    globex = asking(cast, organization_id=cast.globex.id, organization_slug="globex")
    assert selectors.report(globex, OCTOBER, AT).shares.calls == 0


def test_more_spend_asks_no_more_questions(cast: Cast, book: Book) -> None:
    calls(book, 1)
    selectors.report(asking(cast), OCTOBER, AT)
    with CaptureQueriesContext(connection) as few:
        selectors.report(asking(cast), OCTOBER, AT)
    for place in range(5):
        calls(book, 1, prefix=f"t{place}", task_type=f"type-{place}", occurred_at=THEN + timedelta(days=place))
        calls(book, 1, model="gpt-mini", prefix=f"m{place}", task_type=f"type-{place}")
    with CaptureQueriesContext(connection) as many:
        selectors.report(asking(cast), OCTOBER, AT)
    assert len(many) <= len(few) + 1
    assert len(many) < 30
