"""Releases of the public prices come one after another; what a past day cost stays."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, transaction

from finops.audit.models import AuditEvent
from finops.pricing import selectors
from finops.pricing.models import CatalogueModel, Price, PriceBook
from finops.pricing.rules import rate
from tests.factories.pricing import counts, fields, from_day, provider, real_content, seed

pytestmark = pytest.mark.django_db

FIRST = datetime(2026, 9, 1, 6, tzinfo=UTC)
SECOND = datetime(2026, 11, 1, 6, tzinfo=UTC)
DAY = timedelta(days=1)


def cost(model: str, day: date, tier: str = "", at: datetime | None = None) -> Decimal | str:
    """What a million input tokens cost on a day, or why nobody knows."""
    found = selectors.load_pricer(1).find("openai", model, tier, "", day)
    rated = rate(found, counts(input_uncached=10**6), at or datetime(2026, 11, 1, 12, tzinfo=UTC))
    return Decimal(rated.list_pico).scaleb(-12) if rated.priced else rated.reason


def openai(models: dict[str, Any], **tiers: dict[str, str]) -> list[Any]:
    made = provider("openai", models)
    for model in made.models:
        model.price_variants = [
            type("Variant", (), {"when": {"service_tier": tier}, "constraint": None, "prices": fields(prices)})()
            for tier, prices in tiers.items()
        ]
    return [made]


def test_a_new_price_begins_on_the_day_of_seeding_and_the_past_keeps_the_old_one() -> None:
    seed(openai({"gpt": {"input_mtok": "10"}}), FIRST)
    seed(openai({"gpt": {"input_mtok": "6"}}), SECOND)
    today = SECOND.date()
    assert [cost("gpt", day) for day in (date(2020, 1, 1), today - DAY, today, today + 99 * DAY)] == [10, 10, 6, 6]
    old, new = selectors.price_history("openai", "gpt")
    assert (old.effective_to, new.effective_from, new.effective_to) == (today, today, None)
    assert (old.book_id, new.book_id) == tuple(PriceBook.objects.order_by("id").values_list("id", flat=True))


def test_a_release_that_backdates_a_change_does_not_rewrite_what_was_charged() -> None:
    seed(openai({"gpt": {"input_mtok": "10"}}), FIRST)
    backdated = [(None, {"input_mtok": "10"}), (from_day(date(2026, 8, 1)), {"input_mtok": "6"})]
    seed(openai({"gpt": backdated}), SECOND)
    assert cost("gpt", date(2026, 8, 15)) == 10
    assert cost("gpt", SECOND.date()) == 6


def test_the_same_release_again_changes_nothing() -> None:
    first = seed(openai({"gpt": {"input_mtok": "10"}}), FIRST)
    before = list(Price.objects.order_by("id").values())
    again = seed(openai({"gpt": {"input_mtok": "10"}}), SECOND)
    assert (first.changed, again.changed, again.book) == (True, False, first.book)
    assert list(Price.objects.order_by("id").values()) == before


def test_going_back_to_an_earlier_release_is_a_new_change() -> None:
    seed(openai({"gpt": {"input_mtok": "10"}}), FIRST)
    seed(openai({"gpt": {"input_mtok": "6"}}), SECOND)
    seed(openai({"gpt": {"input_mtok": "10"}}), SECOND + 3 * DAY)
    assert [cost("gpt", SECOND.date() + n * DAY) for n in (-1, 0, 2, 3)] == [10, 6, 6, 10]


def test_an_announced_price_that_is_taken_back_is_withdrawn_and_still_found_by_its_id() -> None:
    announced = [(None, {"input_mtok": "10"}), (from_day(date(2027, 1, 1)), {"input_mtok": "8"})]
    seed(openai({"gpt": announced}), FIRST)
    coming = Price.objects.get(effective_from=date(2027, 1, 1))
    seed(openai({"gpt": {"input_mtok": "10"}}), SECOND)
    assert cost("gpt", date(2027, 2, 1)) == 10
    assert selectors.price(coming.id).withdrawn_at == SECOND
    [standing] = selectors.price_history("openai", "gpt")
    assert (standing.effective_from, standing.effective_to) == (None, None)


def test_an_announcement_only_ends_the_price_that_stands() -> None:
    seed(openai({"gpt": {"input_mtok": "10"}}), FIRST)
    announced = [(None, {"input_mtok": "10"}), (from_day(date(2027, 1, 1)), {"input_mtok": "8"})]
    seed(openai({"gpt": announced}), SECOND)
    old, new = selectors.price_history("openai", "gpt")
    assert (old.effective_from, old.effective_to, new.effective_from) == (None, date(2027, 1, 1), date(2027, 1, 1))


def test_a_new_model_and_a_new_tier_get_their_whole_past_because_they_had_none() -> None:
    seed(openai({"gpt": {"input_mtok": "10"}}), FIRST)
    assert cost("gpt-next", date(2026, 8, 1)) == "model_unknown"
    assert cost("gpt", date(2026, 8, 1), "flex") == "tier_unknown"
    seed(openai({"gpt": {"input_mtok": "10"}, "gpt-next": {"input_mtok": "7"}}, flex={"input_mtok": "5"}), SECOND)
    assert cost("gpt-next", date(2026, 8, 1)) == 7
    assert cost("gpt", date(2026, 8, 1), "flex") == 5
    assert cost("gpt", date(2026, 8, 1)) == 10


def test_new_hours_of_the_day_do_not_reach_into_the_past() -> None:
    night = type("Hours", (), {"start_time": time(0), "end_time": time(6)})()
    seed(openai({"gpt": {"input_mtok": "10"}}), FIRST)
    seed(openai({"gpt": [(None, {"input_mtok": "10"}), (night, {"input_mtok": "5"})]}), SECOND)
    assert cost("gpt", date(2026, 10, 1), at=datetime(2026, 10, 1, 3, tzinfo=UTC)) == 10
    assert cost("gpt", date(2026, 11, 2), at=datetime(2026, 11, 2, 3, tzinfo=UTC)) == 5
    assert cost("gpt", date(2026, 11, 2), at=datetime(2026, 11, 2, 9, tzinfo=UTC)) == 10
    seed(openai({"gpt": {"input_mtok": "10"}}), SECOND + DAY)
    assert cost("gpt", date(2026, 11, 2), at=datetime(2026, 11, 2, 3, tzinfo=UTC)) == 10
    assert cost("gpt", date(2026, 11, 1), at=datetime(2026, 11, 1, 3, tzinfo=UTC)) == 5


def test_a_tier_no_longer_sold_is_unknown_from_that_day() -> None:
    seed(openai({"gpt": {"input_mtok": "10"}}, flex={"input_mtok": "5"}), FIRST)
    seed(openai({"gpt": {"input_mtok": "10"}}), SECOND)
    assert cost("gpt", SECOND.date() - DAY, "flex") == 5
    assert cost("gpt", SECOND.date(), "flex") == "tier_unknown"


def test_a_model_no_longer_listed_keeps_its_last_price_and_its_name() -> None:
    seed(openai({"gpt-old": {"input_mtok": "10"}, "gpt": {"input_mtok": "3"}}), FIRST)
    seed(openai({"gpt": {"input_mtok": "3"}}), SECOND)
    assert cost("gpt-old", SECOND.date() + DAY) == 10
    assert CatalogueModel.objects.get(model="gpt-old").listed is False


def test_seeding_leaves_its_trace() -> None:
    book = seed(openai({"gpt": {"input_mtok": "10"}}), FIRST).book
    event = AuditEvent.objects.get(verb="pricing.book_seeded")
    assert (event.organization_id, event.subject_id, event.details["opened"]) == (0, str(book.id), 1)
    assert book.report == {"opened": 1, "closed": 0, "withdrawn": 0, "models": 1, "unread": []}


def test_the_database_refuses_two_prices_for_one_day() -> None:
    seed(openai({"gpt": {"input_mtok": "10"}}), FIRST)
    standing = Price.objects.get()
    second = {**Price.objects.values().get(), "id": None, "effective_from": date(2030, 1, 1)}
    with pytest.raises(IntegrityError, match="price_one_at_a_time"), transaction.atomic():
        Price.objects.create(**second)
    standing.effective_to = date(2030, 1, 1)
    standing.save()
    Price.objects.create(**second)
    Price.objects.create(**{**second, "window": "00:00-06:00"})
    # Words that run together the same way are still other words.
    Price.objects.create(**{**second, "provider": "open", "model": "aigpt"})


@pytest.mark.parametrize(
    ("field", "value", "name"),
    [
        ("effective_to", date(2029, 1, 1), "price_period_not_backwards"),
        ("currency", "usd", "price_currency"),
        ("window", "24:00-25:00", "price_window"),
    ],
)
def test_the_database_refuses_nonsense(field: str, value: object, name: str) -> None:
    seed(openai({"gpt": {"input_mtok": "10"}}), FIRST)
    row = {**Price.objects.values().get(), "id": None, "model": "other", "effective_from": date(2030, 1, 1)}
    with pytest.raises(IntegrityError, match=name), transaction.atomic():
        Price.objects.create(**row | {field: value})


def test_the_database_keeps_what_a_price_was() -> None:
    seed(openai({"gpt": {"input_mtok": "10"}}), FIRST)
    seed(openai({"gpt": {"input_mtok": "6"}}), SECOND)
    old = selectors.price_history("openai", "gpt")[0]
    history = old.events.order_by("pgh_id").values_list("pgh_label", "effective_to")  # type: ignore[attr-defined]
    assert list(history) == [("insert", None), ("update", SECOND.date())]


def test_the_installed_release_is_copied_by_the_command_once(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("seed_prices")
    call_command("seed_prices")
    said = capsys.readouterr().out
    assert "2 withdrawn" not in said
    assert "nothing to do" in said
    assert Price.objects.count() == len(real_content().drafts)
    assert cost("gpt-4o", date(2026, 11, 1)) == Decimal("2.5")
    found = selectors.prices(on=date(2026, 11, 1), search="openai gpt-4o", provider="openai")
    assert {"gpt-4o", "gpt-4o-mini"} <= {price.model for price in found}
    assert ("openai", "OpenAI") in selectors.providers()
