"""The pages of captures: said to everybody, switched by few, and every look inside noted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from finops.audit.models import AuditEvent
from routing.captures import selectors
from routing.captures.models import Capture
from tests.factories.captures import ANSWER, PROMPT, captured, capturing
from tests.factories.company import Company
from tests.interfaces.pages.conftest import at, text_of

CALL = "c" * 24
SAID: dict[str, Any] = {"share": "5", "days_kept": "3", "most_a_day": "100", "most_kib": "64"}


def test_they_are_switched_on_changed_and_off(company: Company, alice: Client) -> None:
    path, acme = at("captures"), company.cast.acme.id
    page = text_of(alice.get(path))
    assert "Off: no prompt and no answer is stored." in page
    assert ">Switch on<" in page
    assert ">Switch off<" not in page
    wrong = alice.post(path, SAID | {"projects": "nobodys"})
    assert (wrong.status_code, list(wrong.context["form"].errors)) == (422, ["projects"])
    assert list(alice.post(path, SAID | {"days_kept": "31"}).context["form"].errors) == ["days_kept"]
    page = text_of(alice.post(path, SAID | {"projects": "answers, assistant", "task_types": "triage"}, follow=True))
    assert "5 % of calls of the task type triage and of the projects answers, assistant" in page
    assert "deleted after 3 days" in page
    said = selectors.capturing(acme)
    assert (said.is_on, said.project_ids) == (True, tuple(sorted(one.id for one in company.projects)))
    form = alice.get(path).context["form"]
    again = {name: form[name].value() for name in form.fields}
    alice.post(path, again | {"share": "1"})
    assert selectors.capturing(acme).project_ids == said.project_ids
    assert "Nothing more is captured" in text_of(alice.post(at("captures_off"), follow=True))
    assert not selectors.capturing(acme).is_on


def test_a_look_at_a_call_is_noted_and_deleting_ends_it(company: Company, alice: Client) -> None:
    capturing(company.cast.acme.id, at=company.at)
    captured(company.cast.acme.id, CALL, whole=False, at=company.at)
    listed = text_of(alice.get(at("captures")))
    assert at("capture", call_id=CALL) in listed
    assert PROMPT not in listed
    assert not AuditEvent.objects.filter(verb="capture.read").exists()
    answer = alice.get(at("capture", call_id=CALL))
    assert "no-store" in answer["Cache-Control"]
    page = text_of(answer)
    for part in (PROMPT, ANSWER, "It was longer than is kept, or broke off.", "0.000150000000 USD"):
        assert part in page
    assert AuditEvent.objects.get(verb="capture.read").subject_id == CALL
    assert "capture.read" in text_of(alice.get(f"{at('audit')}?about=capture"))
    assert "is deleted" in text_of(alice.post(at("captures_delete"), follow=True))
    assert not Capture.objects.exists()
    assert alice.get(at("capture", call_id=CALL)).status_code == 404


def test_a_long_call_is_shown_in_part(company: Company, alice: Client) -> None:
    captured(company.cast.acme.id, CALL, body=b"x" * 100_001 + b"END-OF-IT", at=company.at)
    page = text_of(alice.get(at("capture", call_id=CALL)))
    assert "Here is the first part" in page
    assert "END-OF-IT" not in page


def test_engineers_read_whether_and_nothing_else(company: Company, browser: Callable[..., Client]) -> None:
    capturing(company.cast.acme.id, at=company.at)
    captured(company.cast.acme.id, CALL, model="model-of-a-call", at=company.at)
    bob = browser(company.cast.bob_login)
    page = text_of(bob.get(at("captures")))
    assert "of calls through the gateway" in page
    for hidden in ("model-of-a-call", ">Save<", ">Switch off<", "Delete what was captured"):
        assert hidden not in page
    for response in (
        bob.post(at("captures"), SAID),
        bob.get(at("capture", call_id=CALL)),
        bob.post(at("captures_off")),
        bob.post(at("captures_delete")),
    ):
        assert response.status_code == 403
    assert not AuditEvent.objects.filter(verb="capture.read").exists()


def test_more_rows_ask_no_more_questions(company: Company, alice: Client) -> None:
    def asked() -> int:
        alice.get(at("captures"))
        with CaptureQueriesContext(connection) as queries:
            alice.get(at("captures"))
        return len(queries)

    captured(company.cast.acme.id, CALL, at=company.at)
    before = asked()
    for number in range(6):
        captured(company.cast.acme.id, f"{number:024x}", at=company.at)
    assert asked() == before <= 13
