"""What a gateway shows of itself: figures of all processes of a host, why it is not ready, and a line for each call."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from routing.gateway import logs
from routing.gateway.answers import Answer, Asked
from routing.gateway.proxy.course import Course
from tests.factories.budgets import budget
from tests.factories.gateway import Gateway, call, key, used
from tests.factories.orgs import Cast
from tests.factories.relaying import Exchange, chat, counting, deployed, message
from tests.fakes.upstream.running import Upstream, upstream
from tests.fakes.upstream.script import Plan
from tests.rooms.gateway.conftest import Opens

PROMPT = "The-merger-is-on-Friday-7f3a"
TOKEN = "a-token-of-some-length"


@pytest.fixture
def secret(cast: Cast, now: datetime) -> str:
    return key(cast.acme.id, "calls.make", "calls.authorize", at=now)


@contextmanager
def behind_one_that_fails(
    cast: Cast, gateways: Opens, provider: Upstream, now: datetime
) -> Iterator[tuple[Upstream, Gateway]]:
    """An upstream that does as it is told and then is gone, and a gateway that has the provider on standby."""
    with upstream() as failing:
        deployed(cast.acme.id, failing, at=now, name="failing")
        deployed(cast.acme.id, provider, at=now, name="standby", rank=1)
        yield failing, gateways()


def asked(gateway: Gateway, path: str, **given: Any) -> Answer:
    return gateway.run(gateway.process.door.answer(Asked("GET", path, {}, given.pop("token", ""), b"", **given)))


class Figures:
    """As Prometheus reads them."""

    def __init__(self, text: bytes) -> None:
        self.text = text.decode()
        self._samples = [one for family in text_string_to_metric_families(self.text) for one in family.samples]

    def of(self, name: str, **labels: str) -> float:
        """The sum of all samples that have these labels."""
        return sum(
            one.value
            for one in self._samples
            if one.name == f"capstan_gateway_{name}" and labels.items() <= one.labels.items()
        )

    def processes(self, name: str) -> set[str]:
        return {one.labels["process"] for one in self._samples if one.name == f"capstan_gateway_{name}"}


def figures(gateway: Gateway) -> Figures:
    answer = asked(gateway, "/metrics", local=True)
    assert answer.status == 200, answer.body
    return Figures(answer.body)


def test_whichever_process_is_asked_shows_those_of_the_whole_host(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime
) -> None:
    budget(cast.acme.id, "1", at=now)
    deployed(cast.acme.id, provider, at=now)
    first, second = gateways(), gateways()
    for one in (first, second):
        one.hears(2)
    assert chat(first, secret).whole().status == 200
    assert message(second, secret, stream=True).whole().status == 200
    for one in (first, second):
        seen = figures(one)
        assert seen.of("up") == 2
        assert len(seen.processes("calls_total")) == 2
        assert seen.of("calls_total", outcome="answered") == 2
        assert seen.of("decisions_total", said="allowed") == 2
        assert seen.of("tries_total", rank="first", outcome="answered") == 2
        assert seen.of("overhead_seconds_count", part="before") == 2
        assert seen.of("overhead_seconds_count", part="after") == 2
        assert seen.of("upstream_first_byte_seconds_count", upstream="openai") == 1
        assert seen.of("upstream_seconds_bucket", upstream="anthropic", le="+Inf") == 1
        assert seen.of("tokens_total", provider="openai", model="gpt", meter="output_text") == 40
        assert seen.of("cost_total") == pytest.approx(provider.bill.pico / 1e12)
        assert seen.of("lease_held") == 0 < seen.of("lease_free")


def test_a_process_that_does_not_answer_is_missed_and_hides_no_other(cast: Cast, gateways: Opens) -> None:
    first, second = gateways(), gateways()
    first.hears(2)
    second.run(second.process._peer_runner.cleanup())
    seen = figures(first)
    assert len(seen.processes("up")) == 2
    assert seen.of("up") == 1
    assert len(seen.processes("journal_failed")) == 1


def test_refusals_fallbacks_and_breakers_are_counted_by_why(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime
) -> None:
    with behind_one_that_fails(cast, gateways, provider, now) as (failing, gateway):
        failing.then(*[Plan(status=500)] * 4, Plan(status=418))
        for _ in range(4):
            assert chat(gateway, secret).whole().status == 200
        assert chat(gateway, secret).whole().status == 418
    assert chat(gateway, secret, model="nobody-has-this").whole().status == 404
    assert chat(gateway, secret[:-1] + "x").whole().status == 401
    seen = figures(gateway)
    assert seen.of("tries_total", upstream="failing", rank="first", outcome="500") == 4
    assert seen.of("tries_total", upstream="standby", rank="fallback", outcome="answered") == 4
    assert seen.of("calls_total", outcome="upstream_4xx") == 1
    assert seen.of("calls_total", outcome="gateway.model_not_found") == 1
    assert seen.of("calls_total", outcome="orgs.key_refused") == 1
    assert seen.of("breakers_open") == 0


def test_tries_of_what_nobody_is_billed_for_are_counted_as_others(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime
) -> None:
    with behind_one_that_fails(cast, gateways, provider, now) as (failing, gateway):
        failing.then(Plan(status=429))
        assert [counting(gateway, secret).whole().status for _ in range(2)] == [200, 200]
    assert counting(gateway, secret).whole().status == 200
    seen = figures(gateway)
    for outcome in ("429", "answered", "unreachable"):
        assert seen.of("tries_total", upstream="failing-anthropic", rank="first", outcome=outcome) == 1, outcome
    assert seen.of("tries_total", upstream="standby-anthropic", rank="fallback", outcome="answered") == 2
    assert seen.of("calls_total", dialect="anthropic.count_tokens", outcome="answered") == 3
    assert seen.of("decisions_total", said="allowed") == 5
    assert seen.of("tokens_total") == seen.of("cost_total") == 0


def test_authorizations_are_counted_too_and_strangers_words_become_no_labels(
    cast: Cast, secret: str, gateways: Opens, now: datetime
) -> None:
    budget(cast.acme.id, "0.02", at=now)
    gateway = gateways()
    allowed = gateway.ask(secret, "", call("call-1"))
    assert gateway.ask(secret, f"/{allowed.body['id']}/settle", used()).status == 200
    assert gateway.ask(secret, "", call("call-2")).status == 429
    seen = figures(gateway)
    assert seen.of("decisions_total", said="allowed") == 1
    assert seen.of("decisions_total", said="budgets.exceeded") == 1
    assert seen.of("cost_total", model="gpt", currency="USD") == pytest.approx(0.012)
    assert seen.of("supply_questions_total") >= 1


def test_figures_are_shown_on_this_machine_or_to_who_has_the_token(cast: Cast, gateways: Opens) -> None:
    gateway = gateways()
    assert asked(gateway, "/metrics").status == 403
    assert asked(gateway, "/metrics", local=True).status == 200
    assert asked(gateway, "/figures").status == 404
    guarded = gateways(metrics_token=TOKEN)
    assert asked(guarded, "/metrics", local=True).status == 403
    assert asked(guarded, "/metrics", local=True, token="Bearer wrong").status == 403
    assert asked(guarded, "/metrics", token=f"Bearer {TOKEN}").status == 200


def test_ready_says_why_not(cast: Cast, gateways: Opens) -> None:
    gateway = gateways()
    assert json.loads(asked(gateway, "/readyz").body) == {"status": "ready", "reasons": []}
    gateway.process.journal._failed = True
    refused = asked(gateway, "/readyz")
    assert (refused.status, json.loads(refused.body)["reasons"]) == (503, ["the journal cannot be written"])
    assert asked(gateway, "/healthz").status == 200
    assert figures(gateway).of("journal_failed") == 1
    gateway.process.journal._failed = False
    gateway.process.configured.ready.clear()
    assert json.loads(asked(gateway, "/readyz").body)["reasons"] == ["there is no configuration yet"]


@pytest.mark.parametrize("kind", ["json", "line"])
def test_a_call_is_one_line_and_neither_its_words_nor_its_key_is_in_any(
    cast: Cast,
    secret: str,
    gateways: Opens,
    provider: Upstream,
    now: datetime,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    kind: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    budget(cast.acme.id, "1", at=now)
    deployed(cast.acme.id, provider, at=now, credential="sk-upstream-secret")
    gateway = gateways(calls_logged=kind)
    said = [{"role": "user", "content": PROMPT}]
    assert chat(gateway, secret, messages=said, user=PROMPT, stream=True).whole().status == 200
    provider.then(Plan(status=400, message=PROMPT), Plan(fault="truncated"))
    assert chat(gateway, secret, messages=said).whole().status == 400
    chat(gateway, secret, messages=said).whole()
    told = {"authorization": f"Bearer {secret}"}
    assert Exchange(gateway, "/v1/chat/completions", f'{{"messages": "{PROMPT}'.encode(), told).whole().status == 400
    assert Exchange(gateway, f"/v1/files/{PROMPT}", b"{}", told).whole().status == 404
    shown = figures(gateway).text
    gateway.stop()
    written = capfd.readouterr().err
    for place in (written, caplog.text, shown):
        for word in (PROMPT, secret, secret.split("_", 2)[-1], "sk-upstream-secret"):
            assert word not in place
    lines = [line for line in written.splitlines() if "routing.gateway.calls" in line]
    assert len(lines) == 5
    if kind == "json":
        first = json.loads(lines[0])
        assert first["key"] == secret[:12]
        assert (first["organization"], first["dialect"], first["model"]) == (cast.acme.id, "openai.chat", "gpt")
        assert (first["upstream"], first["tries"], first["status"]) == ("openai", 1, 200)
        assert first["tokens"]["output_text"] == 40
        assert float(first["cost"]) > 0
        assert first["ms"] >= first["upstream_ms"] >= first["first_byte_ms"] > 0
        assert json.loads(lines[1])["code"] == "upstream_400"
    else:
        assert " upstream=openai " in lines[0]


def test_where_nobody_reads_the_log_calls_go_on(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_lines: bytes) -> None:
        raise BrokenPipeError

    deployed(cast.acme.id, provider, at=now)
    gateway = gateways(calls_logged="json")
    with monkeypatch.context() as broken:
        broken.setattr(logs, "_write_whole", gone)
        gateway.process._log.over(Course("openai.chat"))
        gateway.process._log.close()
    assert gateway.process._log.lost == 1
    assert chat(gateway, secret).whole().status == 200
