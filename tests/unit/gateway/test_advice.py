"""Where rules send a call that another proxy makes, by which of its names, and what is kept of that."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import pytest

from routing.gateway.advice import Advice, advise
from routing.gateway.house import House
from routing.gateway.proxy.candidates import NoDeployment
from routing.gateway.requests import FieldInvalid, Input, Offer, Place, Route, read
from routing.gateway.routes import Excluded
from routing.rules.hot import Published
from routing.rules.types import Gate, GateKind, Rule, Use, When, Within
from tests.factories.houses import KEY, house

NOW: Final = datetime(2026, 11, 2, 12, tzinfo=UTC)


def at(model: str, provider: str = "openai", **given: Any) -> Place:
    return Place(model=model, provider=provider, **given)


OFFERS: Final = (
    Offer("smart", (at("large"), at("large", "azure"))),
    Offer("fast", (at("small"),)),
    Offer("mixed", (at("small"), at("large"))),
    Offer("own", (at("small", "ollama", labels=("local",)),)),
)
CHEAPER: Final = Rule(name="cheaper", when=When(models=("large",)), use=(Use(model="small"),))
LOCAL: Final = Rule(name="local-only", when=When(sensitive=True), within=Within(labels=("local",)))


def having(*rules: Rule | Published) -> House:
    rows = [
        one if isinstance(one, Published) else Published(rule_id=number, version=1, rule=one)
        for number, one in enumerate(rules, 1)
    ]
    return house(rules=rows)


def advised(some: House, model: str = "smart", offers: tuple[Offer, ...] = OFFERS, **given: Any) -> Advice:
    usual: dict[str, Any] = {"id": "call-1", "session": "s-1"}
    return advise(some, KEY, Route(model=model, offers=offers, **usual | given), NOW)


def test_a_rule_about_a_model_holds_for_a_name_that_is_only_that() -> None:
    found = advised(having(CHEAPER))
    assert (found.said["models"], found.said["arm"], found.said["allowed"]) == (["fast", "smart"], "treated", None)
    assert found.row is not None
    assert (found.row.call_id, found.row.asked, found.row.chosen, found.row.session) == (
        "call-1", "large", "small", "s-1",
    )  # fmt: skip
    # A name with several models goes by itself; so does one that a rule names.
    assert advised(having(CHEAPER), "mixed").row is None
    named = Rule(name="named", when=When(models=("smart",)), use=(Use(model="fast"),))
    assert advised(having(named)).said["models"] == ["fast", "smart"]


def test_of_two_names_of_one_model_the_one_that_was_asked_for_goes_on() -> None:
    rule = Rule(name="both", when=When(models=("large",)), use=(Use(model="small"), Use(model="large")))
    offers = (*OFFERS, Offer("another", (at("large"),)))
    assert advised(having(rule), "smart", offers).said["models"] == ["fast", "smart"]


def test_without_a_rule_it_stays_and_nothing_is_kept() -> None:
    found = advised(having())
    assert (found.said["models"], found.said["rule"], found.row) == (["smart"], None, None)


@pytest.mark.parametrize(("share", "held_back", "arm"), [(0.0, 1.0, "held_back"), (0.0, 0.0, "control")])
def test_who_is_not_treated_stays_and_it_is_kept_what_would_have_been(share: float, held_back: float, arm: str) -> None:
    found = advised(having(Published(rule_id=7, version=3, rule=CHEAPER, share=share, held_back=held_back, salt="x")))
    assert (found.said["models"], found.said["arm"], found.said["would"]) == (["smart"], arm, "small")
    assert found.row is not None
    assert (found.row.rule_id, found.row.rule_version, found.row.chosen, found.row.would) == (7, 3, "large", "small")


def test_models_of_makers_that_are_left_out_are_not_advised() -> None:
    offers = (
        Offer("smart", (at("claude-opus-5.5"),)),
        Offer("fast", (at("deepseek-chat"),)),
        Offer("mixed", (at("claude-opus-5.5"), at("deepseek-chat"))),
        Offer("own", (at("our-own"),)),
    )
    cheaper = Rule(name="cheaper", use=(Use(model="fast"), Use(model="own")))
    western = Rule(name="western", within=Within(never_origins=("CN",)))
    found = advised(having(cheaper, western), "smart", offers)
    assert (found.said["models"], found.said["allowed"]) == (["smart"], ["smart"])
    with pytest.raises(Excluded):
        advised(having(western), "own", offers)


def test_a_limit_for_a_model_holds_for_the_name_that_a_rule_sends_to() -> None:
    ours = Rule(name="ours", when=When(models=("small",)), within=Within(labels=("local",)))
    cheaper = Rule(name="cheaper", use=(Use(model="fast"), Use(model="mixed"), Use(model="own")))
    found = advised(having(cheaper, ours))
    # `fast` is nowhere local, and `mixed` may be answered by the same; what was asked for is no such model.
    assert (found.said["models"], found.said["allowed"]) == (["own", "smart"], ["smart", "own"])
    # A name that the proxy does not offer goes on where no limit is for it.
    assert advised(having(ours), "else").said["models"] == ["else"]


def test_a_session_goes_one_way_whatever_its_calls_are_called() -> None:
    some = having(Published(rule_id=1, version=1, rule=CHEAPER, share=0.5, salt="x"))
    arms = {
        session: {advised(some, id=f"c-{n}", session=session).said["arm"] for n in range(4)} for session in "abcdefgh"
    }
    assert all(len(one) == 1 for one in arms.values())
    assert len(set.union(*arms.values())) == 2


def test_what_the_proxy_cannot_do_is_passed_over_with_its_reason() -> None:
    gated = Use(model="small", gate=Gate(kind=GateKind.JSON))
    rule = Rule(name="several", when=When(models=("large",)), use=(gated, Use(model="tiny"), Use(model="openai/small")))
    found = advised(having(rule))
    # The provider is said, so that the local one of that name is not meant.
    assert found.said["models"] == ["fast", "smart"]
    assert [(one["model"], one["why"][:12]) for one in found.said["passed_over"]] == [
        ("small", "its answers "), ("tiny", "the proxy do"),
    ]  # fmt: skip


def test_how_a_model_is_used_goes_along_under_the_proxys_name() -> None:
    rule = Rule(name="low", when=When(models=("large",)), use=(Use(model="large", effort="low", most_output_tokens=9),))
    [use] = advised(having(rule)).said["use"]
    assert use == {"model": "smart", "effort": "low", "most_output_tokens": 9}


def test_what_is_not_shown_is_sensitive_and_stays_where_limits_say() -> None:
    some = having(CHEAPER, LOCAL)
    for text in (None, "Nothing to see here."):
        found = advised(some, "own", text=text)
        assert (found.said["models"], found.said["allowed"]) == (["own"], ["own"])
        with pytest.raises(Excluded):
            advised(some, "smart", text=text)
    clear = advised(some, "smart", tags={"sensitivity": "public"})
    assert (clear.said["models"], clear.said["allowed"]) == (["fast", "smart"], None)


def test_a_name_is_left_only_where_all_it_may_land_on_is() -> None:
    never = Rule(name="never", within=Within(never=("azure",)))
    assert advised(having(never), "fast").said["allowed"] == ["fast", "mixed", "own"]
    with pytest.raises(Excluded):
        advised(having(never), "smart")
    # Of a name that the proxy says nothing about nobody can know.
    with pytest.raises(Excluded):
        advised(having(never), "else")


def test_a_rule_goes_nowhere_that_a_limit_leaves_out() -> None:
    some = having(CHEAPER, Rule(name="azure", within=Within(only=("azure",))))
    offers = (*OFFERS, Offer("there", (at("large", "azure"),)))
    assert advised(some, "there", offers).said["models"] == ["there"]
    # A price that nobody knows is none that is low enough.
    dear = having(Rule(name="price", within=Within(most_per_million=1.0)))
    with pytest.raises(Excluded):
        advised(dear)


def test_a_preference_leaves_nothing_out() -> None:
    found = advised(having(Rule(name="prefers", within=Within(order=("azure",), sort="floor"))))
    assert (found.said["allowed"], found.said["models"]) == (None, ["smart"])


def test_of_what_a_rule_chose_a_maker_with_too_much_of_the_spend_comes_last() -> None:
    offers = (
        Offer("smart", (at("claude-opus-4-5"),)),
        Offer("fast", (at("claude-haiku-4-5"), at("claude-haiku-4-5", "aws"))),
        Offer("mixed", (at("claude-haiku-4-5"), at("gpt-5-mini"))),
        Offer("other", (at("gpt-5"),)),
    )
    choice = Rule(name="choice", when=When(task_types=("triage",)), use=(Use(model="fast"), Use(model="other")))
    published = [
        Published(rule_id=number, version=1, rule=one)
        for number, one in enumerate((choice, Rule(name="shares", within=Within(most_share=0.5))), 1)
    ]
    some = house(rules=published, shares={"anthropic": 61, "openai": 39})
    found = advised(some, "smart", offers, task_type="triage")
    assert (found.said["models"], found.said["allowed"]) == (["other", "fast", "smart"], None)
    why = "anthropic has 61 % of the spend of 30 days, and 50 % is the most"
    assert found.said["passed_over"] == [{"model": "fast", "why": why}]
    assert found.row is not None
    assert (found.row.chosen, found.row.passed_over) == ("gpt-5", (("fast", why),))
    # Behind one name may be another's model too; and who asks by name stays.
    assert advised(some, "mixed", offers, task_type="triage").said["models"] == ["other", "mixed", "fast"]
    assert advised(some, "smart", offers).said["models"] == ["smart"]


def test_auto_needs_a_rule() -> None:
    chooses = Rule(name="choice", when=When(models=("auto",)), use=(Use(model="small"), Use(model="large")))
    assert advised(having(chooses), "auto").said["models"] == ["fast", "smart"]
    stays = Published(rule_id=1, version=1, rule=chooses, share=0.0)
    assert advised(having(stays), "auto").said["models"] == ["smart"]
    with pytest.raises(NoDeployment):
        advised(having(), "auto")


def test_an_answer_that_was_followed_is_kept_only_while_it_is_so() -> None:
    some = having(CHEAPER)
    same = {"rule_id": 1, "version": 1, "arm": "treated"}
    for changed, kept in (({}, True), ({"version": 2}, False), ({"arm": "control"}, False), ({"rule_id": None}, False)):
        raw = Route(id="c", model="smart", offers=OFFERS)
        asked = read(Route, _json(raw, followed=same | changed))
        assert (advise(some, KEY, asked, NOW).row is not None) is kept


def test_an_answer_may_be_kept_where_size_says_nothing_and_there_is_a_session() -> None:
    assert advised(having(CHEAPER)).said["steady"]
    assert not advised(having(CHEAPER), session="").said["steady"]
    large = Rule(name="large", when=When(least_tokens=10), use=(Use(model="small"),))
    found = advised(having(large), input=Input(bytes=40))
    assert (found.said["arm"], found.said["steady"]) == ("treated", False)
    assert advised(having(large), input=Input(bytes=36)).said["arm"] == ""


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"id": "x" * 65}, "id"),
        ({"offers": [{"name": "a", "places": []}] * 501}, "offers"),
        ({"text": "x" * 32_769}, "text"),
        ({"offers": [{"name": "a", "places": [{"model": ""}]}]}, "offers[0].places[0].model"),
        ({"follow": {}}, "follow"),
    ],
)
def test_questions_are_bounded(body: dict[str, Any], field: str) -> None:
    with pytest.raises(FieldInvalid) as refused:
        read(Route, _json(Route(id="c", model="smart", offers=()), **body))
    assert refused.value.field == field


def _json(asked: Route, **given: Any) -> bytes:
    return msgspec.json.encode(msgspec.to_builtins(asked) | given)
