"""GitHub's billing of Copilot and its list of seats, as `githubkit` has them of GitHub's own OpenAPI description."""

from __future__ import annotations

from typing import Any

from finops.connectors.copilot.parse import cut, cut_seats, parse
from tests.clients.typed.holding import answers, written, wrong_of
from tests.clients.typed.table import AI_CREDITS, BILLED, SEATS
from tests.factories.metered import body, event
from tests.factories.polling import AT
from tests.fakes.reports.copilot import CopilotReports

ROOT = "/organizations/acme/settings/billing"
PATHS = {
    f"{ROOT}/ai_credit/usage": AI_CREDITS,
    f"{ROOT}/usage": BILLED,
    "/orgs/acme/copilot/billing/seats": SEATS,
}
QUANTITY = "usageItems.list[BillingUsageReportPropUsageItemsItems].quantity"
# Fields that may be missing are of two types, and neither fits what is wrong.
UNSET = {"usageItems.literal[<UNSET>]: Input should be <UNSET>"}
CREDITS: dict[str, Any] = {
    "timePeriod": {"year": 2026, "month": 11, "day": 20},
    "organization": "acme",
    "user": "ann",
    "usageItems": [
        {
            "product": "Copilot", "sku": "Copilot AI Credits", "model": "GPT-5.2", "unitType": "ai-credits",
            "pricePerUnit": 0.01, "grossQuantity": 250, "grossAmount": 2.5, "discountQuantity": 100,
            "discountAmount": 1.0, "netQuantity": 150, "netAmount": 1.5,
        }
    ],
}  # fmt: skip
BILL: dict[str, Any] = {
    "usageItems": [
        {
            "date": "2026-11-20T00:00:00Z", "product": "Copilot", "sku": "Copilot Business", "quantity": 2,
            "unitType": "user-months", "pricePerUnit": 19.0, "grossAmount": 38.0, "discountAmount": 0.0,
            "netAmount": 38.0, "organizationName": "acme",
        }
    ]
}  # fmt: skip


def test_the_fake_answers_what_github_describes() -> None:
    fake = CopilotReports(until=AT, days=1)
    try:
        said = answers(fake, "copilot-credits", "copilot-credits-total", "copilot-seats")
    finally:
        fake.close()
    assert {one.path for one in said} == set(PATHS)
    found = wrong_of((PATHS[one.path], one.body) for one in said)
    # GitHub describes the quantity as whole, and bills parts of a month: so does the fake.
    assert found - UNSET == {f"{QUANTITY}: Input should be a valid integer, got a number with a fractional part"}


def test_credits_and_seats_are_read() -> None:
    for said in written(AI_CREDITS, CREDITS):
        (row,) = cut(body(said), user="ann").rows
        found = event(parse(row))
        assert found.cost is not None
        assert (found.cost.pico, found.cost.currency, found.model) == (1_500_000_000_000, "USD", "GPT-5.2")
    for said in written(BILLED, BILL):
        (row,) = cut_seats(body(said)).rows
        found = event(parse(row))
        assert found.cost is not None
        assert (found.cost.pico, found.cost.currency) == (38_000_000_000_000, "USD")
