"""The reporting currency is what totals are kept in: chosen before the first charge, and then it stays."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from finops.core.actors import system
from finops.orgs.services import change_organization
from finops.orgs.services.organizations import CurrencyStays
from tests.factories.ledger import Book, event

pytestmark = pytest.mark.django_db
AT = datetime(2026, 10, 20, tzinfo=UTC)


def test_it_can_be_changed_until_the_first_charge_and_not_after(book: Book) -> None:
    org = book.organization
    changed = change_organization(
        organization_id=org.id, changes={"reporting_currency": "EUR"}, by=system("test"), at=AT
    )
    assert changed.reporting_currency == "EUR"
    change_organization(organization_id=org.id, changes={"reporting_currency": "USD"}, by=system("test"), at=AT)
    book.take(event("first"))
    with pytest.raises(CurrencyStays, match="booked in USD"):
        change_organization(organization_id=org.id, changes={"reporting_currency": "EUR"}, by=system("test"), at=AT)
    renamed = change_organization(organization_id=org.id, changes={"name": "Acme Inc"}, by=system("test"), at=AT)
    assert renamed.reporting_currency == "USD"
