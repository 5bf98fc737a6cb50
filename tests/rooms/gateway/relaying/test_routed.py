"""Calls that rules of routing send elsewhere, and those that they keep where they are."""

from __future__ import annotations

import json
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest

from finops.budgets.rules.limits import LimitDraft
from finops.budgets.services.limits import set_limit
from finops.budgets.types import Enforcement, Period
from finops.connectors.capstan.record import MOST_TAGS
from routing.classify.services import train
from routing.rules import asking, services
from routing.rules.asking import Asked
from routing.rules.models import Decision, RoutingRule
from routing.rules.types import Gate, GateKind, Rule, Use, When, Within
from routing.tiers.services import set_entry
from routing.tiers.types import Entry, Tier
from tests.factories.budgets import budget
from tests.factories.classify import labelled, labels
from tests.factories.gateway import Gateway, key, published
from tests.factories.ledger import rows
from tests.factories.orgs import HOUSE, Cast
from tests.factories.relaying import charged, chat, deployed, idle, message, sold_as
from tests.factories.rules import CHEAP, EASY, HARD, INCUMBENT, learned_rule, saved
from tests.fakes.upstream.running import Upstream
from tests.fakes.upstream.script import Plan
from tests.rooms.gateway.conftest import Opens
from tests.waiting import until

NOWHERE = SimpleNamespace(address="http://127.0.0.1:9")
TRIAGE = {"x-capstan-task": "triage"}
CARD = [{"role": "user", "content": "My card is 4111 1111 1111 1111, why was it declined?"}]
LOCAL = Rule(name="local-only", when=When(sensitive=True), within=Within(labels=("local",)))


def cheap(**given: Any) -> Rule:
    """Triage goes to the smaller model."""
    usual: dict[str, Any] = {"name": "triage", "when": When(task_types=("triage",)), "use": (Use(model="gpt-mini"),)}
    return Rule(**usual | given)


def asked_for(provider: Upstream) -> list[str]:
    return [json.loads(one.body)["model"] for one in provider.seen]


def test_a_rule_sends_calls_of_a_type_to_another_model_and_leaves_all_others(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime
) -> None:
    row = saved(cast.acme.id, cheap(), at=now).row
    deployed(cast.acme.id, provider, at=now)
    gateway = gateways()
    said = chat(gateway, secret, headers=TRIAGE).whole()
    assert (said.status, said.headers["x-capstan-model"]) == (200, "gpt-mini")
    assert said.headers["x-capstan-rule"] == "triage; version=1; arm=treated"
    other = chat(gateway, secret).whole()
    assert "x-capstan-rule" not in other.headers
    assert asked_for(provider) == ["gpt-mini", "gpt"]
    idle(gateway, provider)
    # Charged as what it was sent to.
    assert len(charged(gateway)) == 2
    assert rows(
        "SELECT t.value FROM ledger_charge c JOIN ledger_term t ON t.id = c.model_id ORDER BY c.effective_cost"
    )[0] == ("gpt-mini",)
    until(lambda: Decision.objects.exists())
    decision = Decision.objects.get()
    assert (decision.rule_id, decision.arm, decision.asked, decision.chosen) == (row.id, "treated", "gpt", "gpt-mini")
    assert (decision.call_id, decision.task_type, decision.propensity) == (
        said.headers["x-capstan-call"],
        "triage",
        1.0,
    )


def test_what_leaves_the_choice_to_routing_is_answered_where_a_rule_makes_it(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime
) -> None:
    saved(cast.acme.id, cheap(when=When(models=("auto",), task_types=("triage",))), at=now)
    deployed(cast.acme.id, provider, at=now)
    gateway = gateways()
    assert chat(gateway, secret, model="auto", headers=TRIAGE).whole().status == 200
    assert chat(gateway, secret, model="auto").whole().body["error"]["code"] == "gateway.model_not_found"


def test_where_the_rules_model_fails_the_one_that_was_asked_for_answers(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime
) -> None:
    saved(cast.acme.id, cheap(), at=now)
    deployed(cast.acme.id, provider, at=now)
    gateway = gateways()
    provider.then(Plan(status=503))
    said = chat(gateway, secret, headers=TRIAGE).whole()
    assert (said.status, said.headers["x-capstan-model"], said.headers["x-capstan-tries"]) == (200, "gpt", "2")
    # A model that nobody serves in this dialect takes nothing away.
    assert message(gateway, secret, headers=TRIAGE).whole().headers["x-capstan-model"] == "claude"


