"""Rules of routing over REST: written, reviewed, brought into force, exported, and asked what they would do."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import yaml
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from finops.audit.models import AuditEvent
from finops.orgs.models import User
from finops.orgs.services import add_project, issue_key
from routing.classify.services import train
from routing.rules import selectors
from routing.rules.arms import draw_of
from routing.rules.document import exported, imported
from routing.rules.hot import Rules, Subject
from routing.rules.models import RoutingRule
from routing.rules.policy import Chooser
from routing.rules.types import Rule, Use, When
from tests.factories.classify import labelled, labels, prompt
from tests.factories.orgs import HOUSE, NOON, Cast
from tests.factories.rules import CHEAP, EASY, HARD, INCUMBENT, decision, learned_rule, local_only, saved, triage
from tests.factories.upstreams import CREDENTIAL, deployment, upstream
from tests.interfaces.conftest import Api, refused, told

TRIAGE: dict[str, Any] = json.loads(msgspec.json.encode(triage()))
WHY = "It does as well, and costs a tenth."


def put(api: Api, rule: Any = TRIAGE, **given: Any) -> Any:
    return told(api.post("routing-rules", {"rule": rule, "why": WHY} | given), 201)


def routed(api: Api, **given: Any) -> Any:
    return told(api.post("route", {"model": INCUMBENT, "task_type": "triage"} | given))


def test_a_rule_is_written_read_changed_and_retired(alice: Api) -> None:
    made = put(alice)
    assert (made["name"], made["version"], made["stage"], made["share"], made["rule"]) == (
        "triage", 1, "full", 1.0, TRIAGE,
    )  # fmt: skip
    assert made["in_words"] == "Calls of triage for frontier go to small, and where that fails to frontier."
    path = f"routing-rules/{made['id']}"
    assert told(alice.get(path)) == made
    other = TRIAGE | {"use": [{"model": "tiny"}]}
    assert told(alice.put(path, {"rule": other, "why": "Cheaper yet."}))["version"] == 2
    assert told(alice.put(path, {"rule": other, "why": "Again."}))["version"] == 2
    [second, first] = told(alice.get(f"{path}/versions"))["items"]
    assert (second["why"], second["changes"], second["state"]) == (
        "Cheaper yet.", ["use: small, then frontier → tiny"], "in_force",
    )  # fmt: skip
    assert (first["number"], first["state"]) == (1, "superseded")
    assert told(alice.delete(path))["state"] == "retired"
    assert told(alice.get("routing-rules"))["items"] == []
    assert [one["id"] for one in told(alice.get("routing-rules?retired=true"))["items"]] == [made["id"]]
    assert WHY not in str(list(AuditEvent.objects.values()))


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"name": "Two Words", "use": [{"model": "a"}]}, (422, "rules.invalid", "rule.name")),
        ({"name": "a"}, (422, "rules.invalid", "rule.use")),
        ({"use": []}, (422, "rules.invalid", "rule.name")),
        ({"name": "a", "use": [{"model": 7}]}, (422, "rules.invalid", "rule.use[0].model")),
        ({"name": "a", "when": {"colour": "red"}}, (422, "rules.invalid", "rule.when.colour")),
        ({"name": "a", "use": [{"model": "a"}], "when": {"teams": ["x"]}}, (422, "rules.invalid", "when.teams")),
        ({"name": "a", "within": {"most_share": 40}}, (422, "rules.invalid", "rule.within.most_share")),
        ([], (400, "api.invalid", "rule")),
    ],
)
def test_what_is_no_rule_is_refused_by_its_field(alice: Api, rule: Any, said: tuple[int, str, str]) -> None:
    assert refused(alice.post("routing-rules", {"rule": rule, "why": WHY})) == said
    assert not RoutingRule.objects.exists()


def test_why_is_asked_and_a_name_is_taken_once(alice: Api) -> None:
    assert refused(alice.post("routing-rules", {"rule": TRIAGE}))[2] == "why"
    put(alice)
    body = {"rule": TRIAGE, "why": WHY}
    assert refused(alice.post("routing-rules", body)) == (409, "rules.name_taken", "name")
    assert refused(alice.post("routing-rules", "{"))[:2] == (400, "api.malformed")


def test_an_engineer_proposes_and_the_owner_decides(cast: Cast, alice: Api, login: Callable[[User], Api]) -> None:
    path, bob = f"routing-rules/{put(alice)['id']}", login(cast.bob_login)
    other = TRIAGE | {"use": [{"model": "tiny"}]}
    assert refused(bob.put(path, {"rule": other, "why": WHY}))[:2] == (403, "orgs.permission_missing")
    proposed = told(bob.post(f"{path}/proposals", {"rule": other, "why": WHY}), 201)
    assert (proposed["number"], proposed["state"]) == (2, "proposed")
    decide = f"{path}/proposals/2/decide"
    yes = {"accept": True, "why": "Tried."}
    assert refused(bob.post(decide, yes))[0] == 403
    assert told(alice.get(path))["version"] == 1
    assert told(alice.post(decide, yes))["state"] == "in_force"
    assert told(alice.get(path))["rule"] == other
    assert refused(alice.post(decide, yes))[:2] == (409, "rules.proposal_decided")


def test_a_rule_goes_through_its_stages(alice: Api) -> None:
    path = f"routing-rules/{put(alice, stage='shadow')['id']}/stage"
    seen = []
    for to in ("canary", "next", "next", "next", "paused", "off", "on", "rolled_back"):
        now = told(alice.post(path, {"to": to}))
        seen.append((now["stage"], now["share"], now["state"]))
    assert seen == [
        ("canary", 0.05, "in_force"), ("ramp", 0.25, "in_force"), ("ramp", 0.5, "in_force"), ("full", 1.0, "in_force"),
        ("paused", 0.5, "in_force"), ("paused", 0.5, "switched_off"), ("paused", 0.5, "in_force"),
        ("rolled_back", 0.0, "in_force"),
    ]  # fmt: skip
    assert refused(alice.post(path, {"to": "next"})) == (409, "rules.stage_refused", "to")
    assert refused(alice.post(path, {"to": "ramp"}))[2] == "to"
    assert told(alice.post(path, {"to": "full", "held_back": 0.1}))["held_back"] == 0.1


def test_all_are_switched_off_at_once_but_for_limits(alice: Api) -> None:
    put(alice)
    put(alice, msgspec.to_builtins(local_only()))
    assert routed(alice)["models"] == [CHEAP, INCUMBENT]
    assert told(alice.post("routing-rules/off", Idempotency_Key="k1")) == {"switched_off": ["triage"]}
    assert told(alice.post("routing-rules/off", Idempotency_Key="k1")) == {"switched_off": ["triage"]}
    now = routed(alice, sensitive=True)
    assert (now["models"], now["within"]) == ([INCUMBENT], [{"labels": ["local"]}])


def test_rules_are_put_into_order(alice: Api) -> None:
    ids = [put(alice, TRIAGE | {"name": name})["id"] for name in ("one", "two")]
    assert alice.post("routing-rules/order", {"rules": ids[::-1]}).status_code == 204
    assert [one["id"] for one in told(alice.get("routing-rules"))["items"]] == ids[::-1]
    assert refused(alice.post("routing-rules/order", {"rules": ids[:1]})) == (422, "rules.order_invalid", "rules")


def test_they_go_out_for_litellm_as_far_as_it_has_words_for_them(alice: Api, cast: Cast) -> None:
    at_openai = upstream(cast.acme.id, at=NOON)
    for model in (CHEAP, INCUMBENT):
        deployment(at_openai, model, at=NOON)
    plain = Rule(name="cheaper", when=When(models=(INCUMBENT,)), use=(Use(model=CHEAP),))
    for rule in (plain, triage(when=When(models=("other",), task_types=("triage",)))):
        saved(cast.acme.id, rule, at=NOON)
    answer = alice.get("routing-rules/export?format=litellm")
    assert answer["Content-Type"] == "application/yaml; charset=utf-8"
    text = answer.content.decode()
    assert "# - triage: it is about types of task, which LiteLLM does not know." in text
    assert "os.environ/OPENAI_API_KEY" in text
    assert CREDENTIAL not in text
    said = told(alice.get("routing-rules/export?format=litellm", Accept="application/json"))
    assert said["config"] == yaml.safe_load(text)
    assert said["config"]["router_settings"]["fallbacks"][0] == {INCUMBENT: [f"{INCUMBENT}.then.{INCUMBENT}"]}
    assert [(one["rule"], one["said"]) for one in said["rules"]] == [("cheaper", True), ("triage", False)]
    assert said["variables"] == {"openai": "OPENAI_API_KEY"}


def test_without_a_limit_that_litellm_cannot_keep_nothing_goes_out(
    alice: Api, cast: Cast, login: Callable[[User], Api]
) -> None:
    saved(cast.acme.id, local_only(), at=NOON)
    for accept in ("application/yaml", "application/json"):
        answer = alice.get("routing-rules/export?format=litellm", Accept=accept)
        assert refused(answer)[:2] == (409, "rules.limit_unsayable")
        assert "local-only" in answer.content.decode()
    # It is a limit of acme's alone.
    charlie = login(cast.charlie_login)
    assert told(charlie.get("routing-rules/export?format=litellm", Accept="application/json"))["rules"] == []
    assert alice.get("routing-rules/export?format=excel").status_code == 404


def test_the_export_asks_as_often_for_many_rules_as_for_few(
    alice: Api, cast: Cast, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    at_openai = upstream(cast.acme.id, at=NOON, any_model=True)
    for number in range(12):
        deployment(at_openai, f"model-{number}", at=NOON)
        rule = Rule(name=f"rule-{number}", when=When(models=(f"model-{number}",)), use=(Use(model=CHEAP),))
        saved(cast.acme.id, rule, at=NOON)
    with django_assert_max_num_queries(16):
        assert len(told(alice.get("routing-rules/export?format=litellm", Accept="application/json"))["rules"]) == 12


def test_a_document_goes_out_as_yaml_and_comes_in_again(alice: Api, cast: Cast, login: Callable[[User], Api]) -> None:
    for rule in (triage(), local_only(), learned_rule()):
        saved(cast.acme.id, rule, at=NOON)
    answer = alice.get("routing-rules/export")
    assert answer["Content-Type"] == "application/yaml; charset=utf-8"
    text = answer.content.decode()
    assert alice.get("routing-rules/export", Accept="application/yaml").content == answer.content
    charlie = login(cast.charlie_login)
    dry = told(charlie.post("routing-rules/import?dry_run=true", text, content_type="application/yaml"))
    assert ([one["what"] for one in dry["rules"]], dry["dry_run"]) == (["created"] * 3, True)
    assert told(charlie.get("routing-rules"))["items"] == []
    told(charlie.post("routing-rules/import?why=From+acme", text, content_type="application/yaml"))
    assert charlie.get("routing-rules/export").content == answer.content
    again = told(charlie.post("routing-rules/import", {"document": text, "replace": True}))
    assert [one["what"] for one in again["rules"]] == ["same"] * 3
    for wrong, field in (("a: [", "document"), ("version: 2\nrules: []", "version"), ("", "document")):
        answer = charlie.post("routing-rules/import", wrong, content_type="application/yaml")
        assert refused(answer)[2] == field
    one = yaml.safe_dump({"version": 1, "rules": [TRIAGE, {"name": "b", "use": [{"model": "auto"}]}]})
    assert refused(charlie.post("routing-rules/import", {"document": one}))[2] == "rules[1].use[0].model"


def test_a_learned_rule_decides_the_same_here_and_there(alice: Api) -> None:
    """Learned, exported, imported over REST: a thousand calls go where the rule sends them by itself."""
    rule = learned_rule()
    text = exported([rule])
    told(alice.post("routing-rules/import", text, content_type="application/yaml"))
    calls = [
        {
            "model": INCUMBENT,
            "task_type": ("chat", "triage", "")[number % 3],
            "text": f"{(EASY, HARD)[number % 2]} {number}",
            "session": f"s-{number}",
        }
        for number in range(1_000)
    ]
    answers = told(alice.post("route", {"calls": calls}))["answers"]
    (again,) = imported(text)
    assert again.policy is not None
    chooser = Chooser(again.policy)
    alone = [
        chooser.of(call["task_type"], call["text"], draw_of("learned policy", call["session"])).model for call in calls
    ]
    assert [one["models"][0] for one in answers] == alone
    # It has something to say.
    assert 50 < alone.count(CHEAP) < 950
    assert {one["arm"] for one in answers} == {"treated"}


def test_a_call_is_answered_by_the_rules_that_gateways_have(alice: Api, cast: Cast) -> None:
    project = add_project(organization_id=cast.acme.id, name="Answers", team_id=cast.search.id, by=HOUSE, at=NOON)
    rule = triage(when=When(teams=(cast.search.slug,), tools=True), use=(Use(model="tiny", effort="low"),))
    made = put(alice, msgspec.to_builtins(rule), stage="canary")
    # A project's team follows, as it does for a call.
    seen = [routed(alice, project="answers", tools=2, session=f"s-{number}") for number in range(200)]
    arms = [one["arm"] for one in seen]
    ready = Rules(selectors.published(cast.acme.id, NOON))
    for number, one in enumerate(seen):
        subject = Subject(
            INCUMBENT, f"s-{number}", lambda: True, lambda: None, team=cast.search.id, project=project.id, tools=2
        )
        decided = ready.decide(subject)
        assert (one["arm"], one["propensity"]) == (decided.arm, decided.propensity)
    assert 0 < arms.count("treated") < 40
    treated, control = seen[arms.index("treated")], seen[arms.index("control")]
    assert (treated["models"], treated["use"]) == (["tiny", INCUMBENT], [{"model": "tiny", "effort": "low"}])
    assert (treated["rule"], treated["rule_id"], treated["version"]) == ("triage", made["id"], 1)
    assert (control["models"], control["would"]) == ([INCUMBENT], "tiny")
    elsewhere = routed(alice, team=cast.chat.slug, tools=2)
    assert (elsewhere["rule"], elsewhere["arm"], elsewhere["models"]) == (None, "", [INCUMBENT])


def test_a_key_says_whose_a_call_is(alice: Api, cast: Cast) -> None:
    key = issue_key(organization_id=cast.acme.id, name="K", team_id=cast.search.id, by=HOUSE, at=NOON).key
    put(alice, msgspec.to_builtins(triage(when=When(keys=(key.prefix,), teams=(cast.search.slug,)))))
    assert routed(alice, key=key.prefix)["rule"] == "triage"
    assert routed(alice)["rule"] is None


def test_a_type_that_nobody_says_is_guessed_as_gateways_guess_it(alice: Api, cast: Cast) -> None:
    labelled(cast.acme.id, labels(40), at=NOON)
    train(organization_id=cast.acme.id, by=HOUSE, at=NOON)
    put(alice)
    text = prompt("triage", random.Random(5), words=40)
    guessed = routed(alice, task_type="", text=text)
    assert (guessed["task_type"], guessed["rule"]) == ("triage", "triage")
    assert guessed["confidence"] > 0.5
    said = routed(alice, task_type="chat", text=text)
    assert (said["task_type"], said["confidence"], said["rule"]) == ("chat", None, None)


def test_what_nobody_can_tell_is_sensitive(alice: Api) -> None:
    put(alice, msgspec.to_builtins(local_only()))
    local: list[Any] = [{"labels": ["local"]}]
    for given, within in (
        ({}, local),
        ({"text": "What is the capital of France?"}, []),
        ({"text": "My card is 4111 1111 1111 1111"}, local),
        ({"text": "hello", "tags": {"sensitivity": "confidential"}}, local),
        ({"tags": {"sensitivity": "public"}}, []),
        ({"sensitive": False}, []),
        ({"text": "hello", "sensitive": True}, local),
    ):
        assert routed(alice, **given)["within"] == within, given


def test_a_change_is_seen_by_the_next_question(alice: Api, cast: Cast) -> None:
    path = f"routing-rules/{put(alice)['id']}/stage"
    assert routed(alice)["models"] == [CHEAP, INCUMBENT]
    told(alice.post(path, {"to": "off"}))
    assert routed(alice)["models"] == [INCUMBENT]
    told(alice.post(path, {"to": "on"}))
    assert routed(alice)["models"] == [CHEAP, INCUMBENT]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"model": ""}, "model"),
        ({"model": None}, "model"),
        ({"project": "nobodys"}, "project"),
        ({"key": "cap_nobodys"}, "key"),
        ({"tokens": -1}, "tokens"),
        ({"colour": "red"}, "colour"),
        ({"tags": {"a": 1}}, "tags[...]"),
        ({"calls": []}, "calls"),
        ({"calls": [{"model": "a"}, {"model": "a", "team": "nobodys"}]}, "calls[1].team"),
        ({"calls": [{"model": "a"}] * 1_001}, "calls"),
    ],
)
def test_a_question_that_cannot_be_asked_names_its_field(alice: Api, wrong: dict[str, Any], field: str) -> None:
    body = wrong if "calls" in wrong else {"model": INCUMBENT} | wrong
    assert refused(alice.post("route", body)) == (422, "rules.invalid", field)


def test_nothing_of_a_question_is_kept(alice: Api) -> None:
    before = AuditEvent.objects.count()
    routed(alice, text="The merger is on Friday")
    assert AuditEvent.objects.count() == before
    assert told(alice.get("decisions"))["items"] == []


def test_decisions_are_filtered_paged_and_within_reach(
    alice: Api, cast: Cast, login: Callable[[User], Api], by_key: Callable[..., Api]
) -> None:
    row, now = saved(cast.acme.id, at=NOON).row, timezone.now()
    decision(cast.acme.id, "c1", rule_id=row.id, team_id=cast.search.id, at=now)
    decision(cast.acme.id, "c2", rule_id=0, rule_version=0, arm="", team_id=cast.chat.id, at=now)
    decision(cast.acme.id, "c3", rule_id=row.id, arm="held_back", at=now)

    def seen(api: Api, query: str = "") -> list[str]:
        return [one["call_id"] for one in told(api.get(f"decisions{query}"))["items"]]

    assert seen(alice) == ["c3", "c2", "c1"]
    assert seen(alice, "?rule=triage") == seen(alice, f"?rule={row.id}") == ["c3", "c1"]
    assert (seen(alice, "?arm=held_back"), seen(alice, "?call_id=c2")) == (["c3"], ["c2"])
    page = told(alice.get("decisions?limit=2"))
    assert [one["call_id"] for one in told(alice.get(f"decisions?limit=2&cursor={page['next']}"))["items"]] == ["c1"]
    assert refused(alice.get("decisions?rule=nobodys"))[0] == 404
    # Bob is an engineer of Search.
    assert seen(login(cast.bob_login)) == ["c1"]
    assert refused(by_key("gateway.read").get("decisions"))[:2] == (403, "orgs.permission_missing")
    bound = issue_key(
        organization_id=cast.acme.id,
        name="Bound",
        permissions=["routing.read"],
        team_id=cast.chat.id,
        by=HOUSE,
        at=NOON,
    )
    assert seen(Api(Client(), Authorization=f"Bearer {bound.secret}")) == ["c2"]


def test_another_organization_is_not_there(alice: Api, cast: Cast, login: Callable[[User], Api]) -> None:
    rule_id, charlie = put(alice)["id"], login(cast.charlie_login)
    for answer in (
        charlie.get(f"routing-rules/{rule_id}"),
        charlie.get(f"routing-rules/{rule_id}/versions"),
        charlie.put(f"routing-rules/{rule_id}", {"rule": TRIAGE, "why": WHY}),
        charlie.delete(f"routing-rules/{rule_id}"),
        charlie.post(f"routing-rules/{rule_id}/stage", {"to": "off"}),
    ):
        assert refused(answer)[0] == 404
    assert routed(charlie)["rule"] is None


def test_lists_take_as_many_queries_whatever_their_length(
    alice: Api, cast: Cast, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    saved(cast.acme.id, learned_rule(), at=NOON)
    decision(cast.acme.id, "c0", at=timezone.now())
    alice.get("routing-rules")
    for path in ("routing-rules", "decisions"):
        with django_assert_num_queries(6):
            alice.get(path)
    for number in range(5):
        saved(cast.acme.id, triage(name=f"rule-{number}"), at=NOON)
        decision(cast.acme.id, f"d{number}", at=timezone.now())
    for path in ("routing-rules", "decisions"):
        with django_assert_num_queries(6):
            assert len(told(alice.get(path))["items"]) == 6


def test_a_thousand_rules_are_made_ready_once(
    alice: Api, cast: Cast, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    put(alice)
    routed(alice)
    with django_assert_num_queries(10):
        told(alice.post("route", {"calls": [{"model": INCUMBENT, "task_type": "triage"}] * 1_000}))


def test_a_key_that_measures_goes_to_what_it_asks_for_within_all_limits(alice: Api, cast: Cast) -> None:
    put(alice)
    put(alice, json.loads(msgspec.json.encode(local_only(when=When()))))
    for permissions, models in ((("calls.make",), [CHEAP, INCUMBENT]), (("calls.make", "calls.measure"), [INCUMBENT])):
        key = issue_key(organization_id=cast.acme.id, name="K", permissions=permissions, by=HOUSE, at=NOON).key
        found = routed(alice, key=key.prefix)
        assert (found["models"], found["within"]) == (models, [{"labels": ["local"]}])
