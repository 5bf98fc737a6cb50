"""Models that a price-book update brings: candidates by themselves, with what testing them costs, until known."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from finops.orgs.models import Organization
from finops.pricing import selectors as pricing
from routing.recommend import rules, selectors, services
from routing.recommend.models import Recommendation
from routing.tiers.services import set_entry
from routing.tiers.types import Entry, Tier
from tests.factories.ledger import AT, Book, event
from tests.factories.orgs import HOUSE, Cast
from tests.factories.pricing import provider, seed
from tests.factories.recommend import known, measured, rows, spend, worked
from tests.factories.small_book import SMALL_BOOK

LATER = AT + timedelta(days=1)


def price(read: str, written: str) -> dict[str, str]:
    return {"input_mtok": read, "output_mtok": written}


def update(at: datetime = AT, **models: Any) -> None:
    """A release with everything there was, and these of OpenAI's."""
    book = {name: dict(its) for name, its in SMALL_BOOK.items()}
    book["openai"] |= {name.replace("_", "-"): dict(its) for name, its in models.items()}
    seed([*(provider(name, its) for name, its in book.items()), provider("azure", {}, fallbacks=["openai"])], at=at)


def trials(cast: Cast, **given: str) -> list[Recommendation]:
    return rows(cast, kind="experiment", state="open", **given)


def test_a_new_model_is_a_candidate_with_what_testing_it_costs(cast: Cast, book: Book) -> None:
    spend(book)
    assert worked(cast) == services.Recomputed(0, 0, 0, 0)
    update(gpt_next=price("4", "8"))
    assert worked(cast, LATER).opened == 1
    [row] = trials(cast)
    assert (row.task_type, row.incumbent, row.candidate, row.verdict) == ("triage", "gpt", "gpt-next", "inconclusive")
    advice = selectors.advice_of(row)
    assert advice.brought
    assert advice.trial is not None
    # 1,000 read and 100 written: 0.012 at gpt and 0.0048 at the new one, for each task.
    assert advice.trial.cost == advice.trial.tasks * Decimal("0.0168")
    assert advice.trial.tasks > 400
    assert advice.trial.share == pytest.approx(0.6)
    assert (advice.volume.calls, advice.rule) == (100, None)
    assert worked(cast, LATER) == services.Recomputed(0, 0, 0, 0)


def test_what_the_first_book_had_is_not_new_and_neither_is_what_came_long_ago(cast: Cast, book: Book) -> None:
    spend(book)
    assert pricing.arrivals(AT - timedelta(days=1_000)) == []
    update(gpt_next=price("4", "8"))
    assert pricing.arrivals(AT) == [("openai", "gpt-next")]
    assert pricing.arrivals(AT + timedelta(seconds=1)) == []


@pytest.mark.parametrize(
    ("reads", "why"),
    [
        ("9.9", "hardly cheaper"),
        ("30", "dearer"),
    ],
)
def test_what_saves_nothing_is_not_worth_a_trial(cast: Cast, book: Book, reads: str, why: str) -> None:
    spend(book)
    update(other_next=price(reads, "20"), other_embed={"input_mtok": "1"}, other_tts=price("1", "2"))
    assert worked(cast, LATER).opened == 0, why


def test_a_newer_one_of_the_same_family_is_worth_one_at_any_price(cast: Cast, book: Book) -> None:
    for model in ("gpt", "other-next"):
        set_entry(
            organization_id=cast.acme.id, entry=Entry(model=model, vendor="openai", tier=Tier.FRONTIER), by=HOUSE, at=AT
        )
    spend(book)
    update(other_next=price("12", "24"))
    worked(cast, LATER)
    [row] = trials(cast)
    advice = selectors.advice_of(row)
    assert advice.trial is not None
    assert advice.trial.share is None
    assert any("same family" in reason for reason in advice.reasons)


def test_of_hundreds_the_best_few_are_named(cast: Cast, book: Book) -> None:
    spend(book)
    # Frontier by price, the next class, and so cheap that no class of the incumbent's is near.
    dear = {f"dear_{place}": price(str(5 + place), "10") for place in range(5)}
    cheap = {f"cheap_{place}": price("0.1", "0.2") for place in range(100)}
    mid = {f"middling_{place}": price("1", "2") for place in range(100)}
    update(AT, **dear, **cheap, **mid)
    worked(cast, LATER)
    assert sorted(row.candidate for row in trials(cast)) == ["dear-0", "dear-1", "dear-2"]


