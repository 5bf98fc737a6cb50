"""Several accounts of one provider, each with its bill; and one account that two sources bill."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from finops.reconciliation import selectors
from finops.reconciliation.models import CountingRule
from finops.reconciliation.selectors import LONGEST_WAIT
from finops.reconciliation.services import change_rule
from tests.factories.ledger import PRICE, Book, event, rows
from tests.factories.orgs import HOUSE, Cast
from tests.factories.statements import MIDNIGHT, Stated
from tests.rooms.reconciliation.test_reconcile import called


@pytest.fixture
def stated(book: Book) -> Stated:
    return Stated(book)


@pytest.fixture
def research(book: Book) -> Stated:
    """The company's second account, whose bill is one of its own."""
    return Stated(book, "research")


def levels(book: Book) -> dict[str, str]:
    found = CountingRule.objects.filter(organization_id=book.organization.id).values_list("source__slug", "level")
    return dict(found.order_by("source_id"))


def set_level(one: Stated, level: str) -> None:
    house = one.book.organization.id
    rule = CountingRule.objects.get(organization_id=house, source=one.money_source)
    change_rule(organization_id=house, rule_id=rule.id, level=level, by=HOUSE, at=one.book.now())


def by_source(book: Book) -> dict[str, Decimal]:
    return dict(
        rows(
            "SELECT s.slug, sum(c.effective_cost) FROM ledger_charge c JOIN sources_source s ON s.id = c.source_id"
            " WHERE c.organization_id = %s GROUP BY 1 HAVING sum(c.effective_cost) <> 0",
            book.organization.id,
        )
    )


def test_two_accounts_have_two_bills_and_both_are_money(
    book: Book, stated: Stated, research: Stated, cast: Cast
) -> None:
    """Alice calls on one account, Bob on the other, and nobody saw half of what the second was used for."""
    called(book, "a", cast.alice, provider_account="main")
    called(book, "b", cast.bob, provider_account="lab")
    stated.billed("0.010", provider_account="main")
    stated.reported(input_uncached=1_000, output_text=100, provider_account="main")
    research.billed("0.030", provider_account="lab")
    research.reported(input_uncached=2_000, output_text=200, provider_account="lab")
    assert stated.reconciled() == 1
    assert levels(book) == {"openai-money": "billed", "research-money": "billed"}
    assert stated.by_person() == {
        0: Decimal("0.015"),
        cast.alice.id: Decimal("0.010"),
        cast.bob.id: Decimal("0.015"),
    }
    assert (stated.day().billed, stated.day().unseen, book.total()) == (
        Decimal("0.040"), Decimal("0.015"), Decimal("0.040"),
    )  # fmt: skip
    # What was added to meet a bill is of the source whose bill it is.
    assert by_source(book) == {
        "gateway": PRICE * 2, "openai-money": Decimal("-0.002"), "research-money": Decimal("0.018"),
    }  # fmt: skip
    assert book.disagreements() == []
    assert stated.reconciled() == 0


def test_accounts_that_are_not_named_are_added_up(book: Book, stated: Stated, research: Stated, cast: Cast) -> None:
    """A default workspace has no name: its bills differ all the same."""
    called(book, "a", cast.alice)
    called(book, "b", cast.bob)
    stated.billed("0.024", "output")
    stated.reported(input_uncached=1_000, output_text=100)
    research.billed("0.048", "output")
    research.reported(input_uncached=3_000, output_text=300)
    stated.reconciled()
    assert levels(book) == {"openai-money": "billed", "research-money": "billed"}
    # 200 of 400 tokens were seen.
    assert stated.by_person() == {
        0: Decimal("0.036"),
        cast.alice.id: Decimal("0.018"),
        cast.bob.id: Decimal("0.018"),
    }
    assert unseen_tokens(book) == 200
    assert book.total() == Decimal("0.072")


def unseen_tokens(book: Book) -> int:
    """Written by nobody's calls."""
    [(tokens,)] = rows(
        "SELECT sum(output_text) FROM ledger_charge WHERE organization_id = %s AND reason = 'trueup' AND person_id = 0",
        book.organization.id,
    )
    return int(tokens)


def test_the_same_account_connected_twice_is_billed_once(book: Book, stated: Stated, research: Stated) -> None:
    for one in (stated, research):
        one.billed("3", "output")
        one.billed("2", model="gpt-mini")
        one.reported(output_text=400)
    # A row was revised since the first was asked.
    research.billed("2.5", model="gpt-mini")
    stated.reconciled()
    assert levels(book) == {"openai-money": "billed", "research-money": "repeated"}
    assert book.total() == Decimal(5)
    assert unseen_tokens(book) == 400


