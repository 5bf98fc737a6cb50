"""Calls of an experiment through a scripted gateway: tried again, refused, never more than there is room for."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import httpx2
import pytest

from routing.experiments import asking
from routing.experiments.asking import Asking, CapReached, Interrupted, Reply

MINE = 7
ANSWER = b'{"choices": []}'


def error(status: int, code: str, *, budget: int = 0, after: str = "") -> httpx2.Response:
    said: dict[str, Any] = {"code": code, "message": "no"}
    if budget:
        said["budgets"] = [{"budget_id": budget}]
    headers = {"retry-after": after} if after else {}
    return httpx2.Response(status, headers=headers, stream=httpx2.ByteStream(json.dumps({"error": said}).encode()))


def answer(**headers: str) -> httpx2.Response:
    told = {"x-capstan-cost": "0.0012", "x-capstan-currency": "USD", "x-capstan-upstream": "openai"} | headers
    return httpx2.Response(200, headers=told, stream=httpx2.ByteStream(ANSWER))


class Gateway(httpx2.BaseTransport):
    """Answers by a script; what was sent is kept."""

    def __init__(
        self, *says: httpx2.Response | Exception, then: Callable[[httpx2.Request], httpx2.Response] | None = None
    ) -> None:
        self.says: Iterator[httpx2.Response | Exception] = iter(says)
        self.then = then
        self.seen: list[httpx2.Request] = []

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self.seen.append(request)
        said = self.then(request) if self.then else next(self.says)
        if isinstance(said, Exception):
            raise said
        return said


class Story:
    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.waited: list[float] = []
        self.asks = Asking(
            "http://gateway.invalid", "cap_12345678_secret", experiment_id=3, budget_id=MINE, transport=gateway,
            pause=self.waited.append,
        )  # fmt: skip

    def ask(self, label: str = "") -> Reply:
        return self.asks.ask("openai.chat", b"{}", only=("openai", "azure"), label=label, headers={"openai-beta": "x"})


def test_a_call_says_for_what_it_is_and_where_it_may_go() -> None:
    story = Story(Gateway(answer()))
    reply = story.ask(label="confidential")
    assert (reply.status, reply.body, reply.cost, reply.upstream) == (200, ANSWER, Decimal("0.0012"), "openai")
    [sent] = story.gateway.seen
    assert sent.url == "http://gateway.invalid/chat/completions"
    assert sent.headers["authorization"] == "Bearer cap_12345678_secret"
    assert sent.headers["x-capstan-tags"] == "for-experiment=3,sensitivity=confidential"
    assert sent.headers["x-capstan-only"] == "openai,azure"
    assert sent.headers["x-capstan-task"] == "experiment"
    assert sent.headers["openai-beta"] == "x"


def test_what_may_pass_is_tried_again_as_late_as_is_asked() -> None:
    story = Story(Gateway(error(503, "gateway.upstream_away"), error(429, "x", after="3"), answer()))
    assert story.ask().status == 200
    assert story.waited == [1.0, 3.0]
    story = Story(Gateway(*[error(502, "") for _ in range(asking.TRIES)]))
    assert story.ask().code == "upstream"
    assert story.waited == [1.0, 2.0, 4.0]


@pytest.mark.parametrize(
    ("status", "code"), [(400, "upstream"), (403, "rules.excluded"), (404, "gateway.model_not_found")]
)
def test_what_will_not_pass_is_told_as_it_is(status: int, code: str) -> None:
    said = "invalid_request_error" if code == "upstream" else code
    story = Story(Gateway(error(status, said)))
    reply = story.ask()
    assert (reply.status, reply.code, story.waited) == (status, code, [])


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (error(401, "orgs.key_refused"), "gateway_not_told"),
        (error(429, "budgets.exceeded", budget=MINE + 1), "refused"),
        (error(429, "budgets.stopped"), "refused"),
        (httpx2.ConnectError("refused"), "gateway_away"),
        (httpx2.ConnectTimeout("slow"), "gateway_away"),
    ],
)
def test_what_is_no_affair_of_one_call_interrupts_all_of_them(said: httpx2.Response | Exception, code: str) -> None:
    with pytest.raises(Interrupted) as error_:
        Story(Gateway(said)).ask()
    assert error_.value.code == code


def test_an_answer_that_never_came_is_not_asked_for_again() -> None:
    story = Story(Gateway(httpx2.ReadTimeout("silent")))
    reply = story.ask()
    assert (reply.status, reply.code, len(story.gateway.seen)) == (0, "no_answer", 1)


def test_an_answer_that_is_too_large_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "LARGEST", 4)
    assert Story(Gateway(answer())).ask().code == "too_large"


def test_its_own_cap_is_reached_only_when_nothing_else_is_held() -> None:
    """Two calls at once, and room for one: the other waits for the first to end, and then there is room."""
    first = threading.Event()
    held = threading.Lock()

    def says(_: httpx2.Request) -> httpx2.Response:
        if not held.acquire(blocking=False):
            first.set()
            return error(429, "budgets.exceeded", budget=MINE)
        assert first.wait(10)
        held.release()
        return answer()

    story = Story(Gateway(then=says))
    with ThreadPoolExecutor(2) as pool:
        replies = [future.result(10) for future in [pool.submit(story.ask), pool.submit(story.ask)]]
    assert [one.status for one in replies] == [200, 200]
    assert len(story.gateway.seen) == 3
    story = Story(Gateway(error(429, "budgets.exceeded", budget=MINE), error(429, "budgets.exceeded", budget=MINE)))
    with pytest.raises(CapReached):
        story.ask()


def test_a_cost_that_cannot_be_read_is_no_cost() -> None:
    assert Story(Gateway(answer(**{"x-capstan-cost": "a lot"}))).ask().cost is None
    assert Story(Gateway(answer(**{"x-capstan-cost": "-1"}))).ask().cost is None
    assert Story(Gateway(answer(**{"x-capstan-clamped": "max_tokens=12"}))).ask().clamped
