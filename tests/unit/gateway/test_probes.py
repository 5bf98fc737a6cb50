"""A standby is asked before it is needed: of those who call, once in a while, and never by all at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from routing.configuration.wire import Deployment
from routing.configuration.wire import Upstream as Terms
from routing.gateway.proxy.candidates import Deployments
from routing.gateway.proxy.health import FAILURES, Health
from routing.gateway.proxy.probes import CALLED_WITHIN_S, MOST_AT_ONCE, QUIET_S, SPREAD, Probes
from routing.gateway.proxy.sender import Sender
from tests.aside import run
from tests.fakes.upstream.running import Upstream, upstream
from tests.fakes.upstream.script import Script

ACME = 1
STANDBY = (7, "gpt")
LONGEST_S = QUIET_S * (1 + SPREAD)


class Here:
    """Acme's upstreams as one process knows them; its clock, and what was counted."""

    def __init__(self, *terms: Terms) -> None:
        self.now = 1_000.0
        self.counted: list[tuple[int, str]] = []
        self.health = Health(lambda: self.now)
        deployments = [
            Deployment(deployment_id=one.upstream_id, upstream_id=one.upstream_id, model="gpt", upstream_model="gpt")
            for one in terms
        ]
        house: Any = SimpleNamespace(id=ACME, deployments=Deployments(terms, deployments, lambda *_: True))
        self._houses = {ACME: house}
        self._draws = iter(range(10_000))

    def turns(self, *after_s: float, called: bool = True) -> list[int]:
        """How many are asked, that long after each other."""
        return run(self._turns(after_s, called=called))

    async def _turns(self, after_s: tuple[float, ...], *, called: bool) -> list[int]:
        sender = Sender(lambda sealed: sealed.decode(), {"127.0.0.1"})
        probes = Probes(
            sender,
            self.health,
            lambda: self._houses,
            lambda: self.now,
            lambda: (next(self._draws) % 9 + 1) / 10,
            lambda _, terms, outcome: self.counted.append((terms.upstream_id, outcome)),
        )
        if called:
            probes.called(ACME)
        asked = [await probes.turn()]
        for pause in after_s:
            self.now += pause
            asked.append(await probes.turn())
        await sender.close()
        return asked


def terms(provider: Upstream, number: int = STANDBY[0], **given: Any) -> Terms:
    usual: dict[str, Any] = {
        "dialect": "openai",
        "base_url": f"{provider.address}/v1",
        "sealed": b"sk-good",
        "first_byte_s": 5.0,
    }
    return Terms(upstream_id=number, name=f"up-{number}", provider="openai", **usual | given)


@pytest.fixture
def provider() -> Iterator[Upstream]:
    with upstream(Script(key="sk-good")) as running:
        yield running


def test_who_calls_has_their_upstreams_asked_once_in_half_a_minute(provider: Upstream) -> None:
    here = Here(terms(provider))
    assert here.turns(LONGEST_S, 1, LONGEST_S, QUIET_S - 1) == [0, 1, 0, 1, 0]
    assert [(one.method, one.path) for one in provider.seen] == [("GET", "/v1/models")] * 2
    assert here.counted == [(7, "good")] * 2


def test_anthropics_are_asked_as_anthropic_wants_it(provider: Upstream) -> None:
    here = Here(terms(provider, dialect="anthropic", base_url=provider.address, auth="x-api-key"))
    here.turns(LONGEST_S)
    assert here.counted == [(7, "good")]
    assert provider.seen[0].header("x-api-key") == "sk-good"


def test_nobody_is_asked_for_who_does_not_call(provider: Upstream) -> None:
    here = Here(terms(provider))
    assert here.turns(LONGEST_S, LONGEST_S, called=False) == [0, 0, 0]
    assert here.turns(CALLED_WITHIN_S, LONGEST_S) == [0, 0, 0]


def test_who_has_just_answered_a_call_is_not_asked(provider: Upstream) -> None:
    here = Here(terms(provider))
    here.health.answered(STANDBY)
    here.now += 1
    assert here.turns(QUIET_S - 2) == [0, 0]


def test_a_good_probe_closes_the_breaker_and_the_next_failure_opens_it_for_longer(provider: Upstream) -> None:
    here = Here(terms(provider))
    for _ in range(FAILURES):
        here.health.failed(STANDBY)
    assert not here.health.usable(STANDBY)
    here.turns(LONGEST_S)
    assert here.health.usable(STANDBY)
    assert not here.health.paused(STANDBY)
    here.health.failed(STANDBY)
    assert here.health.paused(STANDBY)
    here.health.answered(STANDBY)
    here.health.failed(STANDBY)
    assert not here.health.paused(STANDBY)


def test_probes_that_fail_count_as_failures_do(provider: Upstream) -> None:
    here = Here(terms(provider, sealed=b"sk-revoked"), terms(provider, 8, base_url="http://127.0.0.1:1/v1"))
    here.turns(*[LONGEST_S] * FAILURES)
    assert {outcome for _, outcome in here.counted} == {"401", "unreachable"}
    assert here.health.paused(STANDBY)
    assert here.health.paused((8, "gpt"))


def test_a_call_that_is_answered_meanwhile_knows_better(provider: Upstream) -> None:
    here = Here(terms(provider, sealed=b"sk-revoked"))
    for _ in range(FAILURES - 1):
        here.health.failed(STANDBY)

    async def turn() -> None:
        sender = Sender(lambda sealed: sealed.decode(), {"127.0.0.1"})
        probes = Probes(sender, here.health, lambda: here._houses, lambda: here.now, lambda: 0.0, lambda *_: None)
        probes.called(ACME)
        asking = asyncio.ensure_future(probes.turn())
        await asyncio.sleep(0)
        here.health.answered(STANDBY)
        await asking
        await sender.close()

    run(turn())
    for _ in range(FAILURES - 1):
        here.health.failed(STANDBY)
    assert not here.health.paused(STANDBY)


def test_many_upstreams_are_asked_a_few_at_a_time(provider: Upstream) -> None:
    here = Here(*[terms(provider, number) for number in range(3 * MOST_AT_ONCE)])
    assert here.turns(LONGEST_S, 1, 1, 1) == [0, MOST_AT_ONCE, MOST_AT_ONCE, MOST_AT_ONCE, 0]
