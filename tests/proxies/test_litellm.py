"""A call through the real LiteLLM proxy: authorised before it is made, clamped, settled at what it came to."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.proxies.running import KEY, Client, Fake, Proxy, request
from tests.waiting import until

pytestmark = pytest.mark.timeout(180)


def settled(capstan: Fake) -> dict[str, Any]:
    """The only settlement there is, once nothing is open any more and it has come: a proxy that breaks an answer off
    tells its client first.
    """
    until(lambda: not capstan.told()["open"])
    until(lambda: capstan.told()["settled"])
    (only,) = capstan.told()["settled"].values()
    found: dict[str, Any] = only
    return found


def asked(capstan: Fake) -> dict[str, Any]:
    (only,) = capstan.told()["asked"].values()
    found: dict[str, Any] = only
    return found


def test_a_call_is_authorised_clamped_and_settled(client: Client, capstan: Fake) -> None:
    said = client.chat("gpt", "hello there", max_tokens=200, user="customer-7", headers={"x-capstan-session": "s-1"})
    assert said["answer"]["usage"]["completion_tokens"] == 40
    question = asked(capstan)
    assert (question["model"], question["provider"], question["max_output_tokens"]) == ("gpt-4o-mini", "openai", 200)
    assert question["input"]["bytes"] >= len("hello there")
    assert (question["session"], question["dimensions"]["customer"]) == ("s-1", "customer-7")
    told = settled(capstan)
    usage = said["answer"]["usage"]
    assert told["usage"] == {
        "convention": "inclusive",
        "input_tokens": usage["prompt_tokens"],
        "cache_read_tokens": usage["prompt_tokens"] // 2,
        "output_tokens": 40,
        "reasoning_tokens": 10,
    }
    assert told["provider_request_id"].startswith("req_")
    assert told["service_tier"] == "default"
    assert "estimated" not in told


def test_a_stream_is_settled_though_its_caller_asked_for_no_usage(client: Client, capstan: Fake) -> None:
    said = client.chat("gpt", stream=True)
    assert (said["words"], said["finish"], said["usages"]) == (40, "stop", 0)
    told = settled(capstan)
    assert told["usage"]["output_tokens"] == 40
    assert "estimated" not in told


def test_the_whole_answer_is_limited_to_what_the_budget_affords(client: Client, capstan: Fake) -> None:
    capstan.tell(limit="0.00005")
    for said in (client.chat("gpt"), client.chat("gpt", max_tokens=5000)):
        assert said["answer"]["choices"][0]["finish_reason"] in ("length", "stop")
    until(lambda: not capstan.told()["open"])
    assert float(capstan.told()["spent"]) <= 0.00005


def test_without_a_budget_nothing_is_limited(client: Client, capstan: Fake, bill: Path) -> None:
    capstan.tell(free=True)
    client.chat("gpt")
    client.chat("gpt", max_tokens=7)
    assert [json.loads(line)["limit"] for line in bill.read_text().splitlines()] == [None, 7]


def test_a_refusal_names_the_budget_and_how_to_ask_for_more(client: Client, capstan: Fake) -> None:
    capstan.tell(limit="0.000001")
    said = client.chat("gpt")
    assert said["status"] == 429
    assert "Search a month" in said["error"]["message"]
    assert "/api/v1/increases" in said["error"]["message"]
    fields = said["error"]["provider_specific_fields"]
    assert (fields["code"], fields["limit"], fields["resets_at"]) == (
        "budgets.exceeded",
        "0.000001",
        "2026-12-01T00:00:00Z",
    )
    assert (said["headers"]["x-should-retry"], said["headers"]["retry-after"]) == ("false", "60")
    assert capstan.told()["settled"] == {}


@pytest.mark.parametrize("stream", [False, True])
def test_responses(client: Client, capstan: Fake, stream: bool) -> None:
    said = client.call("responses", model="gpt", input="hello", stream=stream, max_output_tokens=30)
    assert said.get("words", 30) == 30
    told = settled(capstan)
    assert (told["usage"]["output_tokens"], told["usage"]["reasoning_tokens"]) == (30, 7)


@pytest.mark.parametrize("stream", [False, True])
def test_anthropic_messages_count_what_was_cached(client: Client, capstan: Fake, stream: bool) -> None:
    body = {"model": "claude", "max_tokens": 30, "messages": [{"role": "user", "content": "hello"}], "stream": stream}
    client.call("/v1/messages", **body)
    told = settled(capstan)
    usage = told["usage"]
    assert (usage["cache_read_tokens"], usage["cache_write_tokens"], usage["cache_write_1h_tokens"]) == (4, 7, 2)
    assert usage["input_tokens"] > 11
    assert usage["output_tokens"] == 30
    assert told["provider"] == "anthropic"


@pytest.mark.parametrize("stream", [False, True])
def test_chat_that_litellm_translates_for_anthropic(client: Client, capstan: Fake, stream: bool) -> None:
    client.chat("claude", stream=stream, max_tokens=30)
    usage = settled(capstan)["usage"]
    assert (usage["cache_read_tokens"], usage["cache_write_tokens"], usage["cache_write_1h_tokens"]) == (4, 7, 2)
    assert usage["output_tokens"] == 30


@pytest.mark.parametrize("stream", [False, True])
def test_routes_that_litellm_makes_another_call_of_are_one_call(client: Client, capstan: Fake, stream: bool) -> None:
    body = {"model": "gpt", "max_tokens": 30, "messages": [{"role": "user", "content": "hello"}], "stream": stream}
    client.call("/v1/messages", **body)
    assert settled(capstan)["usage"]["output_tokens"] == 30
    capstan.tell(reset=True)
    client.call("responses", model="claude", input="hello", stream=stream, max_output_tokens=30)
    assert settled(capstan)["usage"]["output_tokens"] == 30


def test_embeddings(client: Client, capstan: Fake) -> None:
    client.call("embeddings", model="embed", input="hello")
    assert asked(capstan)["max_output_tokens"] == 0
    assert "output_tokens" not in settled(capstan)["usage"]


def test_the_hold_covers_a_dearer_fallback(client: Client, capstan: Fake) -> None:
    said = client.chat("falls", max_tokens=100)
    assert said["answer"]["choices"][0]["message"]["content"]
    question = asked(capstan)
    assert question["fallbacks"] == [{"provider": "openai", "model": "gpt-4o"}]
    assert question["tries"] == 2
    told = settled(capstan)
    assert (told["model"], told["usage"]["output_tokens"]) == ("gpt-4o", 40)
    assert float(told["held"]) >= 2 * 100 * 10 / 1_000_000


def test_every_retry_is_held_for(client: Client, capstan: Fake) -> None:
    assert client.chat("retries", max_tokens=100)["status"] == 500
    assert asked(capstan)["tries"] == 3
    until(lambda: len(capstan.told()["voided"]) == 1)


def test_a_try_that_was_not_held_for_is_not_made(client: Client, capstan: Fake) -> None:
    said = client.chat("stubborn")
    assert (said["status"], asked(capstan)["tries"]) == (422, 3)
    assert "authorised for 3 tries" in said["error"]["message"]
    until(lambda: len(capstan.told()["voided"]) == 1)


@pytest.mark.parametrize("model", ["refuses", "fails", "gone"])
def test_a_call_that_no_provider_answered_costs_nothing(client: Client, capstan: Fake, model: str) -> None:
    assert client.chat(model)["status"] >= 400
    until(lambda: len(capstan.told()["voided"]) == 1)
    assert capstan.told()["settled"] == {}


@pytest.mark.parametrize("model", ["hangs", "dies"])
def test_where_nobody_knows_it_is_settled_as_the_most_it_may_have_been(
    client: Client, capstan: Fake, model: str
) -> None:
    assert client.chat(model, max_tokens=300)["status"] >= 400
    told = settled(capstan)
    assert told["estimated"] is True
    assert told["usage"]["output_tokens"] == 300


def test_a_caller_that_leaves_is_charged_for_what_came(client: Client, capstan: Fake) -> None:
    said = client.chat("slow", stream=True, leave_after=5, max_tokens=1000)
    assert said["finish"] == "left"
    told = settled(capstan)
    assert told["estimated"] is True
    assert 1 <= told["usage"]["output_tokens"] < 200


def test_a_stream_that_breaks_off_is_charged_as_estimated(client: Client, capstan: Fake) -> None:
    client.chat("breaks", stream=True)
    told = settled(capstan)
    assert told["estimated"] is True
    assert told["usage"]["output_tokens"] >= 1


def test_a_provider_that_does_not_count_is_counted(client: Client, capstan: Fake) -> None:
    assert client.chat("mute", stream=True)["words"] == 40
    told = settled(capstan)
    assert told["usage"]["output_tokens"] >= 30
    assert "estimated" not in told


def test_stop_cuts_a_stream_within_a_second(client: Client, capstan: Fake, provider: Fake) -> None:
    def words() -> int:
        return int(request(provider.port, "GET", "/words")[1]["words"])

    before = words()
    number = client.start("chat", model="slow", stream=True, messages=[{"role": "user", "content": "hello"}])
    until(lambda: len(capstan.told()["open"]) == 1)
    # Stopped before anything came it would cost nothing.
    until(lambda: words() > before + 2)
    capstan.tell(stop="stopped by Dana")
    began = time.monotonic()
    said = client.wait(number)
    assert time.monotonic() - began < 1
    assert "stopped by Dana" in str(said["error"])
    told = settled(capstan)
    assert told["estimated"] is True


def test_a_cheaper_model_where_the_budget_says_so(client: Client, capstan: Fake) -> None:
    capstan.tell(downgrade="gpt-4o-mini")
    said = client.chat("dear")
    assert said["answer"]["choices"]
    assert settled(capstan)["model"] == "gpt-4o-mini"


def test_what_cannot_be_bounded_or_priced_is_refused(client: Client, capstan: Fake) -> None:
    assert client.chat("nobody-knows")["status"] == 422
    said = client.call("responses", model="gpt", input="hello", background=True)
    assert said["status"] == 422
    assert capstan.told()["asked"] == {}


def test_what_cannot_be_metered_is_refused(client: Client, capstan: Fake) -> None:
    said = client.call("/v1/images/generations", model="gpt", prompt="a house")
    assert said["status"] == 403
    assert "cannot be held to a budget" in said["error"]["error"]["message"]


def test_routes_that_pass_through_are_refused(client: Client, capstan: Fake) -> None:
    said = client.call("/raw", model="gpt-4o-mini", messages=[{"role": "user", "content": "hello"}])
    assert said["status"] == 403
    assert "cannot be held to a budget" in str(said["error"])


def test_a_call_that_litellm_makes_by_itself_is_not_made(proxy: Proxy, capstan: Fake, bill: Path) -> None:
    """Its health check asks every model something."""
    status, said = request(proxy.port, "GET", "/health", key=KEY)
    assert status in (200, 503)
    assert said["healthy_endpoints"] == []
    assert bill.read_text() == ""
    assert capstan.told()["asked"] == {}


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_from_litellms_own_cache_costs_nothing(client: Client, capstan: Fake, stream: bool) -> None:
    said = {"cache": {"use-cache": True}, "stream": stream, "messages": [{"role": "user", "content": f"keep {stream}"}]}
    for _ in range(2):
        client.call("/v1/chat/completions", model="gpt", **said)
        until(lambda: not capstan.told()["open"])
    assert (len(capstan.told()["settled"]), len(capstan.told()["voided"])) == (1, 1)


@pytest.mark.parametrize("how", ["away", "deaf"])
def test_without_capstan_no_call_is_made(client: Client, capstan: Fake, how: str) -> None:
    capstan.tell(**{how: True})
    said = client.chat("gpt")
    assert said["status"] == 503
    assert said["error"]["provider_specific_fields"]["code"] == "budgets.unavailable"
    capstan.tell(**{how: False})
    until(lambda: not capstan.told()["open"])
    assert capstan.told()["settled"] == {}


def test_a_settlement_waits_for_capstan_to_come_back(client: Client, capstan: Fake) -> None:
    number = client.start(
        "chat", model="slow", stream=True, leave_after=40, messages=[{"role": "user", "content": "hi"}]
    )
    until(lambda: len(capstan.told()["open"]) == 1)
    capstan.tell(away=True)
    client.wait(number)
    capstan.tell(away=False)
    assert settled(capstan)["estimated"] is True


def test_nothing_of_a_prompt_or_key_is_in_a_log(client: Client, capstan: Fake, proxy: Proxy) -> None:
    client.chat("gpt", "the secret is swordfish")
    client.chat("fails", "the secret is swordfish")
    settled(capstan)
    for path in (proxy.log, *(proxy.folder / "spool").iterdir()):
        text = path.read_text()
        assert "swordfish" not in text
        assert "cap_of_the_tests" not in text