def test_a_rule_that_is_switched_off_holds_for_nobody_at_once(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime
) -> None:
    row = saved(cast.acme.id, cheap(), at=now).row
    deployed(cast.acme.id, provider, at=now)
    gateway = gateways()
    assert chat(gateway, secret, headers=TRIAGE).whole().headers["x-capstan-model"] == "gpt-mini"
    services.switch_off(organization_id=cast.acme.id, rule_id=row.id, by=HOUSE, at=now)
    published()
    until(lambda: chat(gateway, secret, headers=TRIAGE).whole().headers["x-capstan-model"] == "gpt", within_s=5)


def test_of_a_canary_a_session_goes_one_way_in_every_process(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime
) -> None:
    row = saved(cast.acme.id, cheap(), at=now, stage="canary", held_back=0.05).row
    services.pause(organization_id=cast.acme.id, rule_id=row.id, by=HOUSE, at=now)
    deployed(cast.acme.id, provider, at=now)
    first, second = gateways(), gateways()

    def model(gateway: Gateway, session: int) -> str:
        told = TRIAGE | {"x-capstan-session": f"s-{session}"}
        return chat(gateway, secret, headers=told).whole().headers["x-capstan-model"]

    ways = [model(first, session) for session in range(40)]
    assert [model(second, session) for session in range(40)] == ways
    assert 8 <= ways.count("gpt-mini") <= 32


@pytest.fixture
def guarded(cast: Cast, secret: str, gateways: Opens, provider: Upstream, standby: Upstream, now: datetime) -> Gateway:
    """Sensitive calls stay with the standby, which is local; any other goes to the provider first."""
    saved(cast.acme.id, LOCAL, at=now)
    deployed(cast.acme.id, provider, at=now)
    deployed(cast.acme.id, standby, at=now, name="own", rank=1, labels=("local",))
    return gateways()


def test_what_is_sensitive_stays_local_and_so_does_what_nobody_can_read(
    guarded: Gateway, secret: str, provider: Upstream, standby: Upstream
) -> None:
    assert chat(guarded, secret).whole().headers["x-capstan-upstream"] == "openai"
    assert chat(guarded, secret, messages=CARD).whole().headers["x-capstan-upstream"] == "own"
    labelled = {"x-capstan-tags": "sensitivity=confidential"}
    assert chat(guarded, secret, headers=labelled).whole().headers["x-capstan-upstream"] == "own"
    picture = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]
    unread = [{"role": "user", "content": picture}]
    assert chat(guarded, secret, messages=unread).whole().headers["x-capstan-upstream"] == "own"
    assert len(provider.seen) == 1


def test_what_is_sensitive_is_refused_rather_than_sent_elsewhere(
    guarded: Gateway, secret: str, provider: Upstream, standby: Upstream
) -> None:
    for _ in range(2):
        standby.then(Plan(status=503))
    assert chat(guarded, secret, messages=CARD).whole().status == 503
    # Nor does anything that the call wishes bring it there.
    assert chat(guarded, secret, messages=CARD, headers={"x-capstan-order": "openai"}).whole().status == 503
    assert (len(standby.seen), provider.seen) == (2, [])


def test_where_nothing_local_serves_it_the_refusal_says_why(
    cast: Cast, gateways: Opens, provider: Upstream, now: datetime
) -> None:
    saved(cast.acme.id, LOCAL, at=now)
    deployed(cast.acme.id, provider, at=now)
    gateway = gateways()
    secret = key(cast.acme.id, "calls.make", at=now)
    published()
    until(lambda: chat(gateway, secret).whole().status == 200)
    said = chat(gateway, secret, messages=CARD).whole()
    assert (said.status, said.body["error"]["code"]) == (403, "rules.excluded")


def gated(gate: Gate, **given: Any) -> Rule:
    """Triage is tried with the smaller model first, and escalates where its answer does not pass."""
    return cheap(use=(Use(model="gpt-mini", gate=gate), Use(model="gpt")), **given)


TRIAGED = Gate(
    kind=GateKind.SCHEMA,
    schema={"type": "object", "required": ["team"], "properties": {"team": {"enum": ["search", "chat"]}}},
)


