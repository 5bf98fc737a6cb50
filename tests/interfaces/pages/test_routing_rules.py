"""The pages of routing rules: the order, the stages, the switches, what was said and is proposed."""

from __future__ import annotations

import html
from collections.abc import Callable

import msgspec
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from routing.rules import selectors
from routing.rules.document import exported, imported
from routing.rules.models import RoutingRule, RuleVersion
from routing.rules.policy import Learnt, Policy, Quality
from routing.rules.rollout import Stage
from routing.rules.types import Use
from tests.factories.company import Company
from tests.factories.rules import CHEAP, INCUMBENT, by_type, decision, learned_rule, local_only, saved, triage, words
from tests.interfaces.pages.conftest import at, text_of


@pytest.fixture
def rule(company: Company) -> RoutingRule:
    """Triage as a canary, behind a limit."""
    saved(company.cast.acme.id, local_only(), at=company.at)
    return saved(company.cast.acme.id, at=company.at, stage=Stage.CANARY, held_back=None).row


def reading_texts() -> Policy:
    """With so many tables of words that nobody would want to type it."""
    policy = by_type(rarity=words())
    models = [
        Learnt(
            model=f"m{seed}", types={}, other=policy.incumbent.other,
            quality=Quality(intercept=0.0, length=0.0, types={}, words=words(seed)),
        )
        for seed in range(12)
    ]  # fmt: skip
    return msgspec.structs.replace(policy, candidates=tuple(models))


def again(rule: RoutingRule) -> RoutingRule:
    rule.refresh_from_db()
    return rule


def test_the_list_is_in_order_and_can_be_put_in_another(alice: Client, rule: RoutingRule) -> None:
    page = text_of(alice.get(at("routing_rules")))
    assert page.index(">local-only</a>") < page.index(">triage</a>")
    assert "Calls of triage for" in page
    assert "canary, 5\u202f%" in page
    assert "5.0\u202f%" in page
    moved = at("routing_rule_move", routing_rule_id=rule.id)
    page = text_of(alice.post(moved, {"to": "earlier"}, follow=True))
    assert page.index(">triage</a>") < page.index(">local-only</a>")
    # The first one stays where it is.
    alice.post(moved, {"to": "earlier"})
    assert [one.name for one in selectors.rules(rule.organization_id)] == ["triage", "local-only"]
    assert alice.post(at("routing_rule_move", routing_rule_id=999_999)).status_code == 404


def test_one_click_switches_one_off_and_one_all(alice: Client, rule: RoutingRule) -> None:
    stage = at("routing_rule_stage", routing_rule_id=rule.id)
    page = text_of(alice.post(stage, {"to": "off", "listed": "1"}, follow=True))
    assert "<h1>Routing rules</h1>" in page
    assert "switched off</span>" in page
    assert again(rule).state == "switched_off"
    alice.post(stage, {"to": "on"})
    assert (again(rule).state, rule.stage) == ("in_force", "canary")
    page = text_of(alice.post(at("routing_rules_off"), follow=True))
    assert "Switched off: triage. Limits stay in force." in page
    assert RoutingRule.objects.get(name="local-only").state == "in_force"
    assert "There was nothing to switch off." in text_of(alice.post(at("routing_rules_off"), follow=True))


def test_a_rollout_goes_on_is_paused_rolled_back_and_begins_anew(alice: Client, rule: RoutingRule) -> None:
    stage = at("routing_rule_stage", routing_rule_id=rule.id)
    page = text_of(alice.post(stage, {"to": "next"}, follow=True))
    assert "ramp, 25\u202f%" in page
    assert "paused, 50\u202f%" in text_of(alice.post(stage, {"to": "paused"}, follow=True))
    page = text_of(alice.post(stage, {"to": "rolled_back"}, follow=True))
    assert "it holds for nobody" in page
    assert "Go a step on" not in page
    assert "begin anew" in text_of(alice.post(stage, {"to": "next"}, follow=True))
    assert alice.post(stage, {"to": "sideways"}).status_code == 422
    alice.post(stage, {"to": "shadow", "held_back": "10"})
    assert (again(rule).stage, rule.held_back) == ("shadow", 0.1)
    alice.post(stage, {"to": "retired"})
    assert again(rule).state == "retired"
    page = text_of(alice.get(at("routing_rule", routing_rule_id=rule.id)))
    assert "retired</span>" in page
    assert ">Change<" not in page