@pytest.mark.parametrize(
    ("form", "account"), [("openai_report", "main"), ("invoice", "main"), ("invoice", "lab"), ("invoice", "")]
)
def test_a_bill_that_may_say_the_same_counts_once_somebody_says_so(
    book: Book, stated: Stated, form: str, account: str
) -> None:
    other = Stated(book, "other", form=form)
    stated.billed("5", provider_account="main")
    other.billed("6", provider_account=account, name="another row")
    stated.reconciled()
    assert levels(book) == {"openai-money": "billed", "other-money": "repeated"}
    assert book.total() == Decimal(5)
    set_level(other, "billed")
    assert (stated.reconciled(), book.total()) == (1, Decimal(11))
    set_level(stated, "repeated")
    assert (stated.reconciled(), book.total()) == (1, Decimal(6))
    assert book.disagreements() == []


def test_an_account_may_be_counted_by_its_calls_beside_one_that_is_billed(
    book: Book, stated: Stated, research: Stated, cast: Cast
) -> None:
    called(book, "a", cast.alice, provider_account="main")
    called(book, "b", cast.bob, provider_account="lab")
    stated.billed("0.010", provider_account="main")
    research.billed("0.030", provider_account="lab")
    stated.reconciled()
    set_level(research, "metered")
    assert (stated.reconciled(), book.total()) == (1, Decimal("0.010") + PRICE)
    day = stated.day()
    assert (day.state, day.billed, day.seen, day.calls) == ("tied", Decimal("0.010"), PRICE, 1)
    assert stated.by_person() == {cast.alice.id: Decimal("0.010"), cast.bob.id: PRICE}
    set_level(stated, "metered")
    assert (stated.reconciled(), book.total()) == (1, PRICE * 2)
    day = stated.day()
    assert (day.state, day.billed, day.calls) == ("compared", Decimal("0.040"), 2)
    assert book.disagreements() == []


def test_a_day_waits_for_the_second_bill_but_not_for_ever(
    book: Book, stated: Stated, research: Stated, cast: Cast
) -> None:
    """Else calls of the account whose bill is late would cost nothing meanwhile."""
    later = MIDNIGHT + timedelta(days=1)
    book.at = later + timedelta(hours=12)
    stated.billed("1", provider_account="main")
    research.billed("1", provider_account="lab")
    assert stated.reconciled() == 1
    called(book, "b", cast.bob, provider_account="lab", occurred_at=later)
    stated.billed("2", provider_account="main", occurred_at=later)
    book.at += timedelta(days=1)
    [counting] = selectors.countings(book.organization.id)
    assert (stated.reconciled(), book.total()) == (0, Decimal(2) + PRICE)
    waiting = selectors.changed(counting, since=MIDNIGHT.date(), at=book.at, not_come=True)
    assert [day for day, _ in waiting] == [later.date()]
    book.at += LONGEST_WAIT
    assert (stated.reconciled(), book.total()) == (1, Decimal(4))
    research.billed("3", provider_account="lab", occurred_at=later)
    assert (stated.reconciled(), book.total()) == (1, Decimal(7))
    assert stated.by_person()[cast.bob.id] == PRICE


def test_an_account_that_is_used_no_more_holds_nothing_up(book: Book, stated: Stated, research: Stated) -> None:
    stated.billed("1", provider_account="main")
    research.billed("1", provider_account="lab")
    stated.reconciled()
    later = MIDNIGHT + timedelta(days=1)
    research_rule = CountingRule.objects.get(source=research.money_source)
    change_rule(
        organization_id=book.organization.id, rule_id=research_rule.id, until=later.date(), by=HOUSE, at=book.now()
    )
    book.take(event("a", occurred_at=later, provider_account="main"))
    stated.billed("2", provider_account="main", occurred_at=later)
    book.at = later + timedelta(days=1, hours=12)
    assert (stated.reconciled(), book.total()) == (1, Decimal(4))


def test_a_call_that_names_no_account_may_be_of_any_beside_one_without_a_name(
    book: Book, stated: Stated, cast: Cast
) -> None:
    """The default workspace has no name, and a tool that tells no workspace may be used in another."""
    called(book, "a", cast.alice)
    stated.billed("0.012", "output", provider_account="lab")
    stated.billed("0.012", "output")
    stated.reported(output_text=100, provider_account="lab")
    stated.reconciled()
    assert stated.by_person()[cast.alice.id] == Decimal("0.024")
    assert book.total() == Decimal("0.024")