def test_an_answer_that_does_not_pass_escalates_and_both_are_charged(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime
) -> None:
    saved(cast.acme.id, gated(TRIAGED), at=now)
    deployed(cast.acme.id, provider, at=now)
    gateway = gateways()
    provider.then(Plan(text='{"team": "search"}'))
    good = chat(gateway, secret, headers=TRIAGE).whole()
    assert (good.headers["x-capstan-model"], good.headers.get("x-capstan-tries")) == ("gpt-mini", None)
    provider.then(Plan(text="I would say search."))
    provider.then(Plan(text='{"team": "chat"}'))
    escalated = chat(gateway, secret, headers=TRIAGE).whole()
    assert (escalated.headers["x-capstan-model"], escalated.headers["x-capstan-tries"]) == ("gpt", "2")
    assert "chat" in escalated.raw.decode()
    assert asked_for(provider) == ["gpt-mini", "gpt-mini", "gpt"]
    idle(gateway, provider)
    assert len(charged(gateway)) == 3


def test_where_escalating_is_of_no_use_the_first_answer_is_given(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime
) -> None:
    saved(cast.acme.id, gated(TRIAGED), at=now)
    deployed(cast.acme.id, provider, at=now)
    gateway = gateways()
    provider.then(Plan(text="I would say search."))
    provider.then(Plan(status=503))
    said = chat(gateway, secret, headers=TRIAGE).whole()
    assert (said.status, said.headers["x-capstan-model"]) == (200, "gpt-mini")
    idle(gateway, provider)
    assert len(charged(gateway)) == 1


def test_another_model_checks_what_the_first_one_wrote(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime
) -> None:
    saved(cast.acme.id, gated(Gate(kind=GateKind.CHECKER, model="gpt")), at=now)
    deployed(cast.acme.id, provider, at=now)
    gateway = gateways()
    for text in ("It is for search.", "Yes."):
        provider.then(Plan(text=text))
    assert chat(gateway, secret, headers=TRIAGE).whole().headers["x-capstan-model"] == "gpt-mini"
    assert "It is for search." in provider.seen[1].body.decode()
    for text in ("It is for search.", "No, it is not.", "It is for chat."):
        provider.then(Plan(text=text))
    said = chat(gateway, secret, headers=TRIAGE).whole()
    assert (said.headers["x-capstan-model"], said.headers["x-capstan-tries"]) == ("gpt", "3")
    idle(gateway, provider)
    assert len(charged(gateway)) == 5
    # What the checker cost is told apart from the calls themselves.
    assert beside(gateway) == [("gpt", 2)]


def beside(gateway: Gateway) -> list[tuple[str, int]]:
    """Charges that say they were made for the rule, by model."""
    assert {one for (one,) in rows("SELECT tags ->> 'for-rule' FROM ledger_charge") if one} == {
        f"triage#{RoutingRule.objects.get().id}"
    }
    return rows(
        "SELECT t.value, count(*) FROM ledger_charge AS c JOIN ledger_term AS t ON t.id = c.model_id"
        " WHERE c.tags ->> 'for-rule' IS NOT NULL GROUP BY t.value ORDER BY t.value"
    )


def test_a_model_that_says_something_else_when_asked_again_is_not_believed(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime
) -> None:
    saved(cast.acme.id, gated(Gate(kind=GateKind.CONSISTENT)), at=now)
    deployed(cast.acme.id, provider, at=now)
    gateway = gateways()
    for text in ("Search.", "search. "):
        provider.then(Plan(text=text))
    assert chat(gateway, secret, headers=TRIAGE).whole().headers["x-capstan-model"] == "gpt-mini"
    for text in ("Search.", "Chat.", "Chat, of course."):
        provider.then(Plan(text=text))
    assert chat(gateway, secret, headers=TRIAGE).whole().headers["x-capstan-model"] == "gpt"
    idle(gateway, provider)
    assert len(charged(gateway)) == 5
    assert beside(gateway) == [("gpt-mini", 2)]


def test_what_is_spent_for_a_rule_is_told_so_however_many_tags_a_client_says(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime
) -> None:
    saved(cast.acme.id, gated(Gate(kind=GateKind.CHECKER, model="gpt")), at=now)
    deployed(cast.acme.id, provider, at=now)
    gateway = gateways()
    for text in ("It is for search.", "Yes."):
        provider.then(Plan(text=text))
    tags = ",".join(f"k{number}=v" for number in range(MOST_TAGS))
    assert chat(gateway, secret, headers=TRIAGE | {"x-capstan-tags": tags}).whole().status == 200
    idle(gateway, provider)
    assert len(charged(gateway)) == 2
    assert beside(gateway) == [("gpt", 1)]
    # The call itself keeps all that its client said.
    assert rows("SELECT max(n), min(n) FROM (SELECT count(*) AS n FROM ledger_charge, jsonb_object_keys(tags)"
                " GROUP BY ledger_charge.id) AS of_each") == [(MOST_TAGS, MOST_TAGS)]  # fmt: skip