def test_it_is_written_changed_and_read_back_as_yaml(company: Company, alice: Client) -> None:
    path = at("routing_rule_add")
    said = {"document": exported([triage()]), "why": "It does as well.", "stage": "canary"}
    wrong = alice.post(path, said | {"document": "version: 1\nrules:\n- name: Bad Name\n"})
    assert (wrong.status_code, "A name is a-z" in text_of(wrong)) == (422, True)
    assert "This is no YAML" in text_of(alice.post(path, said | {"document": "a: ]["}))
    both = alice.post(path, said | {"document": exported([triage(), local_only()])})
    assert "One rule is taken here" in text_of(both)
    alice.post(path, said)
    row = RoutingRule.objects.get()
    assert (row.stage, row.held_back) == ("canary", 0.05)
    change = at("routing_rule_change", routing_rule_id=row.id)
    assert alice.get(change).context["form"]["document"].value() == exported([triage()])
    other = triage(use=(Use(model="other-small"), Use(model=INCUMBENT)))
    page = text_of(alice.post(change, {"document": exported([other]), "why": "Cheaper still"}, follow=True))
    assert "The rule says this now." in page
    for part in (f"use: {CHEAP}, then {INCUMBENT} → other-small, then {INCUMBENT}", "Cheaper still"):
        assert part in html.unescape(page)
    answer = alice.get(at("routing_rule_export", routing_rule_id=row.id))
    assert (answer["Content-Type"], imported(text_of(answer))) == ("application/yaml; charset=utf-8", (other,))
    assert imported(text_of(alice.get(at("routing_rules_export")))) == (other,)
    assert "# - triage: it is about types of task" in text_of(alice.get(at("routing_rules_litellm")))


def test_it_goes_out_for_litellm_unless_a_limit_would_be_lost(company: Company, alice: Client) -> None:
    assert "For LiteLLM" not in text_of(alice.get(at("routing_rules")))
    saved(company.cast.acme.id, local_only(), at=company.at)
    assert "For LiteLLM" in text_of(alice.get(at("routing_rules")))
    answer = alice.get(at("routing_rules_litellm"))
    assert (answer.status_code, "local-only: it is about whether a call is sensitive" in text_of(answer)) == (409, True)


def test_an_engineer_proposes_and_whoever_manages_decides(
    company: Company, alice: Client, rule: RoutingRule, browser: Callable[..., Client]
) -> None:
    bob = browser(company.cast.bob_login)
    page = text_of(bob.get(at("routing_rule", routing_rule_id=rule.id)))
    assert "Propose a change" in page
    assert "Switch off" not in page
    change = at("routing_rule_change", routing_rule_id=rule.id)
    for model in ("other-small", "third"):
        said = exported([triage(use=(Use(model=model),))])
        assert "It waits to be decided." in text_of(
            bob.post(change, {"document": said, "why": f"Try {model}"}, follow=True)
        )
    decide = {
        number: at("routing_rule_decide", routing_rule_id=rule.id, number=number) for number in (2, 3)
    }  # fmt: skip
    assert bob.post(decide[2], {"accept": "1", "why": "Mine"}).status_code == 403
    assert "2 proposals wait to be decided." in text_of(alice.get(at("routing_rules")))
    page = html.unescape(text_of(alice.get(at("routing_rule", routing_rule_id=rule.id))))
    assert "Try third" in page
    assert str(company.cast.bob_login) in page
    assert alice.post(decide[2], {"accept": "1"}).status_code == 422
    assert "It is refused." in text_of(alice.post(decide[3], {"refuse": "1", "why": "Unknown"}, follow=True))
    assert "It is in force." in text_of(alice.post(decide[2], {"accept": "1", "why": "Fine"}, follow=True))
    states = dict(RuleVersion.objects.filter(rule=rule).values_list("number", "state"))
    assert states == {1: "superseded", 2: "in_force", 3: "refused"}
    for name in ("routing_rules_off", "routing_rule_add"):
        assert bob.post(at(name)).status_code == 403
    for name in ("routing_rule_stage", "routing_rule_move"):
        assert bob.post(at(name, routing_rule_id=rule.id), {"to": "off"}).status_code == 403


