"""Where Capstan's rules send a call: what is asked, what is kept of the answer, and where the call goes then."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from capstan_litellm.answers import Answer, Unreachable
from capstan_litellm.body import CHAT, ask_of, said_first
from capstan_litellm.following import begun_anew, follow, question_of, shape, tagged, uses_of
from capstan_litellm.offers import Catalogue, allowed_names, local_names
from capstan_litellm.owner import MOST_TAGS, Owner
from capstan_litellm.routing import Routed, RouteRefused, Routes, Use, read
from capstan_litellm.settings import Settings, SettingsWrong, from_environment
from capstan_litellm.tries import Deployment
from tests.unit.litellm.test_tries import Router, one, split

ENVIRONMENT = {"CAPSTAN_URL": "https://capstan.example.com", "CAPSTAN_KEY": "cap_x", "CAPSTAN_ROUTE": "on"}
GROUPS = {
    "smart": [one("openai/gpt-4o"), one("azure/mine", base_model="azure/gpt-4o")],
    "fast": [one("openai/gpt-4o-mini")],
    "own": [{"litellm_params": {"model": "ollama/qwen"}, "model_info": {"capstan_labels": ["local"]}}],
    "any/*": [one("openai/*")],
}
ANSWER: dict[str, Any] = {
    "models": ["fast", "smart"], "use": [{"model": "fast", "effort": "", "most_output_tokens": None}], "allowed": None,
    "rule": "cheaper", "rule_id": 3, "version": 2, "arm": "treated", "steady": True,
}  # fmt: skip


class Capstan:
    """Answers as it is told to, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.answer: Answer | Exception = Answer(200, ANSWER)

    async def route(self, body: dict[str, Any]) -> Answer:
        self.asked.append(body)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Stage:
    def __init__(self, **environment: str) -> None:
        self.capstan, self.time = Capstan(), 0.0
        said = {f"CAPSTAN_ROUTE_{name.upper()}": value for name, value in environment.items()}
        self.settings = from_environment(ENVIRONMENT | said)
        self.routes = Routes(self.settings, self.capstan, now=lambda: self.time)  # type: ignore[arg-type]

    async def ask(self, call_id: str = "c-1", **given: Any) -> Routed:
        return await self.routes.route(question(self.settings, call_id) | given)

    async def settled(self) -> None:
        while self.routes._telling:
            await asyncio.gather(*self.routes._telling)


def question(settings: Settings, call_id: str = "c-1", model: str = "smart") -> dict[str, Any]:
    data = {"model": model, "messages": [{"role": "user", "content": "what is it about"}]}
    offers = Catalogue(split).offers(Router(GROUPS), SimpleNamespace(), model)
    return question_of(call_id, data, ask_of(data, CHAT), Owner(session="s-1"), offers, settings)


def story(act: Callable[[], Any]) -> None:
    asyncio.run(act())


def test_what_is_asked_says_whose_call_it_is_and_nothing_of_what_it_says() -> None:
    asked = question(from_environment(ENVIRONMENT))
    assert (asked["model"], asked["session"], asked["characters"]) == ("smart", "s-1", 16)
    assert "about" not in str(asked)
    shown = question(from_environment(ENVIRONMENT | {"CAPSTAN_ROUTE_TEXT": "first"}))
    assert shown["text"] == "what is it about"


@pytest.mark.parametrize(
    ("data", "first"),
    [
        ({"messages": [{"role": "system", "content": "be kind"}, {"role": "user", "content": "hi"}]}, "hi"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"text": "b"}]}]}, "a\nb"),
        ({"input": "hi"}, "hi"),
        ({"input": [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}]}, "hi"),
        ({"prompt": ["hi", "ho"]}, "hi"),
        ({"messages": [{"role": "assistant", "content": "hi"}, 7]}, ""),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, ""),
    ],
)
def test_what_a_person_says_first(data: dict[str, Any], first: str) -> None:
    assert said_first(data) == first


def test_what_is_offered_says_where_each_name_may_land() -> None:
    offers = {one["name"]: one["places"] for one in question(from_environment(ENVIRONMENT))["offers"]}
    assert list(offers) == ["smart", "fast", "own"]
    assert offers["smart"] == [{"model": "gpt-4o", "provider": "openai"}, {"model": "gpt-4o", "provider": "azure"}]
    assert offers["own"] == [{"model": "qwen", "provider": "ollama", "labels": ["local"]}]
    assert local_names([{"name": name, "places": places} for name, places in offers.items()]) == {"own"}


