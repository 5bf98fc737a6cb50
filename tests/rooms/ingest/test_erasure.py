"""Somebody is erased: nothing of the ledger names them any more, and not a cent changes hands."""

from __future__ import annotations

import json
from datetime import date
from itertools import count
from typing import Any

import msgspec
from django.db import transaction

from finops.connectors.types import Dimensions, UsageEvent
from finops.core.periods import DayRange
from finops.ingest import services as ingest
from finops.jobs import services as jobs
from finops.jobs.models import Job
from finops.ledger.models import Interned
from finops.ledger.types import Posted
from finops.orgs import services as orgs
from finops.statements import services as statements
from finops.statements.models import Statement
from tests.factories.ledger import AT, Book, event, rows
from tests.factories.orgs import HOUSE, NOON, Cast

OCTOBER = DayRange(date(2026, 10, 1), date(2026, 11, 1))
BOB, ALICE = ("email", "Bob@acme.example"), ("email", "alice@acme.example")
GITHUB, STRANGE = ("github", "bob-codes"), ("provider_user", "u-123")


def reattribute(book: Book) -> int:
    job = ingest.open_rework(
        organization_id=book.organization.id, kind=ingest.REATTRIBUTE, period=OCTOBER, by=HOUSE, at=book.now()
    )
    claimed = jobs.claim(job_id=job.id, at=book.now())
    assert claimed is not None
    ingest.run_rework(job=claimed, now=book.now)
    return int(Job.objects.get(id=job.id).result["changed"])


def owners(book: Book) -> dict[str, tuple[int, int]]:
    return {name: (person, team) for name, person, team in book.charges("external_id, person_id, team_id")}


_numbers = count(1)


def said(*identities: tuple[str, str], **more: object) -> UsageEvent:
    return event(f"call-{next(_numbers)}", identities=identities, **more)


def test_an_erased_person_s_names_are_gone_and_their_charges_stay_theirs(book: Book, cast: Cast) -> None:
    mine: dict[str, Any] = {"organization_id": cast.acme.id, "by": HOUSE, "at": NOON}
    orgs.add_identity(person_id=cast.bob.id, kind="github", value="bob-codes", **mine)
    key = orgs.issue_key(name="Alice's", person_id=cast.alice.id, **mine).key
    calls = [
        said(BOB),
        said(GITHUB),
        said(BOB, GITHUB),
        said(STRANGE, BOB),
        said(ALICE, BOB),
        said(BOB, ALICE),
        said(dimensions=Dimensions(person="bob")),
        said(dimensions=Dimensions(person="bob@acme.example")),
        said(BOB, dimensions=Dimensions(person="nobody-here")),
        said(BOB, dimensions=Dimensions(person="alice")),
        said(BOB, key_prefix=key.prefix),
        said(BOB, dimensions=Dimensions(team="chat")),
        said(STRANGE),
    ]
    book.take(*calls)
    before = owners(book)
    assert {person for person, _ in before.values()} == {0, cast.alice.id, cast.bob.id}

    erased = ingest.erase_person(organization_id=cast.acme.id, person_id=cast.bob.id, by=HOUSE, at=AT)
    ingest.erase_person(organization_id=cast.acme.id, person_id=cast.bob.id, by=HOUSE, at=AT)

    kept = json.dumps(list(Interned.objects.values_list("body", flat=True))).lower()
    assert "bob" not in kept
    assert erased.slug in kept
    assert "alice@acme.example" in kept
    assert owners(book) == before
    assert reattribute(book) == 0
    assert owners(book) == before
    assert book.disagreements() == []


def test_a_name_nobody_had_when_the_call_came_is_forgotten_in_the_reasons_too(book: Book, cast: Cast) -> None:
    mine: dict[str, Any] = {"organization_id": cast.acme.id, "by": HOUSE}
    book.take(said(dimensions=Dimensions(person="Bob-Codes")), said(dimensions=Dimensions(person="somebody-else")))
    orgs.add_identity(person_id=cast.bob.id, kind="github", value="bob-codes", at=NOON, **mine)
    before = owners(book)
    ingest.erase_person(person_id=cast.bob.id, at=AT, **mine)
    kept = json.dumps(list(Interned.objects.values_list("body", flat=True))).lower()
    assert "bob-codes" not in kept
    assert '"unknown", 0, "somebody-else"' in kept
    assert owners(book) == before


def test_a_name_that_is_somebody_else_s_by_now_stays(book: Book, cast: Cast) -> None:
    """The desk's shared address was Bob's and is Alice's: to forget it would take it from her."""
    mine: dict[str, Any] = {"organization_id": cast.acme.id, "by": HOUSE}
    desk = orgs.add_identity(person_id=cast.bob.id, kind="email", value="desk@acme.example", at=NOON, **mine)
    orgs.remove_identity(identity_id=desk.id, at=NOON, **mine)
    orgs.add_identity(person_id=cast.alice.id, kind="email", value="desk@acme.example", at=NOON, **mine)
    book.take(said(("email", "desk@acme.example")))
    before = owners(book)
    ingest.erase_person(person_id=cast.bob.id, at=AT, **mine)
    assert [row[0] for row in rows("SELECT body ->> 'identities' FROM ledger_interned WHERE kind = 'origin'")] == [
        '[["email", "desk@acme.example"]]'
    ]
    assert reattribute(book) == 0
    assert owners(book) == before


def test_nobody_of_another_organization_is_forgotten(book: Book, cast: Cast) -> None:
    orgs.add_person(organization_id=cast.globex.id, name="Bob", email="bob@acme.example", by=HOUSE, at=NOON)
    theirs = Book(cast.globex)
    theirs.take(said(BOB))
    ingest.erase_person(organization_id=cast.acme.id, person_id=cast.bob.id, by=HOUSE, at=AT)
    assert reattribute(theirs) == 0
    assert "Bob@acme.example" in json.dumps(list(Interned.objects.values_list("body", flat=True)))


def test_rows_of_reports_forget_who_was_erased_and_bring_no_name_back(book: Book, cast: Cast) -> None:
    """A report is read again and again: what it said of somebody who is gone stays gone."""
    mine: dict[str, Any] = {"organization_id": cast.acme.id, "by": HOUSE, "at": NOON}
    orgs.add_identity(person_id=cast.bob.id, kind="github", value="bob_codes", **mine)
    orgs.add_identity(person_id=cast.bob.id, kind="provider_user", value="B\u00d6B", **mine)
    odd = ("provider_user", "b\u00f6b")
    reported = [
        said(BOB, ALICE),
        said(("email", "BOB@ACME.example")),
        said(("github", "bob_codes"), ALICE),
        said(odd),
        said(ALICE),
        said(("github", "bobxcodes")),
        said(("key_alias", "bob@acme.example")),
    ]
    source = book.source("report")

    def keep() -> list[Posted]:
        with transaction.atomic():
            return statements.keep(
                organization_id=cast.acme.id, source_id=source.id, parser="", events=reported, at=NOON
            )

    assert set(keep()) == {Posted.CHARGED}
    ingest.erase_person(person_id=cast.bob.id, **mine)

    def told() -> list[tuple[tuple[str, str], ...]]:
        packed = Statement.objects.order_by("id").values_list("event", flat=True)
        return [msgspec.msgpack.decode(bytes(event), type=UsageEvent).identities for event in packed]

    # The last is no name of Bob's: a key is called so.
    left = [(ALICE,), (), (ALICE,), (), (ALICE,), (("github", "bobxcodes"),), (("key_alias", "bob@acme.example"),)]
    assert told() == left
    assert set(keep()) == {Posted.DUPLICATE}
    assert told() == left
