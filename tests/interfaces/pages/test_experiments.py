"""The pages of experiments: the list, a new one, and one with what it costs, how far it is and what it says."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from finops.orgs.models import User
from routing.experiments.models import Experiment, Item
from routing.recommend import services as recommending
from routing.recommend.models import Recommendation
from tests.factories.captures import captured, capturing
from tests.factories.company import Company
from tests.factories.experiments import drafted, started
from tests.factories.orgs import HOUSE
from tests.factories.recommend import CHEAP, STRONG, known
from tests.interfaces.pages.conftest import at, text_of

TYPED: dict[str, Any] = {
    "mode": "replay", "task_type": "triage", "incumbent": "gpt", "candidates": "gpt-mini\nclaude-mini", "tasks": "200",
    "margin": "5", "scoring": "judge", "judge": "claude", "share": "100", "most_cost": "7.50", "gate_kind": "",
}  # fmt: skip


@pytest.fixture
def calls(company: Company) -> Company:
    """Two calls of triage are captured."""
    capturing(company.cast.acme.id, at=company.at)
    for number in range(2):
        captured(
            company.cast.acme.id, f"{number:024x}", at=company.at - timedelta(minutes=1), task_type="triage", tags={}
        )
    return company


def test_a_draft_is_made_says_what_it_costs_and_is_started(alice: Client, calls: Company) -> None:
    assert "No experiment yet" in text_of(alice.get(at("experiments")))
    page = text_of(alice.post(at("experiment_add"), TYPED, follow=True))
    row = Experiment.objects.get()
    assert (row.candidates, row.margin, row.most_cost) == (["gpt-mini", "claude-mini"], Decimal("0.05"), Decimal("7.5"))
    assert "triage: gpt-mini, claude-mini beside gpt" in page
    assert "2 such calls are captured" in page
    assert "What it is likely to cost" in page
    assert "not measured" in page
    page = text_of(alice.post(at("experiment_start", experiment_id=row.id), follow=True))
    assert "Started. Its progress is shown here." in page
    assert 'hx-trigger="poll"' in page
    page = text_of(alice.post(at("experiment_stop", experiment_id=row.id), follow=True))
    assert "What was measured is kept." in page
    page = text_of(alice.post(at("experiment_resume", experiment_id=row.id), follow=True))
    assert Experiment.objects.get().state == "running"
    listed = text_of(alice.get(at("experiments"), {"state": "running"}))
    assert f'href="{at("experiment", experiment_id=row.id)}">triage</a>' in listed
    assert "No experiment in this state" in text_of(alice.get(at("experiments"), {"state": "failed"}))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"judge": "gpt"}, "A model does not judge itself: name another"),
        ({"scoring": "gate"}, "Choose a gate, or a judge"),
        ({"scoring": "gate", "gate_kind": "schema", "gate_text": "["}, "A schema is a JSON object"),
        ({"scoring": "gate", "gate_kind": "pattern", "gate_text": "("}, "pattern"),
        ({"candidates": ""}, "This field is required"),
        ({"most_cost": ""}, "This field is required"),
        ({"project": "nowhere"}, "There is no project with the short name"),
    ],
)
def test_what_cannot_be_is_said_beside_its_field(
    alice: Client, calls: Company, given: dict[str, str], said: str
) -> None:
    answer = alice.post(at("experiment_add"), TYPED | given)
    assert answer.status_code == 422
    assert said in text_of(answer).replace("&#x27;", "'")
    assert not Experiment.objects.exists()


def test_a_gate_and_a_shadow_are_typed_too(alice: Client, calls: Company) -> None:
    given = {
        "mode": "shadow",
        "share": "12.5",
        "scoring": "gate",
        "gate_kind": "schema",
        "gate_text": '{"type": "object"}',
    }
    alice.post(at("experiment_add"), TYPED | given)
    row = Experiment.objects.get()
    assert (row.mode, row.share, row.judge) == ("shadow", Decimal("0.125"), "")
    assert row.gate == {"kind": "schema", "schema": {"type": "object"}}
    page = text_of(alice.get(at("experiment", experiment_id=row.id)))
    assert "a gate: schema" in page


def test_one_says_why_calls_were_not_measured_in_few_queries(alice: Client, calls: Company) -> None:
    acme = calls.cast.acme
    row = started(acme.id, at=calls.at)
    for number, code in enumerate(("hosted_tools", "hosted_tools", "rules.excluded")):
        Item.objects.create(
            organization=acme, experiment=row, call_id=str(number), state="skipped", code=code, at=calls.at
        )
    with CaptureQueriesContext(
        connection,
    ) as queries:
        page = text_of(alice.get(at("experiment", experiment_id=row.id)))
    assert len(queries) < 40
    assert re.search(r"<dt>2</dt>\s*<dd>it brings tools that the provider would run</dd>", page)
    assert "the rules’ limits keep it from there" in page.replace("&#x27;", "’")
    assert alice.get(at("experiment", experiment_id=999_999)).status_code == 404


def test_who_may_not_is_shown_no_button(calls: Company, browser: Callable[[User], Client]) -> None:
    row = drafted(calls.cast.acme.id, at=calls.at)
    bob = browser(calls.cast.bob_login)
    assert "New experiment" not in text_of(bob.get(at("experiments")))
    assert ">Start<" not in text_of(bob.get(at("experiment", experiment_id=row.id)))
    for name in ("experiment_start", "experiment_stop", "experiment_resume"):
        assert bob.post(at(name, experiment_id=row.id)).status_code == 403
    assert bob.get(at("experiment_add")).status_code == 403


def test_a_recommendation_to_experiment_leads_to_a_form_that_is_filled_in(alice: Client, company: Company) -> None:
    acme = company.cast.acme
    known(acme, {STRONG: 0.9, CHEAP: 0.9}, at=company.at)
    known(acme, {STRONG: 0.9, CHEAP: 0.9}, at=company.at, task_type="summary", name="other", number=50)
    recommending.recompute(organization_id=acme.id, by=HOUSE, at=company.at)
    trial = Recommendation.objects.get(kind="experiment")
    page = text_of(alice.get(at("recommendation", recommendation_id=trial.id)))
    href = f"{at('experiment_add')}?recommendation={trial.id}"
    assert f'href="{href}">Try it</a>' in page
    form = text_of(alice.get(href))
    assert 'value="summary"' in form
    assert f'value="{STRONG}"' in form
    assert f">\n{CHEAP}</textarea>" in form
    typed = TYPED | {"task_type": "summary", "incumbent": STRONG, "candidates": CHEAP}
    alice.post(href, typed)
    assert Experiment.objects.get().recommendation_id == trial.id