def test_each_type_has_its_own_at_its_own_mix(cast: Cast, book: Book) -> None:
    spend(book)
    spend(book, task_type="review", model="gpt-mini", calls=500)
    update(gpt_next=price("4", "8"), small_next=price("0.9", "1.1"))
    worked(cast, LATER)
    assert {(row.task_type, row.incumbent, row.candidate) for row in trials(cast)} == {
        ("triage", "gpt", "gpt-next"), ("triage", "gpt", "small-next"), ("review", "gpt-mini", "small-next"),
    }  # fmt: skip


def test_it_goes_once_it_is_measured(cast: Cast, book: Book) -> None:
    spend(book)
    update(gpt_next=price("4", "8"))
    worked(cast, LATER)
    known(cast.acme, {"gpt": 0.9, "gpt-next": 0.9}, at=LATER, number=60, costs={"gpt": 0.02, "gpt-next": 0.01})
    worked(cast, LATER + timedelta(hours=1))
    # What is known of it speaks now, under the same recommendation.
    [row] = rows(cast)
    assert (row.kind, row.candidate, row.pairs, selectors.advice_of(row).brought) == (
        "experiment", "gpt-next", 60, False,
    )  # fmt: skip
    known(cast.acme, {"gpt": 0.9, "gpt-next": 0.2}, at=LATER, name="more", costs={"gpt": 0.02, "gpt-next": 0.01})
    worked(cast, LATER + timedelta(hours=2))
    [gone] = rows(cast, state="withdrawn")
    assert gone.reason.startswith("What was to be found out of gpt-next is known now")


@pytest.mark.parametrize("what", ["used", "gone"])
def test_it_goes_once_it_is_used_or_has_left_the_book(cast: Cast, book: Book, what: str) -> None:
    spend(book)
    update(gpt_next=price("4", "8"))
    worked(cast, LATER)
    if what == "used":
        book.take(event("tried", model="gpt-next"))
    else:
        update(at=LATER)
    assert worked(cast, LATER + timedelta(days=1)).withdrawn == 1
    [gone] = rows(cast, state="withdrawn")
    said = {"used": "gpt-next is used by now.", "gone": "gpt-next is not in the price book any more, or not new."}
    assert gone.reason == said[what]


def test_what_was_dismissed_stays_so_at_the_same_price(cast: Cast, book: Book) -> None:
    spend(book)
    update(gpt_next=price("4", "8"))
    worked(cast, LATER)
    [row] = trials(cast)
    services.dismiss(organization_id=cast.acme.id, recommendation_id=row.id, reason="not ours", by=HOUSE, at=LATER)
    assert worked(cast, LATER + timedelta(hours=1)).opened == 0
    update(at=LATER + timedelta(days=1), gpt_next=price("2", "4"))
    assert worked(cast, LATER + timedelta(days=2)).opened == 1


def test_only_what_is_sold_where_the_organization_is_or_by_its_maker(cast: Cast, book: Book) -> None:
    spend(book)
    openai = dict(SMALL_BOOK["openai"])
    seed(
        [
            provider("openai", openai), provider("anthropic", SMALL_BOOK["anthropic"]),
            provider("elsewhere", {"stranger": price("4", "8"), "acme/shared": price("3", "6")}),
            provider("deepseek", {"deepseek-next": price("5", "9"), "shared": price("4", "8")}),
        ],
        at=AT,
    )  # fmt: skip
    worked(cast, LATER)
    assert [row.candidate for row in trials(cast)] == ["deepseek-next"]


def test_news_makes_an_organization_due(cast: Cast, book: Book) -> None:
    spend(book)
    assert selectors.due(AT) == []
    update(at=AT)
    # The same book says nothing new, and one that only changes prices is a release too.
    assert selectors.due(AT) == []
    update(at=AT, gpt_next=price("4", "8"))
    assert selectors.due(AT) == [cast.acme.id]
    worked(cast, AT + timedelta(minutes=1))
    assert selectors.due(AT + timedelta(hours=1)) == []
    assert selectors.due(AT + timedelta(hours=25)) == [cast.acme.id]
    assert selectors.due(AT + rules.NEWS_FOR + timedelta(days=1)) == []
    assert Organization.objects.count() > 1


def test_beside_what_is_measured_it_is_another_experiment(cast: Cast, book: Book) -> None:
    spend(book)
    measured(cast)
    update(gpt_next=price("4", "8"))
    worked(cast, LATER)
    assert {(row.kind, row.candidate) for row in rows(cast, state="open")} == {
        ("switch", "gpt-mini"), ("experiment", "gpt-next"),
    }  # fmt: skip
