"""Charges on pages: the list, and one charge told step by step."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

from django.test import Client

from finops.audit.models import AuditEvent
from finops.ledger import selectors as ledger
from finops.pricing.models import Contract
from tests.factories.company import Company, book, event
from tests.interfaces.pages.conftest import at, days_of, text_of


def test_charges_page_through_everything_once(company: Company, alice: Client) -> None:
    url, seen = at("charges") + "?period=last-30d", []
    while url:
        page = text_of(alice.get(url))
        seen += re.findall(r'href="/o/acme/charges/([0-9a-f-]{36})/"', page)
        onward = re.search(r'href="([^"]+)" rel="next"', page)
        url = onward[1].replace("&amp;", "&") if onward else ""
    assert len(seen) == len(set(seen)) > 100


def test_a_charges_page_tells_how_it_was_priced_and_whose_it_is(company: Company, alice: Client) -> None:
    rows = ledger.charges(company.cast.acme.id, days_of(company, 40), limit=500).rows
    row = next(row for row in rows if row.dimensions["person"] == company.cast.bob.id and row.counts[1])
    page = text_of(alice.get(at("charge", charge_id=row.id)))
    for said in (
        "Input uncached",
        "Cache read",
        "Output text",
        "per million",
        "Team: Search",
        "Person: Bob",
        row.external_id,
    ):
        assert said in page
    assert f"{row.effective_cost.normalize():f}" in page
    assert "do not add up" not in page
    assert ">prod<" in page or ">staging<" in page


def test_a_price_agreed_later_leaves_what_was_posted_explained_as_it_was(company: Company, alice: Client) -> None:
    row = ledger.charges(company.cast.acme.id, days_of(company, 40), limit=500).rows[0]
    before = text_of(alice.get(at("charge", charge_id=row.id))).split("How it was priced")[1]
    provider = ledger.labels(company.cast.acme.id, "provider", [row.dimensions["provider"]]).popitem()[1]
    answer = alice.post(
        at("contract_discount"), {"provider": provider, "percent": "10", "effective_from": "2020-01-01"}, follow=True
    )
    assert "The discount holds" in text_of(answer)
    assert Contract.objects.get().percent == 10
    assert AuditEvent.objects.filter(verb__startswith="pricing.contract").exists()
    assert text_of(alice.get(at("charge", charge_id=row.id))).split("How it was priced")[1] == before
    book(company, [event(90_000, company.at - timedelta(hours=1), provider=provider, model=row.model_raw)])
    newest = next(
        one
        for one in ledger.charges(company.cast.acme.id, days_of(company, 2), limit=500).rows
        if one.external_id == "call-90000"
    )
    page = text_of(alice.get(at("charge", charge_id=newest.id)))
    assert newest.contracted_cost == newest.list_cost * Decimal("0.9")
    assert f"{newest.contracted_cost.normalize():f}" in page
    assert "do not add up" not in page


def test_a_charge_that_does_not_exist_is_a_page_that_says_so(alice: Client) -> None:
    assert alice.get(at("charge", charge_id=uuid4())).status_code == 404
