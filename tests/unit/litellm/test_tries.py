"""How often a call may be tried and where, by the router's settings; and what a failed try may have cost."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from capstan_litellm.calls import FREE, UNSEEN, Call, cost_of
from capstan_litellm.tries import Deployment, Plan, group_of, plan_of, tried


class Router:
    """As much of LiteLLM's as is asked."""

    def __init__(self, groups: dict[str, list[dict[str, Any]]], **settings: Any) -> None:
        self._groups = groups
        self.model_names = list(groups)
        self.num_retries = 0
        vars(self).update(settings)

    def get_model_list(self, model_name: str, team_id: str | None = None) -> list[dict[str, Any]]:
        return self._groups.get(model_name, [])


def split(model: str, provider: str | None) -> tuple[str, str]:
    head, slash, rest = model.partition("/")
    return (rest, head) if slash else (model, provider or "openai")


def one(model: str, **params: Any) -> dict[str, Any]:
    return {"litellm_params": {"model": model, **params}}


GROUPS = {
    "small": [one("openai/gpt-4o-mini")],
    "large": [one("openai/gpt-4o"), one("azure/mine", base_model="azure/gpt-4o")],
    "claude": [one("anthropic/claude-sonnet-4-5")],
}


def plan(model: str, router: Router, most: int = 50, **data: Any) -> Plan:
    return plan_of({"model": model, **data}, router, split, team=None, most=most)


def test_retries_of_each_group_on_the_way_are_added_up() -> None:
    router = Router(GROUPS, num_retries=2, fallbacks=[{"small": ["large"]}, {"large": ["claude"]}])
    made = plan("small", router)
    assert made.tries == 9
    assert set(made.deployments) == {
        Deployment("openai", "gpt-4o-mini"),
        Deployment("openai", "gpt-4o"),
        Deployment("azure", "gpt-4o"),
        Deployment("anthropic", "claude-sonnet-4-5"),
    }
    assert made.deployments[0] == Deployment("openai", "gpt-4o-mini")


@pytest.mark.parametrize("name", ["fallbacks", "context_window_fallbacks", "content_policy_fallbacks"])
def test_every_kind_of_fallback_counts(name: str) -> None:
    assert plan("small", Router(GROUPS, **{name: [{"small": ["claude"]}]})).tries == 2


def test_default_fallbacks_hold_for_every_model() -> None:
    assert plan("claude", Router(GROUPS, fallbacks=[{"*": ["large"]}])).tries == 2


def test_a_circle_ends() -> None:
    assert plan("small", Router(GROUPS, fallbacks=[{"small": ["large"]}, {"large": ["small"]}])).tries == 2


def test_what_the_call_asks_for_goes_before_the_router() -> None:
    router = Router(GROUPS, num_retries=2, fallbacks=[{"small": ["large"]}])
    assert plan("small", router, num_retries=0, fallbacks=[]).tries == 1
    assert plan("small", router, fallbacks=["claude"]).tries == 6
    assert plan("small", router, disable_fallbacks=True).tries == 3


def test_policies_and_deployments_may_ask_for_more_retries() -> None:
    groups = {**GROUPS, "small": [one("openai/gpt-4o-mini", num_retries="4")]}
    assert plan("small", Router(groups)).tries == 5
    policy = SimpleNamespace(TimeoutErrorRetries=6, RateLimitErrorRetries=None)
    assert plan("small", Router(GROUPS, retry_policy=policy)).tries == 7


def test_orders_and_failover_begin_a_group_anew() -> None:
    groups = {"small": [one("openai/gpt-4o-mini", order=1), one("openai/gpt-4o", order=2)]}
    assert plan("small", Router(groups, num_retries=1)).tries == 4
    assert plan("large", Router(GROUPS, num_retries=1, enable_weighted_failover=True)).tries == 4


def test_there_is_a_most_of_tries_because_more_are_not_made() -> None:
    assert plan("small", Router(GROUPS, num_retries=500), most=16).tries == 16


def test_a_model_the_router_does_not_know_stands_for_itself() -> None:
    made = plan("anthropic/claude-opus", Router(GROUPS))
    assert made.deployments == (Deployment("anthropic", "claude-opus"),)
    assert "anthropic/claude-opus" in made.names


def test_a_try_is_of_the_deployment_it_says_whatever_it_is_called_there() -> None:
    made = plan("large", Router(GROUPS))
    assert tried(made, "azure/mine", "azure", "mine") == Deployment("azure", "gpt-4o")
    assert tried(made, "gpt-4o", "openai", "gpt-4o") == Deployment("openai", "gpt-4o")
    assert tried(made, "openai/gpt-5", "openai", "gpt-5") is None


def test_the_group_of_a_model_is_one_where_all_deployments_are_that_model() -> None:
    found = group_of("gpt-4o-mini", Router(GROUPS), split, team=None)
    assert found is not None
    assert found[:2] == ("small", Deployment("openai", "gpt-4o-mini"))
    assert group_of("gpt-4o", Router(GROUPS), split, team=None) is None


class RateLimitError(Exception):
    status_code = 429


class InternalServerError(Exception):
    status_code = 500


class Timeout(Exception):
    status_code = 408


class ConnectError(Exception):
    pass


class ReadError(Exception):
    pass


def test_an_answer_that_says_no_is_free_and_a_lost_one_is_not() -> None:
    assert cost_of(RateLimitError()) == FREE
    assert cost_of(InternalServerError()) == FREE
    assert cost_of(Timeout()) == UNSEEN
    assert cost_of(Exception()) == UNSEEN
    for cause, cost in ((ConnectError(), FREE), (ReadError(), UNSEEN)):
        error = InternalServerError()
        error.__cause__ = cause
        assert cost_of(error) == cost


def call(**given: Any) -> Call:
    usual: dict[str, Any] = {
        "id": "1",
        "authorization": "a-1",
        "plan": Plan((Deployment("openai", "gpt-4o-mini"),), {}, 3),
        "input_bytes": 400,
        "limit": 50,
        "request": {"id": "1", "model": "gpt-4o-mini"},
        "at": "2026-11-22T12:00:00+00:00",
        "began": 0.0,
    }
    return Call(**usual | given)


def test_a_call_that_was_never_tried_or_only_refused_is_void() -> None:
    assert call().message()["do"] == "void"
    made = call()
    made.begin("openai", "gpt-4o-mini")
    made.failed(RateLimitError())
    assert made.message()["do"] == "void"


def test_a_lost_try_is_added_to_the_one_that_answered() -> None:
    made = call()
    made.begin("openai", "gpt-4o-mini")
    made.failed(Timeout())
    assert made.begin("openai", "gpt-4o-mini")
    made.answered({"convention": "inclusive", "input_tokens": 90, "output_tokens": 10})
    body = made.message()["body"]
    assert body["usage"] == {"convention": "inclusive", "input_tokens": 190, "output_tokens": 60}
    assert body["estimated"] is True


def test_what_litellm_does_within_a_try_is_the_same_try() -> None:
    made = call()
    assert made.begin("anthropic", "claude")
    assert not made.begin("openai", "gpt-4o-mini")
    made.answered({"convention": "inclusive", "input_tokens": 90, "output_tokens": 10})
    assert made.message()["body"]["model"] == "gpt-4o-mini"


def test_without_an_authorization_usage_is_reported_instead() -> None:
    made = call(authorization="")
    assert made.message()["do"] == "nothing"
    made.begin("openai", "gpt-4o-mini")
    made.answered({"convention": "inclusive", "input_tokens": 90, "output_tokens": 10})
    assert made.message()["do"] == "report"