@pytest.mark.parametrize(
    ("models", "team", "names"),
    [
        ([], [], None),
        (["fast"], [], {"fast"}),
        (["all-proxy-models"], ["fast"], None),
        (["all-team-models"], ["fast"], {"fast"}),
        ([], ["fast"], {"fast"}),
    ],
)
def test_a_call_is_moved_to_no_model_that_its_key_may_not_use(
    models: list[str], team: list[str], names: set[str] | None
) -> None:
    auth = SimpleNamespace(models=models, team_models=team)
    assert allowed_names(auth) == names
    offered = {one["name"] for one in Catalogue(split).offers(Router(GROUPS), auth, "smart")}
    assert offered == ({"smart", "fast", "own"} if names is None else {"smart"} | names)


def test_an_equal_question_of_a_session_is_answered_from_memory_and_still_told() -> None:
    async def act() -> None:
        stage = Stage()
        first = await stage.ask()
        assert (first.models, first.tags["routing-arm"]) == (("fast", "smart"), "treated")
        # Another size, and another call, of the same session.
        assert await stage.ask("c-2", input={"bytes": 9_999}) == first
        await stage.settled()
        told = stage.capstan.asked[1]
        assert (told["id"], told["followed"]) == ("c-2", {"rule_id": 3, "version": 2, "arm": "treated"})
        # Another session, or a call with tools, asks and waits.
        for other in ({"session": "s-2"}, {"input": {"bytes": 1, "tools": 1}}, {"task_type": "triage"}):
            await stage.ask("c-3", **other)
            assert "followed" not in stage.capstan.asked[-1]

    story(act)


def test_the_switch_holds_when_what_is_kept_is_over() -> None:
    async def act() -> None:
        stage = Stage(kept="2")
        await stage.ask()
        stage.capstan.answer = Answer(200, ANSWER | {"models": ["smart"], "arm": "", "rule": None})
        stage.time = 1.9
        assert (await stage.ask("c-2")).models == ("fast", "smart")
        # What it was told meanwhile is newer, and holds at once.
        await stage.settled()
        assert (await stage.ask("c-3")).models == ("smart",)
        await stage.settled()

    story(act)


@pytest.mark.parametrize("kept", [{"steady": False}, {}])
def test_what_depends_on_size_is_asked_each_time(kept: dict[str, Any]) -> None:
    async def act() -> None:
        stage = Stage(kept="0") if not kept else Stage()
        stage.capstan.answer = Answer(200, ANSWER | kept)
        for number in range(3):
            await stage.ask(f"c-{number}")
        assert [one["id"] for one in stage.capstan.asked] == ["c-0", "c-1", "c-2"]

    story(act)


def test_without_capstan_calls_stay_as_they_ask_and_do_not_wait_for_long() -> None:
    async def act() -> None:
        stage = Stage()
        stage.capstan.answer = Unreachable("away")
        assert [await stage.ask(f"c-{n}") for n in range(3)] == [Routed()] * 3
        assert len(stage.capstan.asked) == 1
        stage.time, stage.capstan.answer = 1.0, Answer(200, ANSWER)
        assert (await stage.ask()).models == ("fast", "smart")

    story(act)


def test_what_capstan_does_not_take_is_as_if_it_were_away() -> None:
    async def act() -> None:
        stage = Stage()
        stage.capstan.answer = Answer(403, {"code": "orgs.permission_missing"})
        assert await stage.ask() == Routed()

    story(act)


@pytest.mark.parametrize(
    ("how", "model", "passes"), [("closed", "own", False), ("local", "smart", False), ("local", "own", True)]
)
def test_whoever_needs_limits_to_hold_goes_nowhere_else_meanwhile(how: str, model: str, passes: bool) -> None:
    async def act() -> None:
        stage = Stage(when_unreachable=how)
        stage.capstan.answer = Unreachable("away")
        asked = question(stage.settings, model=model)
        if passes:
            assert (await stage.routes.route(asked)).allowed == frozenset({"own"})
            return
        with pytest.raises(RouteRefused) as refused:
            await stage.routes.route(asked)
        assert (refused.value.status, refused.value.code) == (503, "rules.unavailable")

    story(act)


def test_what_limits_leave_nowhere_is_refused() -> None:
    async def act() -> None:
        stage = Stage()
        stage.capstan.answer = Answer(403, {"code": "rules.excluded", "detail": "no deployment is left"})
        with pytest.raises(RouteRefused, match="no deployment is left"):
            await stage.ask()

    story(act)


