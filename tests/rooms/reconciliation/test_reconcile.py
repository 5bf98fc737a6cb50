"""A provider's bill and the calls that were seen become one set of books."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from finops.connectors.types import Dimensions, GivenCost
from finops.core.money import to_pico
from finops.ingest.models import QuarantinedRecord
from finops.ingest.types import Status
from finops.reconciliation.models import CountingRule, ReconciledDay
from finops.statements.models import Statement
from tests.factories.ledger import Book, event, rows
from tests.factories.orgs import Cast
from tests.factories.pricing import counts
from tests.factories.statements import MIDNIGHT, Stated


@pytest.fixture
def stated(book: Book) -> Stated:
    return Stated(book)


def called(book: Book, name: str, person: Any = None, **given: Any) -> None:
    """A thousand tokens in and a hundred out of gpt: 0.012 dollars by the price book."""
    owner = Dimensions(person=str(person.id)) if person is not None else Dimensions()
    assert book.take(event(name, dimensions=owner, **given)) == [Status.CHARGED]


def tokens(book: Book) -> dict[int, tuple[int, int]]:
    """By person, what was read and written; 0 is nobody."""
    found = rows(
        "SELECT person_id, sum(coalesce(input_uncached, 0)), sum(coalesce(output_text, 0)) FROM ledger_charge"
        " WHERE organization_id = %s GROUP BY 1",
        book.organization.id,
    )
    return {person: (int(read), int(written)) for person, read, written in found}


def test_a_statement_is_no_charge(book: Book, stated: Stated) -> None:
    assert stated.billed("5") is Status.CHARGED
    assert stated.billed("5") is Status.DUPLICATE
    assert stated.billed("6") is Status.REVISED
    assert stated.reported(input_uncached=100) is Status.CHARGED
    assert (book.total(), len(book.charges())) == (Decimal(0), 0)
    assert list(Statement.objects.order_by("external_id").values_list("revision", flat=True)) == [1, 0]


def test_what_is_billed_is_shared_by_who_was_seen_and_the_rest_is_one_visible_line(
    book: Book, stated: Stated, cast: Cast
) -> None:
    """Half of what was billed was seen; tokens cost a tenth less than the price book says."""
    called(book, "a", cast.alice)
    called(book, "b", cast.bob)
    stated.billed("0.036", "input_uncached")
    stated.billed("0.0072", "output")
    stated.reported(input_uncached=4_000, output_text=400)
    assert stated.reconciled() == 1
    assert stated.by_person() == {
        0: Decimal("0.0216"),
        cast.alice.id: Decimal("0.0108"),
        cast.bob.id: Decimal("0.0108"),
    }
    day = stated.day()
    assert (day.state, day.calls, day.billed, day.seen) == ("tied", 2, Decimal("0.0432"), Decimal("0.024"))
    assert (day.unseen, day.unattributed, book.total()) == (Decimal("0.0216"), Decimal("0.0216"), day.billed)
    assert book.disagreements() == []
    # Nothing changed since.
    assert stated.reconciled() == 0


def test_of_a_bill_that_says_tokens_itself_those_nobody_saw_are_in_the_books_with_whose_key_it_was(
    book: Book, stated: Stated, cast: Cast
) -> None:
    """As OpenRouter's activity and AWS' report do, beside which there is no report of usage."""
    called(book, "a", cast.alice)
    bob = Dimensions(person=str(cast.bob.id))
    stated.billed("0.03", input_uncached=3_000, output_text=300, dimensions=bob)
    stated.reconciled()
    assert stated.by_person() == {cast.alice.id: Decimal("0.01"), cast.bob.id: Decimal("0.02")}
    assert tokens(book) == {cast.alice.id: (1_000, 100), cast.bob.id: (2_000, 200)}
    assert book.disagreements() == []


def test_where_usage_is_reported_too_what_a_bill_says_of_it_is_not_counted_again(
    book: Book, stated: Stated, cast: Cast
) -> None:
    stated.billed("0.012", input_uncached=1_000, output_text=100)
    stated.reported(input_uncached=1_000, output_text=100)
    stated.reconciled()
    assert tokens(book) == {0: (1_000, 100)}


def test_where_a_bill_calls_the_models_otherwise_no_token_is_there_twice(
    book: Book, stated: Stated, cast: Cast
) -> None:
    called(book, "a", cast.alice)
    stated.billed("0.012", model="G.P.T. (Edition)", input_uncached=1_000, output_text=100)
    stated.reconciled()
    assert (book.total(), tokens(book)) == (Decimal("0.012"), {0: (0, 0), cast.alice.id: (1_000, 100)})


def test_of_a_bill_that_names_no_model_the_calls_keep_theirs(book: Book, stated: Stated, cast: Cast) -> None:
    """As Azure's and Google's do: what calls stand at is paid out of it, and the rest is what nobody saw."""
    called(book, "a", cast.alice)
    called(book, "b", cast.bob)
    stated.billed("0.02", "input_uncached", model="")
    stated.billed("0.01", "output", model="")
    stated.reconciled()
    assert stated.by_person() == {0: Decimal("0.006"), cast.alice.id: Decimal("0.012"), cast.bob.id: Decimal("0.012")}
    assert book.disagreements() == []
    # Cheaper than the price book says: each call costs its part of what was billed.
    stated.billed("0.008", "input_uncached", model="")
    stated.reconciled()
    assert stated.by_person() == {cast.alice.id: Decimal("0.009"), cast.bob.id: Decimal("0.009")}
    assert book.disagreements() == []


def test_tokens_that_nobody_is_billed_for_were_used_all_the_same(book: Book, stated: Stated) -> None:
    stated.billed("0.01", "input_uncached")
    stated.reported(input_uncached=1_000, output_text=100)
    stated.reconciled()
    assert (book.total(), tokens(book)) == (Decimal("0.01"), {0: (1_000, 100)})


def test_a_call_told_late_is_taken_from_what_nobody_saw(book: Book, stated: Stated, cast: Cast) -> None:
    stated.billed("0.024")
    stated.reported(input_uncached=2_000, output_text=200)
    called(book, "a", cast.alice)
    stated.reconciled()
    assert stated.by_person() == {0: Decimal("0.012"), cast.alice.id: Decimal("0.012")}
    called(book, "b", cast.bob)
    assert stated.reconciled() == 1
    assert stated.by_person() == {cast.alice.id: Decimal("0.012"), cast.bob.id: Decimal("0.012")}
    assert book.disagreements() == []


def test_a_revised_bill_is_what_the_books_come_to(book: Book, stated: Stated, cast: Cast) -> None:
    called(book, "a", cast.alice)
    stated.reported(input_uncached=1_000, output_text=100)
    stated.billed("0.010", "input_uncached")
    stated.billed("0.002", "output")
    stated.reconciled()
    assert book.total() == Decimal("0.012")
    stated.billed("0.005", "input_uncached")
    assert stated.reconciled() == 1
    assert stated.by_person() == {cast.alice.id: Decimal("0.007")}
    assert book.disagreements() == []


def test_a_line_that_is_no_more_is_undone(book: Book, stated: Stated, cast: Cast) -> None:
    stated.billed("0.024", "output")
    stated.reported(output_text=1_200)
    stated.reconciled()
    assert stated.by_person() == {0: Decimal("0.024")}
    called(book, "a", cast.alice, counts=counts(output_text=1_200, requests=1))
    stated.reconciled()
    assert stated.by_person() == {cast.alice.id: Decimal("0.024")}
    # And once undone it stays so.
    lines = len(book.charges())
    called(book, "b", cast.bob, occurred_at=MIDNIGHT + timedelta(days=1))
    stated.billed("1", occurred_at=MIDNIGHT + timedelta(days=1))
    assert (stated.reconciled(), len(book.charges()) - lines) == (1, 2)


def test_a_day_is_left_alone_until_it_is_over(book: Book, stated: Stated) -> None:
    stated.billed("1", occurred_at=book.at.replace(hour=0))
    assert stated.reconciled() == 0
    book.at += timedelta(hours=17)
    assert stated.reconciled() == 0
    book.at += timedelta(hours=2)
    assert (stated.reconciled(), book.total()) == (1, Decimal(1))


def test_by_a_rule_that_counts_calls_the_bill_is_only_compared(book: Book, stated: Stated) -> None:
    called(book, "a")
    stated.billed("5")
    stated.reconciled()
    assert book.total() == 5
    CountingRule.objects.update(level="metered")
    assert stated.reconciled() == 1
    assert (book.total(), stated.day().state) == (Decimal("0.012"), "compared")
    assert (stated.day().billed, stated.day().seen) == (Decimal(5), Decimal("0.012"))


def test_a_currency_nobody_has_a_rate_for_is_held_and_another_than_that_of_calls_is_not_added(
    book: Book, stated: Stated
) -> None:
    assert stated.billed("5", currency="EUR") is Status.QUARANTINED
    held = QuarantinedRecord.objects.get()
    assert (held.code, Statement.objects.count()) == ("pricing.no_exchange_rate", 0)


def test_calls_at_another_host_are_not_this_bills(book: Book, stated: Stated) -> None:
    called(book, "a", host="together", cost=GivenCost(to_pico(Decimal("0.012")), "USD"))
    stated.billed("3")
    stated.reconciled()
    assert (book.total(), stated.day().calls) == (Decimal("3.012"), 0)


def test_what_a_subscription_pays_for_takes_no_part_of_the_bill_of_calls(
    book: Book, stated: Stated, cast: Cast
) -> None:
    called(book, "a", cast.alice)
    called(book, "b", cast.bob, tags=(("billing", "subscription"),), cost=GivenCost(0, "USD"))
    stated.billed("0.024")
    stated.reported(input_uncached=2_000, output_text=200)
    stated.reconciled()
    assert stated.by_person() == {0: Decimal("0.012"), cast.alice.id: Decimal("0.012")}
    assert stated.day().calls == 1


def test_a_word_alone_makes_no_call_free(book: Book, stated: Stated, cast: Cast) -> None:
    """A call that costs something is on the bill, whatever its source calls it."""
    called(book, "a", cast.alice, tags=(("billing", "subscription"),))
    stated.billed("0.012")
    stated.reported(input_uncached=1_000, output_text=100)
    stated.reconciled()
    assert stated.by_person() == {cast.alice.id: Decimal("0.012")}


def test_another_organizations_statements_are_its_own(book: Book, stated: Stated, cast: Cast) -> None:
    other = Book(cast.globex)
    theirs = Stated(other)
    called(book, "a")
    called(other, "a")
    theirs.billed("7")
    assert (stated.reconciled(), theirs.reconciled()) == (0, 1)
    assert (book.total(), other.total()) == (Decimal("0.012"), Decimal(7))
    assert set(ReconciledDay.objects.values_list("organization_id", flat=True)) == {cast.globex.id}