def test_a_stream_that_nobody_can_look_at_first_goes_to_the_model_behind_the_gate(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime
) -> None:
    saved(cast.acme.id, gated(TRIAGED), at=now)
    deployed(cast.acme.id, provider, at=now)
    gateway = gateways()
    assert chat(gateway, secret, headers=TRIAGE, stream=True).whole().status == 200
    assert asked_for(provider) == ["gpt"]


def test_a_rule_says_how_much_a_model_thinks_and_writes(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime
) -> None:
    use = Use(model="gpt-mini", effort="low", most_output_tokens=20)
    saved(cast.acme.id, cheap(use=(use,)), at=now)
    deployed(cast.acme.id, provider, at=now)
    gateway = gateways()
    said = chat(gateway, secret, headers=TRIAGE).whole()
    asked = json.loads(provider.seen[0].body)
    assert (said.status, asked["reasoning_effort"]) == (200, "low")
    assert 20 in (asked.get("max_tokens"), asked.get("max_completion_tokens"))


def test_what_nobody_says_of_a_call_is_guessed_and_what_is_not_sure_is_not(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime
) -> None:
    labelled(cast.acme.id, labels(60), at=now)
    train(organization_id=cast.acme.id, by=HOUSE, at=now)
    saved(cast.acme.id, cheap(), at=now)
    deployed(cast.acme.id, provider, at=now)
    gateway = gateways()
    triage = "urgent ticket of a customer: escalate the complaint, assign severity and priority, reply with a refund"
    assert chat(gateway, secret, messages=[{"role": "user", "content": triage}]).whole().headers["x-capstan-rule"]
    nothing = chat(gateway, secret, messages=[{"role": "user", "content": "zebra quokka"}]).whole()
    assert "x-capstan-rule" not in nothing.headers
    # Whoever says what it is knows better.
    told = {"x-capstan-task": "summarize"}
    said = chat(gateway, secret, messages=[{"role": "user", "content": triage}], headers=told).whole()
    assert said.headers["x-capstan-model"] == "gpt"
    idle(gateway, provider)
    charged(gateway)
    types = rows("SELECT t.value FROM ledger_charge c JOIN ledger_term t ON t.id = c.task_type_id ORDER BY t.value")
    assert types == [("summarize",), ("triage",)]
    until(lambda: Decision.objects.exists())
    assert 0.5 < (Decision.objects.get().confidence or 0) <= 1


def test_a_learned_choice_is_made_by_what_a_session_began_with(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime
) -> None:
    """The small model fails at what is hard, and the text says which is which."""
    saved(cast.acme.id, learned_rule(), at=now)
    deployed(cast.acme.id, provider, at=now)
    sold_as(cast.acme.id, provider, "gpt", at=now, name="dear", model=INCUMBENT)
    sold_as(cast.acme.id, provider, "gpt-mini", at=now, name="cheap", model=CHEAP)
    gateway = gateways()

    def asks(*said: str) -> str:
        messages = [{"role": ("user", "assistant")[n % 2], "content": text} for n, text in enumerate(said)]
        told = TRIAGE | {"x-capstan-session": said[0]}
        return (
            chat(gateway, secret, model=INCUMBENT, headers=told, messages=messages).whole().headers["x-capstan-model"]
        )

    assert asks(f"{EASY} 7") == "gpt-mini"
    assert asks(f"{HARD} 7") == "gpt"
    # However it goes on.
    assert asks(f"{EASY} 7", "Here it is.", f"{HARD} 7") == "gpt-mini"


def test_what_the_rules_model_does_not_take_goes_to_the_one_that_was_asked_for(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, standby: Upstream, now: datetime
) -> None:
    saved(cast.acme.id, cheap(), at=now)
    deployed(cast.acme.id, provider, at=now)
    deployed(cast.acme.id, standby, at=now, name="standby", rank=1)
    gateway = gateways()
    provider.then(Plan(status=400, code="context_length_exceeded", message="too long"))
    said = chat(gateway, secret, headers=TRIAGE).whole()
    assert (said.status, said.headers["x-capstan-model"], said.headers["x-capstan-tries"]) == (200, "gpt", "2")
    # Nobody else has the same model asked for what it does not take, and a call without a rule hears what it said.
    assert standby.seen == []
    provider.then(Plan(status=400, message="too long"))
    assert chat(gateway, secret).whole().status == 400


