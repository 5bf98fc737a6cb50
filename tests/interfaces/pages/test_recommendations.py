"""The pages of recommendations: what is advised, what it stands on, applied and dismissed by who may."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from finops.orgs import services as orgs
from routing.evidence.models import Outcome
from routing.recommend import services
from routing.recommend.models import Recommendation
from routing.rules.models import RoutingRule
from tests.factories.company import Company
from tests.factories.evidence import recorded
from tests.factories.orgs import HOUSE
from tests.factories.recommend import CHEAP, STRONG, drafts, known
from tests.interfaces.pages.conftest import at, text_of
from tests.interfaces.test_guides import run


@pytest.fixture
def worked(company: Company) -> Recommendation:
    """A switch of triage, and summaries of which too little is known."""
    acme = company.cast.acme
    known(acme, {STRONG: 0.9, CHEAP: 0.9}, at=company.at)
    known(acme, {STRONG: 0.9, CHEAP: 0.9}, at=company.at, task_type="summary", name="other", number=50)
    services.recompute(organization_id=acme.id, by=HOUSE, at=company.at)
    return Recommendation.objects.get(kind="switch")


def test_the_list_says_what_one_decides_by(alice: Client, worked: Recommendation) -> None:
    page = text_of(alice.get(at("recommendations")))
    assert f'href="{at("recommendation", recommendation_id=worked.id)}">Switch: triage</a>' in page
    assert "1,200 tasks that both did" in page
    assert "as good</span>" in page
    assert "Experiment: summary" in page
    only = text_of(alice.get(at("recommendations"), {"kind": "experiment"}))
    assert "Switch: triage" not in only
    assert "cannot tell yet" in only
    assert "No recommendation in this filter" in text_of(alice.get(at("recommendations"), {"state": "applied"}))
    first = text_of(alice.get(at("recommendations"), {"limit": "1"}))
    following = re.search(r'href="([^"]+)" rel="next"', first)
    assert following is not None
    seen = first + text_of(alice.get(html.unescape(following[1])))
    assert {"Switch: triage" in seen, "Experiment: summary" in seen} == {True}


def test_one_says_what_it_stands_on(alice: Client, worked: Recommendation) -> None:
    page = text_of(alice.get(at("recommendation", recommendation_id=worked.id)))
    assert "Switch &#x27;triage&#x27; from strong to cheap." in page
    for reason in worked.document["reasons"]:
        assert html.escape(reason) in page
    data = {
        key: json.loads(re.search(rf'id="plot-{key}" type="application/json">(.*?)</script>', page)[1])  # type: ignore[index]
        for key in ("sequence", "frontier")
    }
    band, difference = data["sequence"]["traces"][:2]
    assert len(band["x"]) == 2 * len(difference["x"]) <= 400
    assert difference["x"][-1] == 1_200
    names = {label for trace in data["frontier"]["traces"] for label in trace["labels"]}
    assert {STRONG, CHEAP} <= names
    assert 'class="look-band s1"' in page  # drawn without script too
    rows = page.split('id="disagreements"')[1].split("</section>")[0]
    assert rows.count("<tr>") == 26
    assert "by REST the first 100" in rows
    assert "- name: switch-triage" in html.unescape(page)
    assert alice.get(at("recommendation", recommendation_id=999_999)).status_code == 404


def test_it_is_applied_as_a_shadow_and_the_rule_is_shown(alice: Client, worked: Recommendation) -> None:
    path = at("recommendation_apply", recommendation_id=worked.id)
    assert alice.post(path, {"stage": "full"}).status_code == 422
    done = alice.post(path, {"stage": "shadow", "why": "Finance agreed"}, follow=True)
    rule = RoutingRule.objects.get()
    assert done.redirect_chain[-1][0] == at("routing_rule", routing_rule_id=rule.id)
    page = text_of(done)
    for part in ("shadow</span>", "Finance agreed", "Applied: the rule is made."):
        assert part in page
    after = text_of(alice.get(at("recommendation", recommendation_id=worked.id)))
    assert "The rule that was made of it" in after
    assert "Dismiss it" not in after
    trial = Recommendation.objects.get(kind="experiment")
    assert "Apply it" not in text_of(alice.get(at("recommendation", recommendation_id=trial.id)))
    refused = alice.post(at("recommendation_apply", recommendation_id=trial.id), {"stage": "canary"})
    assert (refused.status_code, "there is nothing to apply" in text_of(refused)) == (422, True)


def test_it_is_dismissed_with_a_reason(alice: Client, worked: Recommendation) -> None:
    path = at("recommendation_dismiss", recommendation_id=worked.id)
    assert alice.post(path).status_code == 422
    page = text_of(alice.post(path, {"reason": "The contract forbids it."}, follow=True))
    assert "Dismissed. It does not come back until its evidence changes." in page
    assert "The contract forbids it." in page
    assert alice.post(at("recommendation_dismiss", recommendation_id=999_999), {"reason": "no"}).status_code == 404


def test_an_engineer_reads_and_may_not_apply(
    company: Company, worked: Recommendation, browser: Callable[..., Client]
) -> None:
    bob = browser(company.cast.bob_login)
    page = text_of(bob.get(at("recommendation", recommendation_id=worked.id)))
    assert "Apply it" not in page
    for name in ("recommendation_apply", "recommendation_dismiss"):
        assert bob.post(at(name, recommendation_id=worked.id), {"reason": "no"}).status_code == 403
    assert bob.post(at("recommendations_recompute")).status_code == 403


def test_what_globex_is_advised_is_not_there_for_acme(company: Company, alice: Client) -> None:
    globex = company.cast.globex
    known(globex, {STRONG: 0.9, CHEAP: 0.9}, at=company.at, number=60)
    services.recompute(organization_id=globex.id, by=HOUSE, at=company.at)
    theirs = Recommendation.objects.get()
    assert alice.get(at("recommendation", recommendation_id=theirs.id)).status_code == 404
    for name in ("recommendation_apply", "recommendation_dismiss"):
        assert alice.post(at(name, recommendation_id=theirs.id), {"reason": "no"}).status_code == 404
    assert alice.get(at("task_type"), {"name": "triage"}).status_code == 404
    assert "Nothing is measured yet" in text_of(alice.get(at("recommendations")))


def test_suspect_data_is_said_before_anything_else(company: Company, alice: Client) -> None:
    acme = company.cast.acme
    known(acme, {STRONG: 0.9, CHEAP: 0.0}, at=company.at, number=300)
    alice.post(at("recommendations_recompute"))
    row = Recommendation.objects.get()
    page = text_of(alice.get(at("recommendation", recommendation_id=row.id)))
    assert "<b>Answer format.</b>" in page
    assert "Apply it" not in page


def test_with_nothing_measured_the_page_says_what_to_post_and_that_is_taken(company: Company, alice: Client) -> None:
    page = text_of(alice.get(at("recommendations")))
    assert "Nothing is measured yet" in page
    found = re.search(r"<pre[^>]*>(curl .*?)</pre>", page, re.DOTALL)
    assert found is not None
    command = html.unescape(found[1])
    secret = orgs.issue_key(
        organization_id=company.cast.acme.id, name="Suite", permissions=("outcomes.write",), by=HOUSE, at=company.at
    ).secret
    answer = run(command.replace("http://testserver/api/v1", "$CAPSTAN"), secret)
    assert answer.status_code == 201, answer.content
    assert Outcome.objects.count() == 2
    assert "Nothing is recommended" in text_of(alice.get(at("recommendations")))


def test_more_of_them_ask_no_more_questions(company: Company, alice: Client) -> None:
    def asked(path: str, **given: Any) -> int:
        alice.get(path, given)
        with CaptureQueriesContext(connection) as queries:
            alice.get(path, given)
        return len(queries)

    acme = company.cast.acme
    known(acme, {STRONG: 0.9, CHEAP: 0.9}, at=company.at, number=60)
    services.recompute(organization_id=acme.id, by=HOUSE, at=company.at)
    path = at("recommendation", recommendation_id=Recommendation.objects.get().id)
    before = asked(at("recommendations")), asked(path)
    for number in range(4):
        said = drafts({STRONG: [1.0] * 30, CHEAP: [1.0] * 30}, task_type=f"type-{number}", prefix=f"t{number}")
        recorded(acme.id, said, at=company.at, name=f"run-{number}")
    services.recompute(organization_id=acme.id, by=HOUSE, at=company.at)
    assert Recommendation.objects.filter(state="open").count() > 1
    assert (asked(at("recommendations")), asked(path)) == before
    assert before[0] <= 9
    assert before[1] <= 17
