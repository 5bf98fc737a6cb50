"""However often a call arrives, in whatever order and by whichever source, it is charged once."""

from __future__ import annotations

from finops.ingest.types import Status
from finops.ledger import selectors
from finops.ledger.services import fold_all
from tests.factories.ledger import PRICE, Book, event, rows
from tests.factories.orgs import Cast
from tests.factories.pricing import counts

CHARGED, DUPLICATE, CONFLICT = Status.CHARGED, Status.DUPLICATE, Status.CONFLICT
REVISED, SIGHTED = Status.REVISED, Status.SIGHTED
TWICE = counts(input_uncached=2_000, output_text=200, requests=1)
THRICE = counts(input_uncached=3_000, output_text=300, requests=1)


def test_a_batch_sent_twice_is_charged_once(book: Book) -> None:
    batch = [event(f"call-{n}") for n in range(20)]
    assert book.take(*batch) == [CHARGED] * 20
    assert book.take(*reversed(batch)) == [DUPLICATE] * 20
    assert book.total() == 20 * PRICE
    assert book.disagreements() == []


def test_the_same_id_with_other_content_is_a_conflict_and_the_first_stands(book: Book) -> None:
    book.take(event())
    (outcome,) = book.outcomes(event(counts=TWICE))
    assert outcome.status is CONFLICT
    assert outcome.problem is not None
    assert outcome.problem.code == "ingest.conflict"
    assert book.total() == PRICE


def test_within_a_batch_the_first_of_an_id_is_charged(book: Book) -> None:
    assert book.take(event(), event(counts=TWICE), event(), event(counts=THRICE)) == [
        CHARGED,
        CONFLICT,
        DUPLICATE,
        CONFLICT,
    ]
    assert book.total() == PRICE


def test_an_id_is_one_source_s_own(book: Book) -> None:
    assert book.take(event(), source="gateway") == [CHARGED]
    assert book.take(event(), source="tools") == [CHARGED]
    assert book.total() == 2 * PRICE


def test_one_request_seen_by_two_sources_is_one_charge_and_a_sighting(book: Book) -> None:
    assert book.take(event("gw-1", provider_request_id="req_1"), source="gateway") == [CHARGED]
    seen = event("tool-9", provider_request_id="req_1", counts=TWICE)
    assert book.take(seen, source="tools") == [SIGHTED]
    assert book.take(seen, source="tools") == [DUPLICATE]
    assert book.take(event("tool-9", provider_request_id="req_1"), source="tools") == [CONFLICT]
    assert book.total() == PRICE
    ((charge_id, _),) = book.standing()
    (sighting,) = selectors.sightings(book.organization.id, charge_id)
    assert sighting["external_id"] == "tool-9"
    assert sighting["counts"] == list(TWICE)
    assert book.disagreements() == []


def test_one_request_twice_in_a_batch_is_one_charge(book: Book) -> None:
    assert book.take(*[event(f"n-{n}", provider_request_id="req_1") for n in range(3)]) == [CHARGED, SIGHTED, SIGHTED]
    assert book.total() == PRICE
    assert book.disagreements() == []


def test_a_refused_record_does_not_keep_a_request_from_being_charged(book: Book) -> None:
    book.take(event("call-1"))
    changed = event("call-1", provider_request_id="req_1", counts=TWICE)
    assert book.take(changed) == [CONFLICT]
    assert book.take(event("call-2", provider_request_id="req_1")) == [CHARGED]
    assert book.disagreements() == []


def test_nor_does_it_in_the_same_batch(book: Book) -> None:
    book.take(event("call-1"))
    outcomes = book.take(
        event("call-1", provider_request_id="req_1", counts=TWICE),
        event("call-2", provider_request_id="req_1"),
        event("call-3", provider_request_id="req_1"),
    )
    assert outcomes == [CONFLICT, CHARGED, SIGHTED]
    assert book.total() == 2 * PRICE
    assert book.disagreements() == []


def test_the_same_id_at_another_provider_s_request_is_told_apart(book: Book) -> None:
    """A request id is its provider's: the same text at another provider is another call."""
    assert book.take(event("a", provider_request_id="req_1")) == [CHARGED]
    assert book.take(event("b", provider="mistral", model="m", provider_request_id="req_1")) == [CHARGED]