def test_decisions_are_shown_and_a_learned_rule_is_cut_off(company: Company, alice: Client, rule: RoutingRule) -> None:
    acme = company.cast.acme.id
    decision(acme, "call-1", at=company.at, rule_id=rule.id)
    decision(acme, "call-2", at=company.at, rule_id=rule.id, arm="held_back", chosen=INCUMBENT, would=CHEAP)
    page = text_of(alice.get(at("routing_rule", routing_rule_id=rule.id)))
    for part in ("call-1", "held back</span>", f"would be {CHEAP}", "dearer"):
        assert part in page
    large = saved(acme, triage(name="learned", use=(), policy=reading_texts()), at=company.at).row
    page = text_of(alice.get(at("routing_rule", routing_rule_id=large.id)))
    assert "What was learned is cut off here." in page
    page = text_of(alice.get(at("routing_rule_change", routing_rule_id=large.id), follow=True))
    assert "too much to type" in page
    assert len(text_of(alice.get(at("routing_rule_export", routing_rule_id=large.id)))) > 200_000
    learned = saved(acme, triage(name="by-type", use=(), policy=by_type()), at=company.at).row
    page = text_of(alice.get(at("routing_rule", routing_rule_id=learned.id)))
    assert "where that is expected to be worth it" in page
    assert "is cut off here" not in page


def test_a_limit_has_no_stages(company: Company, alice: Client, rule: RoutingRule) -> None:
    limit = RoutingRule.objects.get(name="local-only")
    page = text_of(alice.get(at("routing_rule", routing_rule_id=limit.id)))
    assert "holds for all or for nobody" in page
    for button in ("Go a step on", "Pause at half", "Roll back", "Begin anew"):
        assert button not in page


def test_rules_of_globex_are_not_there_for_acme(company: Company, alice: Client) -> None:
    theirs = saved(company.cast.globex.id, at=company.at).row
    for name in ("routing_rule", "routing_rule_change", "routing_rule_export"):
        assert alice.get(at(name, routing_rule_id=theirs.id)).status_code == 404
    for name in ("routing_rule_stage", "routing_rule_move", "routing_rule_pace"):
        assert alice.post(at(name, routing_rule_id=theirs.id), {"to": "off"}).status_code == 404
    decide = at("routing_rule_decide", routing_rule_id=theirs.id, number=1)
    assert alice.post(decide, {"accept": "1", "why": "Mine"}).status_code == 404
    assert "No rule yet" in text_of(alice.get(at("routing_rules")))
    alice.post(at("routing_rules_off"))
    theirs.refresh_from_db()
    assert theirs.state == "in_force"


def test_with_no_rule_the_page_says_where_rules_come_from(alice: Client) -> None:
    assert "No rule yet" in text_of(alice.get(at("routing_rules")))


def test_more_rules_ask_no_more_questions(company: Company, alice: Client, rule: RoutingRule) -> None:
    def asked(path: str) -> int:
        alice.get(path)
        with CaptureQueriesContext(connection) as queries:
            alice.get(path)
        return len(queries)

    paths = at("routing_rules"), at("routing_rule", routing_rule_id=rule.id)
    before = [asked(path) for path in paths]
    for number in range(4):
        saved(company.cast.acme.id, triage(name=f"rule-{number}"), at=company.at)
        saved(company.cast.acme.id, triage(use=(Use(model=f"m{number}"),)), at=company.at)
        decision(company.cast.acme.id, f"call-{number}", at=company.at, rule_id=rule.id)
    assert [asked(path) for path in paths] == before
    assert before[0] <= 9
    assert before[1] <= 13


def test_a_learned_rule_shows_how_honest_its_chances_are(company: Company, alice: Client) -> None:
    row = saved(company.cast.acme.id, learned_rule(), at=company.at).row
    page = text_of(alice.get(at("routing_rule", routing_rule_id=row.id)))
    assert 'id="plot-chances"' in page
    assert "By tasks that it had not seen" in page
    plain = saved(company.cast.acme.id, at=company.at).row
    assert "plot-chances" not in text_of(alice.get(at("routing_rule", routing_rule_id=plain.id)))
