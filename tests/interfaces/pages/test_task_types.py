"""The pages of task types: what is measured of each, what looks broken, and what guesses a type."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from finops.jobs.models import Job
from routing.classify import selectors
from routing.classify import services as classifying
from routing.classify.models import TrainedClassifier
from routing.recommend import services
from tests.factories.classify import labelled, labels
from tests.factories.company import Company
from tests.factories.evidence import heard, outcome
from tests.factories.orgs import HOUSE
from tests.factories.prospects import published_prospects
from tests.factories.recommend import CHEAP, STRONG, known
from tests.interfaces.pages.conftest import at, text_of

MIDDLE = "middle"


@pytest.fixture
def measured(company: Company) -> Company:
    acme = company.cast.acme
    costs = {STRONG: 0.02, MIDDLE: 0.01, CHEAP: 0.002}
    known(acme, {STRONG: 0.95, MIDDLE: 0.9, CHEAP: 0.9}, at=company.at, number=400, costs=costs)
    known(acme, {STRONG: 0.5, CHEAP: 0.1}, at=company.at, number=400, task_type="proofs", name="proofs")
    services.recompute(organization_id=acme.id, by=HOUSE, at=company.at)
    return company


def one(alice: Client, name: str, **given: str) -> Any:
    return alice.get(at("task_type"), {"name": name, **given})


def test_the_list_says_what_is_used_and_whether_types_say_anything(measured: Company, alice: Client) -> None:
    page = text_of(alice.get(at("task_types")))
    assert f'href="{at("task_type")}?name=triage">triage</a>' in page
    assert "the dearest measured" in page
    assert "sound</span>" in page
    assert "rules by type have something to go by." in page
    assert "Nothing does yet" in page


def test_types_that_say_nothing_are_said_to(company: Company, alice: Client) -> None:
    for number in range(4):
        given: dict[str, Any] = {"number": 60, "task_type": f"repo-{number}", "name": f"r{number}", "seed": number}
        known(company.cast.acme, {STRONG: 0.6, CHEAP: 0.6}, at=company.at, **given)
    services.recompute(organization_id=company.cast.acme.id, by=HOUSE, at=company.at)
    assert "no better here than a coin" in text_of(alice.get(at("task_types")))


def test_one_type_shows_models_and_compares_two(measured: Company, alice: Client) -> None:
    page = text_of(one(alice, "triage"))
    data = json.loads(re.search(r'id="plot-frontier" type="application/json">(.*?)</script>', page)[1])  # type: ignore[index]
    assert {"Incumbent", "Others"} <= {trace["name"] for trace in data["traces"]}
    assert page.count(f">{MIDDLE}") >= 2
    both = one(alice, "triage", incumbent=STRONG, candidate=MIDDLE)
    # What is as good is one number on one page.
    assert both.context["compared"].margin == both.context["examined"].margin
    compared = text_of(both)
    assert f"{MIDDLE} against {STRONG} on 400 tasks that both did." in compared
    assert 'id="plot-sequence"' in compared
    same = one(alice, "triage", incumbent=STRONG, candidate=STRONG)
    assert (same.status_code, "Compare two models" in text_of(same)) == (400, True)
    assert one(alice, "triage", incumbent=STRONG, candidate="nobody").status_code == 400
    assert one(alice, "nothing").status_code == 404
    assert one(alice, "\0").status_code == 404


def test_what_nobody_drew_for_suggests_an_experiment_at_most(company: Company, alice: Client) -> None:
    acme = company.cast.acme.id
    for model, good in ((STRONG, 0.0), (CHEAP, 1.0)):
        heard(acme, [outcome(f"{model}-{place}", model, good) for place in range(30)], at=company.at)
    services.recompute(organization_id=acme, by=HOUSE, at=company.at)
    page = text_of(one(alice, "triage", incumbent=STRONG, candidate=CHEAP))
    assert "were never tried on the same task" in page


def test_flags_are_said_with_their_reasons(company: Company, alice: Client) -> None:
    known(company.cast.acme, {STRONG: 0.9, CHEAP: 0.0}, at=company.at, number=300)
    services.recompute(organization_id=company.cast.acme.id, by=HOUSE, at=company.at)
    assert "1 reason<" in text_of(alice.get(at("task_types")))
    page = html.unescape(text_of(one(alice, "triage")))
    assert "Answer format." in page
    assert f"All 300 scores of {CHEAP} are 0" in page
    assert "suspect data</span>" in page
    assert "worse</span>" not in page
    compared = text_of(one(alice, "triage", incumbent=STRONG, candidate=CHEAP))
    assert compared.count("Answer format.") == 2


def test_what_guesses_is_shown_with_how_right_it_is(company: Company, alice: Client, now: datetime) -> None:
    acme = company.cast.acme.id
    assert "two types at least" in html.unescape(text_of(alice.post(at("task_types_train"), follow=True))).lower()
    labelled(acme, labels(60), at=now)
    row = classifying.train(organization_id=acme, by=HOUSE, at=now)
    page = text_of(alice.get(at("task_types")))
    assert f"Version {row.version}, learned" in page
    assert "Calibration error" in page
    assert 'id="plot-reliability"' in page
    assert "Learn again" in page
    TrainedClassifier.objects.update(drifting_at=now)
    assert "It drifts" in text_of(alice.get(at("task_types")))
    assert "It is being learned." in text_of(alice.post(at("task_types_train"), follow=True))
    assert Job.objects.get(kind="train").state == "queued"


def test_what_it_learns_from_is_shown_by_who_said_it_and_can_be_switched_off(
    company: Company, alice: Client, now: datetime
) -> None:
    acme = company.cast.acme.id
    labelled(acme, labels(25), at=now)
    page = text_of(alice.get(at("task_types")))
    assert "hashed counts of words are kept" in page
    assert ">Api</th>" in page
    sample = at("task_types_sample")
    assert "what was is deleted" in text_of(alice.post(sample, follow=True))
    assert not selectors.sampling(acme).is_on
    assert "Nothing is kept of calls that pass" in text_of(alice.get(at("task_types")))
    assert "features of calls are kept" in text_of(alice.post(sample, {"on": "1"}, follow=True))
    assert selectors.sampling(acme).is_on


def test_guesses_in_production_are_plotted_by_day(company: Company, alice: Client, now: datetime) -> None:
    acme = company.cast.acme.id
    labelled(acme, labels(40), at=now)
    classifying.train(organization_id=acme, by=HOUSE, at=now)
    assert 'id="plot-guessed"' not in text_of(alice.get(at("task_types")))
    wrong = [one._replace(task_type="legal") for one in labels(20, seed=4, types=("summarize",))]
    labelled(acme, [*labels(20, seed=3), *wrong], at=now)
    page = text_of(alice.get(at("task_types")))
    assert 'id="plot-guessed"' in page
    assert "Guessed wrongly in production" in page
    assert "legal" in page


def test_what_models_do_well_is_shown_with_how_honest_it_is(company: Company, alice: Client, now: datetime) -> None:
    acme = company.cast.acme.id
    assert "Nothing is learned yet" in text_of(alice.get(at("task_types")))
    row = published_prospects(acme, at=now)
    page = text_of(alice.get(at("task_types")))
    data = json.loads(re.search(r'id="plot-chances" type="application/json">(.*?)</script>', page)[1])  # type: ignore[index]
    assert [trace["name"] for trace in data["traces"]] == ["As foreseen", "gpt-mini", "gpt"]
    assert "the chance that gpt-mini fails it" in page
    assert "are not what they say" not in page
    row.figures[0]["is_off"] = True
    row.save(update_fields=["figures"])
    assert f"Chances of {row.figures[0]['model']} are not what they say" in text_of(alice.get(at("task_types")))


def test_with_nothing_measured_it_says_what_to_do(alice: Client) -> None:
    page = text_of(alice.get(at("task_types")))
    assert "Nothing is measured yet" in page
    assert "/api/v1/evaluations" in page


def test_an_engineer_reads_and_does_not_train(measured: Company, browser: Callable[..., Client]) -> None:
    bob = browser(measured.cast.bob_login)
    assert bob.get(at("task_types")).status_code == 200
    assert one(bob, "triage").status_code == 200
    assert bob.post(at("task_types_train")).status_code == 403
    assert bob.post(at("task_types_sample")).status_code == 403


def test_more_types_ask_no_more_questions(measured: Company, alice: Client) -> None:
    def asked() -> int:
        alice.get(at("task_types"))
        with CaptureQueriesContext(connection) as queries:
            alice.get(at("task_types"))
        return len(queries)

    acme = measured.cast.acme
    before = asked()
    for number in range(3):
        known(acme, {STRONG: 0.9, CHEAP: 0.9}, at=measured.at, number=30, task_type=f"t{number}", name=f"t{number}")
    services.recompute(organization_id=acme.id, by=HOUSE, at=measured.at)
    assert asked() == before <= 18