def test_a_source_that_restates_itself_makes_a_reversal_and_a_new_charge(book: Book) -> None:
    assert book.take(event("bucket"), source="report", revises=True) == [CHARGED]
    assert book.take(event("bucket", counts=TWICE), source="report") == [REVISED]
    assert book.take(event("bucket", counts=TWICE), source="report") == [DUPLICATE]
    assert sorted(book.charges("effective_cost, reason, revision")) == [
        (-PRICE, "reversal", 0),
        (PRICE, "", 0),
        (2 * PRICE, "revision", 1),
    ]
    assert book.total() == 2 * PRICE
    fold_all()
    assert book.disagreements() == []


def test_what_was_said_first_may_be_said_again(book: Book) -> None:
    """Only the latest statement is remembered: going back to an earlier one is a revision too."""
    for counted in (counts(input_uncached=1), TWICE, counts(input_uncached=1)):
        book.take(event("bucket", counts=counted), source="report", revises=True)
    assert len(book.charges()) == 5
    assert [row[0] for row in rows("SELECT revision FROM ledger_charge_key WHERE external_id = 'bucket'")] == [2]
    assert book.disagreements() == []


def test_revisions_of_one_id_in_one_batch_follow_each_other(book: Book) -> None:
    outcomes = book.take(
        event("bucket"),
        event("other"),
        event("bucket", counts=TWICE),
        event("bucket", counts=TWICE),
        event("bucket", counts=THRICE),
        source="report",
        revises=True,
    )
    assert outcomes == [CHARGED, CHARGED, REVISED, DUPLICATE, REVISED]
    assert book.total() == 4 * PRICE
    assert book.disagreements() == []


def test_a_revision_that_moves_the_day_takes_its_money_along(book: Book) -> None:
    later = event().occurred_at.replace(month=9, day=30)
    book.take(event("bucket"), source="report", revises=True)
    book.take(event("bucket", occurred_at=later), source="report")
    ((_, occurred_at),) = book.standing()
    assert occurred_at == later
    assert book.disagreements() == []


def test_a_revision_that_names_another_request_frees_the_first(book: Book) -> None:
    book.take(event("bucket", provider_request_id="req_1"), source="report", revises=True)
    assert book.take(event("bucket", provider_request_id="req_2"), source="report") == [REVISED]
    assert book.take(event("gw-2", provider_request_id="req_2")) == [SIGHTED]
    assert book.take(event("gw-1", provider_request_id="req_1")) == [CHARGED]
    assert book.disagreements() == []


def test_what_others_saw_follows_a_revision(book: Book) -> None:
    book.take(event("bucket", provider_request_id="req_1"), source="report", revises=True)
    assert book.take(event("seen", provider_request_id="req_1"), source="tools") == [SIGHTED]
    assert book.take(event("bucket", provider_request_id="req_1", counts=TWICE), source="report") == [REVISED]
    ((standing, _),) = book.standing()
    assert rows("SELECT charge_id FROM ledger_sighting") == [(standing,)]
    assert rows("SELECT charge_id FROM ledger_charge_key WHERE external_id = 'seen'") == [(standing,)]
    assert book.take(event("seen", provider_request_id="req_1"), source="tools") == [DUPLICATE]
    assert book.disagreements() == []


def test_a_revision_cannot_become_a_call_that_is_charged_already(book: Book) -> None:
    book.take(event("gw-1", provider_request_id="req_1"))
    book.take(event("bucket"), source="report", revises=True)
    assert book.take(event("bucket", provider_request_id="req_1"), source="report") == [CONFLICT]
    assert book.total() == 2 * PRICE
    assert book.disagreements() == []


def test_a_charge_is_reversed_once(book: Book) -> None:
    book.take(event("a"), event("b"))
    first, second = book.standing()
    assert book.reverse(first, first) == {first[0]}
    assert book.reverse(first, second) == {second[0]}
    reversals = rows("SELECT id, occurred_at FROM ledger_charge WHERE reverses IS NOT NULL")
    assert len(reversals) == 2
    assert book.reverse(*reversals) == set()
    assert book.total() == 0
    assert book.disagreements() == []


def test_what_was_reversed_stays_charged_once_when_it_is_sent_again(book: Book) -> None:
    book.take(event("a"))
    book.reverse(*book.standing())
    assert book.take(event("a")) == [DUPLICATE]
    assert book.total() == 0


def test_another_organization_cannot_be_reversed_into(book: Book, cast: Cast) -> None:
    book.take(event("a"))
    assert Book(cast.globex).reverse(*book.standing()) == set()
    assert Book(cast.globex).take(event("a")) == [CHARGED]
    assert book.total() == PRICE