ROUTED = read(ANSWER)


def test_a_routed_call_falls_back_to_what_it_asked_for_and_on_from_there() -> None:
    data: dict[str, Any] = {"model": "smart"}
    follow(data, ROUTED, Router(GROUPS, fallbacks=[{"smart": ["own"]}]))
    assert data == {"model": "fast", "fallbacks": ["smart", "own"]}


def test_what_is_no_model_is_no_fallback() -> None:
    data: dict[str, Any] = {"model": "auto"}
    follow(data, read(ANSWER | {"models": ["fast"]}), Router(GROUPS))
    assert data == {"model": "fast", "disable_fallbacks": True}


def test_a_call_that_stays_is_left_as_it_is() -> None:
    data: dict[str, Any] = {"model": "smart"}
    for routed in (Routed(), read(ANSWER | {"models": ["smart"], "arm": "held_back", "use": []})):
        follow(data, routed, Router(GROUPS, fallbacks=[{"smart": ["own"]}]))
        assert data == {"model": "smart"}


def test_no_fallback_goes_where_limits_forbid() -> None:
    router = Router(GROUPS, fallbacks=[{"smart": ["fast", "own"]}], context_window_fallbacks=[{"smart": ["fast"]}])
    data: dict[str, Any] = {"model": "smart", "fallbacks": ["fast"]}
    follow(data, read(ANSWER | {"models": ["own"], "allowed": ["own"]}), router)
    assert data == {
        "model": "own", "disable_fallbacks": True, "context_window_fallbacks": [], "content_policy_fallbacks": [],
    }  # fmt: skip
    with pytest.raises(RouteRefused):
        follow({"model": "smart"}, Routed(allowed=frozenset()), router)


def test_a_call_that_is_begun_anew_keeps_its_limits() -> None:
    limited = read(ANSWER | {"allowed": ["own"]})
    assert begun_anew("own", limited).allowed == frozenset({"own"})
    with pytest.raises(RouteRefused):
        begun_anew("smart", limited)


def test_the_decision_goes_before_what_clients_say() -> None:
    said = {"routing-arm": "control", **{f"tag-{number}": "x" for number in range(MOST_TAGS)}}
    found = tagged(said, ROUTED)
    assert (found["routing-rule"], found["routing-version"], found["routing-arm"], len(found)) == (
        "cheaper", "2", "treated", MOST_TAGS,
    )  # fmt: skip
    assert tagged({"a": "b"}, Routed()) == {"a": "b"}


def test_a_model_is_used_as_the_rule_says() -> None:
    routed = read(ANSWER | {"use": [{"model": "smart", "effort": "low", "most_output_tokens": 50}]})
    uses = uses_of(routed, Router(GROUPS), split, None)
    assert uses == dict.fromkeys([Deployment("openai", "gpt-4o"), Deployment("azure", "gpt-4o")], Use("low", 50))


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("acompletion", {}, {"reasoning_effort": "low", "max_tokens": 50}),
        ("acompletion", {"max_completion_tokens": 90}, {"reasoning_effort": "low", "max_completion_tokens": 50}),
        ("acompletion", {"max_tokens": 9}, {"reasoning_effort": "low", "max_tokens": 9}),
        ("aresponses", {"reasoning": {"summary": "auto"}},
         {"reasoning": {"summary": "auto", "effort": "low"}, "max_output_tokens": 50}),
        ("anthropic_messages", {"max_tokens": 90}, {"output_config": {"effort": "low"}, "max_tokens": 50}),
        ("aembedding", {}, {}),
    ],
)  # fmt: skip
def test_effort_and_length_are_said_as_each_family_says_them(
    kind: str, before: dict[str, Any], after: dict[str, Any]
) -> None:
    kwargs = dict(before)
    shape(kwargs, kind, Use("low", 50))
    assert kwargs == after


@pytest.mark.parametrize(
    "wrong", [{"CAPSTAN_ROUTE": "yes"}, {"CAPSTAN_ROUTE_TIMEOUT": "0"}, {"CAPSTAN_ROUTE_TEXT": "all"}]
)
def test_settings_that_cannot_be_meant_end_the_start(wrong: dict[str, str]) -> None:
    with pytest.raises(SettingsWrong, match=next(iter(wrong))):
        from_environment(ENVIRONMENT | wrong)