def test_the_model_that_was_asked_for_is_tried_however_many_are_before_it(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, standby: Upstream, now: datetime
) -> None:
    saved(cast.acme.id, cheap(), at=now)
    for number in range(4):
        sold_as(cast.acme.id, NOWHERE, "gpt-mini", at=now, name=f"away-{number}", model="gpt-mini")
    sold_as(cast.acme.id, provider, "gpt", at=now, name="here")
    gateway = gateways()
    said = chat(gateway, secret, headers=TRIAGE).whole()
    assert (said.status, said.headers["x-capstan-model"]) == (200, "gpt")


def test_an_answer_that_nobody_bettered_is_told_of_as_what_it_is(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime
) -> None:
    """One call at once: the first answer is settled before anybody checks it."""
    limit = LimitDraft(dimension="key", max_concurrent=1)
    set_limit(organization_id=cast.acme.id, draft=limit, by=HOUSE, at=now)
    saved(cast.acme.id, gated(Gate(kind=GateKind.CHECKER, model="gpt")), at=now)
    deployed(cast.acme.id, provider, at=now)
    gateway = gateways()
    for text in ("It is for search.", "No."):
        provider.then(Plan(text=text))
    provider.then(Plan(status=503))
    said = chat(gateway, secret, headers=TRIAGE).whole()
    assert (said.status, said.headers["x-capstan-model"]) == (200, "gpt-mini")
    idle(gateway, provider)
    assert len(charged(gateway)) == 2
    until(lambda: Decision.objects.exists())
    assert Decision.objects.get().chosen == "gpt-mini"


def test_sub_agents_are_pinned_to_a_class_and_follow_what_is_served_of_it(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime
) -> None:
    pinned = Rule(name="sub-agents", when=When(subagent=True), use=(Use(model="tier:light"),))
    saved(cast.acme.id, pinned, at=now)
    deployed(cast.acme.id, provider, at=now, any_model=True)
    house, child = cast.acme.id, {"x-session-id": "ses_2", "x-parent-session-id": "ses_1"}
    for name, tier in (("gpt", Tier.FRONTIER), ("gpt-mini", Tier.MID), ("embed", Tier.MID), ("claude", Tier.FRONTIER)):
        set_entry(organization_id=house, entry=Entry(model=name, tier=tier), by=HOUSE, at=now)
    gateway = gateways()
    # Nothing is of that class: the call stays with what it asks for.
    assert chat(gateway, secret, headers=child).whole().headers["x-capstan-model"] == "gpt"
    set_entry(organization_id=house, entry=Entry(model="gpt-mini", tier=Tier.LIGHT), by=HOUSE, at=now)
    published()
    until(lambda: chat(gateway, secret, headers=child).whole().headers["x-capstan-model"] == "gpt-mini")
    # Its session itself is not a sub-agent, and stays. No upstream was asked for a class, though they take any name.
    assert set(asked_for(provider)) == {"gpt", "gpt-mini"}
    assert chat(gateway, secret, headers={"x-session-id": "ses_1"}).whole().headers["x-capstan-model"] == "gpt"
    [one] = asking.answers(house, [Asked(model="gpt", depth=1)], now, batch=False)
    assert (one["models"], one["use"]) == (["gpt-mini", "gpt"], [{"model": "gpt-mini"}])
    idle(gateway, provider)


def test_a_task_has_its_dollars_and_goes_on_with_a_lighter_model_once_they_are_spent(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime
) -> None:
    """A budget of each session is a task's: with a class for it, that is the whole of $5, $50 and frontier tasks."""
    budget(
        cast.acme.id, "1", at=now, name="Each task", period=Period.SESSION, each="session",
        enforcement=Enforcement.DOWNGRADE, downgrade_to=(("openai", "gpt-mini"),), downgrade_at=1,
    )  # fmt: skip
    deployed(cast.acme.id, provider, at=now)
    gateway = gateways()

    def answered(task: str) -> str:
        said = chat(gateway, secret, headers={"x-capstan-session": task}).whole()
        assert said.status == 200
        return said.headers["x-capstan-model"]

    models = [answered("t-1") for _ in range(20)]
    assert models == sorted(models)
    assert set(models) == {"gpt", "gpt-mini"}
    # Another task has its own.
    assert answered("t-2") == "gpt"
    idle(gateway, provider)
