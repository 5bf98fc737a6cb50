"""A budget is tried on the last days before it is made, and one that was archived does nothing any more."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from finops.budgets.models import Budget
from finops.budgets.services.budgets import Archived, archive_budget, draft_terms
from finops.budgets.services.history import try_budget
from finops.budgets.services.increases import ask_increase, transfer
from finops.budgets.types import Period
from tests.factories.budgets import budget, draft
from tests.factories.ledger import Book, event
from tests.factories.orgs import HOUSE, NOON, Cast

LATER = NOON + timedelta(days=20)


@pytest.mark.parametrize("period", [Period.DAY, Period.MONTH, Period.TOTAL])
def test_what_was_spent_before_the_present_period_stops_somebody_too(cast: Cast, book: Book, period: Period) -> None:
    book.take(event("first", occurred_at=NOON), event("second", occurred_at=NOON + timedelta(hours=1)))
    tried = draft("0", name="Nothing at all", period=period)
    terms = draft_terms(organization_id=cast.acme.id, draft=tried, at=LATER + timedelta(days=5))
    trial = try_budget(terms, days=30, at=LATER + timedelta(days=5))
    assert (trial.stops, trial.calls) == (1, 2)
    assert trial.dearest[0].stopped_at == NOON
    assert not Budget.objects.exists()


def test_more_of_an_archived_budget_is_not_asked_for_nor_moved(cast: Cast) -> None:
    acme = cast.acme.id
    old, other = budget(acme, at=NOON), budget(acme, at=NOON, name="Another")
    archive_budget(organization_id=acme, budget_id=old.id, by=HOUSE, at=NOON)
    with pytest.raises(Archived):
        ask_increase(organization_id=acme, budget_id=old.id, amount=Decimal(1), by=HOUSE, at=NOON)
    for source, target in ((old, other), (other, old)):
        with pytest.raises(Archived):
            transfer(
                organization_id=acme, source=(source.id, ""), target=(target.id, ""), amount=Decimal("0.5"), by=HOUSE,
                at=NOON,
            )  # fmt: skip
