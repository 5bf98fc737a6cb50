"""Figures on pages tie out: screen, CSV and charges say the same."""

from __future__ import annotations

import csv
import io
import re
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from finops.attribution.services import promote_tag
from tests.factories.company import Company, book, counts, empty_company, event
from tests.factories.orgs import HOUSE
from tests.interfaces.pages.conftest import at, text_of


def ledger_total(company: Company, days: int) -> Decimal:
    """The charges themselves, asked without any of the product's own reading."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(sum(reporting_cost), 0) FROM ledger_charge WHERE organization_id = %s"
            " AND occurred_at >= %s",
            [company.cast.acme.id, (company.at - timedelta(days=days - 1)).replace(hour=0, minute=0, second=0)],
        )
        return Decimal(cursor.fetchone()[0])


@pytest.mark.parametrize("group", ["", "team", "model", "team,model", "tag:env", "person", "state"])
def test_the_csv_the_screen_and_the_charges_say_the_same_total(
    now: datetime, db: None, group: str, browser: Any
) -> None:
    company = empty_company(now)
    promote_tag(organization_id=company.cast.acme.id, key="env", by=HOUSE, at=now)
    book(
        company,
        [
            event(number, now - timedelta(hours=number * 7),
                  counts=counts(input_uncached=3_333 * number, output_text=77),
                  tags=(("env", "prod" if number % 2 else "staging"),), model="gpt-4o" if number % 3 else "gpt-4o-mini")
            for number in range(1, 60)
        ],
    )  # fmt: skip
    alice = browser(company.cast.alice_login)
    question = {"period": "last-30d", "group": group}
    response = alice.get(at("spend_csv"), question)
    rows = list(csv.DictReader(io.StringIO(b"".join(response).decode())))
    total = sum((Decimal(row["reporting_cost"]) for row in rows), Decimal(0))
    assert total == ledger_total(company, 30) > 0
    assert sum(int(row["calls"]) for row in rows) == 59
    assert f'title="${total.normalize():,f}"' in text_of(alice.get(at("spend"), question))


def test_the_shown_column_adds_up_to_the_shown_total(company: Company, alice: Client) -> None:
    page = text_of(alice.get(at("spend"), {"period": "last-30d", "group": "model"}))
    body, foot = page.split("<tbody>")[-1].split("</tbody>")[0], page.split("<tfoot>")[1]
    cells = [
        Decimal(found.replace(",", ""))
        for found in re.findall(r'<td class="n" title="[^"]*"><a[^>]*>\$([\d,.]+)<', body)
    ]
    total = re.search(r"\$([\d,.]+)<", foot)
    assert total
    assert sum(cells) == Decimal(total[1].replace(",", ""))


def test_a_figure_opens_to_the_charges_that_make_it(company: Company, alice: Client) -> None:
    page = text_of(alice.get(at("spend"), {"period": "last-30d", "group": "model"}))
    href = re.search(r'href="(/o/acme/charges/\?[^"]*model=\d+[^"]*)"', page)
    assert href
    listed = text_of(alice.get(href[1].replace("&amp;", "&")))
    models = set(re.findall(r'<td class="cell-name">([^<]+)<span', listed))
    assert len(models) == 1
