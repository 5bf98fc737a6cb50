"""Captures as the database has them: off until switched on, read with a trace, gone when they are over."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from finops.audit.models import AuditEvent
from finops.core.errors import NotFound
from finops.core.sealing import CannotOpen
from finops.orgs.services import add_project
from routing.captures import selectors, services
from routing.captures.models import Capture, CaptureSettings
from routing.captures.rules import CapturingInvalid
from routing.captures.services import change_capturing, delete_captured, forget_expired, read_capture
from routing.captures.tasks import forget_expired as task
from routing.captures.types import OFF
from routing.configuration import wire
from routing.configuration.models import Published
from routing.configuration.services import publish_changes
from tests.factories.captures import ANSWER, PROMPT, captured, capturing
from tests.factories.orgs import HOUSE, NOON, Cast

WHO: dict[str, Any] = {"by": HOUSE, "at": NOON}
CALL = "c" * 24


def told(organization_id: int) -> wire.Capturing | None:
    publish_changes(NOON)
    body = Published.objects.get(organization_id=organization_id).body
    return wire.decode_organization(bytes(body)).captures


def trail() -> list[tuple[str, str, Any]]:
    rows = AuditEvent.objects.filter(subject_kind="capture").order_by("id")
    return list(rows.values_list("verb", "subject_id", "details"))


def test_it_is_off_until_somebody_switches_it_on_and_gateways_are_told(cast: Cast) -> None:
    assert selectors.capturing(cast.acme.id) == OFF
    assert told(cast.acme.id) is None
    answers = add_project(organization_id=cast.acme.id, name="Answers", **WHO)
    said = capturing(cast.acme.id, task_types=("triage",), project_ids=(answers.id,), at=NOON)
    assert selectors.capturing(cast.acme.id) == said
    assert told(cast.acme.id) == wire.Capturing(
        share=10_000,
        most_bytes=256 * 1024,
        task_types=frozenset({"triage"}),
        project_ids=frozenset({answers.id}),
    )
    assert told(cast.globex.id) is None
    change_capturing(organization_id=cast.acme.id, changes={"is_on": False}, **WHO)
    # Whoever changes something else does not switch it on again.
    off = change_capturing(organization_id=cast.acme.id, changes={"most_a_day": 10}, **WHO)
    assert off == replace(said, is_on=False, most_a_day=10)
    assert told(cast.acme.id) is None
    assert [verb for verb, _, _ in trail()] == ["captures.switched_on", "captures.switched_off", "captures.changed"]
    assert trail()[0][2]["share"] == ["1.00", "100.00"]


def test_saying_the_same_again_changes_and_notes_nothing(cast: Cast) -> None:
    capturing(cast.acme.id, at=NOON)
    token = CaptureSettings.objects.get().token
    capturing(cast.acme.id, at=NOON)
    assert (CaptureSettings.objects.get().token, len(trail())) == (token, 1)


def test_a_project_of_somebody_else_is_none(cast: Cast) -> None:
    theirs = add_project(organization_id=cast.globex.id, name="Theirs", **WHO)
    with pytest.raises(CapturingInvalid):
        capturing(cast.acme.id, project_ids=(theirs.id,), at=NOON)
    with pytest.raises(CapturingInvalid):
        selectors.project_ids(cast.acme.id, ["theirs"])


def test_a_reading_gives_the_bytes_and_leaves_a_trace_without_them(cast: Cast) -> None:
    captured(cast.acme.id, CALL, at=NOON)
    opened = read_capture(organization_id=cast.acme.id, call_id=CALL, **WHO)
    assert PROMPT.encode() in opened.exchange.body
    assert ANSWER.encode() in opened.exchange.answer
    assert trail() == [("capture.read", CALL, {})]


def test_another_organization_reads_nothing_and_cannot_by_moving_a_row(cast: Cast) -> None:
    row = captured(cast.acme.id, CALL, at=NOON)
    with pytest.raises(NotFound):
        read_capture(organization_id=cast.globex.id, call_id=CALL, **WHO)
    assert not selectors.captures(cast.globex.id, NOON).exists()
    Capture.objects.filter(id=row.id).update(organization_id=cast.globex.id)
    with pytest.raises(CannotOpen):
        read_capture(organization_id=cast.globex.id, call_id=CALL, **WHO)
    assert trail() == []


def test_what_was_sealed_under_a_former_secret_opens_while_that_is_named(cast: Cast, settings: Any) -> None:
    captured(cast.acme.id, CALL, secret="the secret of last year", at=NOON)
    with pytest.raises(CannotOpen):
        read_capture(organization_id=cast.acme.id, call_id=CALL, **WHO)
    settings.SECRET_KEY_FALLBACKS = ["the secret of last year"]
    assert read_capture(organization_id=cast.acme.id, call_id=CALL, **WHO).exchange.call_id == CALL


def test_what_is_over_is_read_no_more_and_deleted(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "AT_ONCE", 2)
    monkeypatch.setattr(services, "MOST_A_RUN", 4)
    for number in range(5):
        captured(cast.acme.id, f"{number:024x}", days=1, at=NOON)
    captured(cast.globex.id, CALL, days=2, at=NOON)
    over = NOON + timedelta(days=1)
    with pytest.raises(NotFound):
        read_capture(organization_id=cast.acme.id, call_id=f"{0:024x}", by=HOUSE, at=over)
    assert not selectors.captures(cast.acme.id, over).exists()
    assert [forget_expired(at=over) for _ in range(3)] == [4, 1, 0]
    assert Capture.objects.get().call_id == CALL


def test_the_task_deletes_what_is_over_by_now(cast: Cast) -> None:
    captured(cast.acme.id, CALL, days=1, at=timezone.now() - timedelta(days=2))
    captured(cast.acme.id, "d" * 24, days=1, at=timezone.now())
    task()
    assert Capture.objects.get().call_id == "d" * 24


def test_fewer_days_hold_for_what_was_captured_already_and_more_do_not(cast: Cast) -> None:
    capturing(cast.acme.id, days_kept=7, at=NOON)
    captured(cast.acme.id, CALL, days=7, at=NOON)
    change_capturing(organization_id=cast.acme.id, changes={"days_kept": 2}, **WHO)
    assert Capture.objects.get().expires_at == NOON + timedelta(days=2)
    change_capturing(organization_id=cast.acme.id, changes={"days_kept": 30}, **WHO)
    assert Capture.objects.get().expires_at == NOON + timedelta(days=2)


def test_deleted_is_gone_at_once_however_much_it_is(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "AT_ONCE", 2)
    capturing(cast.acme.id, at=NOON)
    for number in range(3):
        captured(cast.acme.id, f"{number:024x}", at=NOON)
    captured(cast.globex.id, CALL, at=NOON)
    assert delete_captured(organization_id=cast.acme.id, **WHO) == 3
    assert not selectors.captures(cast.acme.id, NOON).exists()
    forget_expired(at=NOON)
    assert [row.organization_id for row in Capture.objects.all()] == [cast.globex.id]
    assert trail()[-1] == ("captures.deleted", "captured", {"captures": 3})


def test_the_database_refuses_what_stays_too_long_comes_twice_or_is_empty(cast: Cast) -> None:
    row = captured(cast.acme.id, CALL, at=NOON)
    refused: list[dict[str, Any]] = [{"expires_at": NOON + timedelta(days=32)}, {"sealed": b""}]
    for wrong in refused:
        with pytest.raises(IntegrityError), transaction.atomic():
            Capture.objects.filter(id=row.id).update(**wrong)
    with pytest.raises(IntegrityError), transaction.atomic():
        captured(cast.acme.id, CALL, at=NOON)
    capturing(cast.acme.id, at=NOON)
    refused = [{"share": 101}, {"days_kept": 31}, {"most_a_day": 0}, {"most_kib": 1}]
    for wrong in refused:
        with pytest.raises(IntegrityError), transaction.atomic():
            CaptureSettings.objects.update(**wrong)


def test_several_are_opened_with_one_line_that_says_for_what(cast: Cast) -> None:
    for number in range(3):
        captured(cast.acme.id, f"{number:024x}", at=NOON, tags={"desk": "inner"})
    captured(cast.acme.id, "d" * 24, at=NOON, secret="a secret that nobody knows any more")
    captured(cast.acme.id, "e" * 24, at=NOON - timedelta(days=8))
    captured(cast.globex.id, CALL, at=NOON)
    ids = [f"{0:024x}", f"{2:024x}", "d" * 24, "e" * 24, CALL]
    about: dict[str, Any] = {"organization_id": cast.acme.id, "for_kind": "experiment", "for_id": 7}
    opened = services.read_captures(call_ids=ids, **about, **WHO)
    assert {one.row.call_id for one in opened} == set(ids[:2])
    assert opened[0].exchange.tags == {"desk": "inner"}
    event = AuditEvent.objects.get(verb="captures.opened")
    assert (event.subject_kind, event.subject_id, event.details) == ("experiment", "7", {"captures": 2})
    assert services.read_captures(call_ids=[CALL], **about, **WHO) == []
    assert AuditEvent.objects.filter(verb="captures.opened").count() == 1
