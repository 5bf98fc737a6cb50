"""The whole way: the real client, the real LiteLLM with the plug-in, a real gateway over PostgreSQL, and a provider
that keeps its own bill. What the provider bills never passes the cap, and the cap is used up.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest
from django.utils import timezone

from finops.budgets.models import Budget
from finops.budgets.services.stops import stop_now
from finops.budgets.types import Enforcement
from finops.orgs import services
from finops.runtime.places import CHECKOUT
from tests.factories.budgets import budget, standing
from tests.factories.gateway import booked, key
from tests.factories.ledger import AT, rows
from tests.factories.orgs import HOUSE, the_cast
from tests.factories.pricing import provider as priced
from tests.factories.pricing import seed
from tests.proxies.running import KEY, VENV, Client, Fake, Proxy, deployment, ending
from tests.proxies.served import Server
from tests.waiting import until

pytestmark = [pytest.mark.timeout(900), pytest.mark.django_db(transaction=True)]

# Dollars per million tokens.
PRICES: Final = {"input_mtok": "0.15", "output_mtok": "0.6", "cache_read_mtok": "0.075"}
DEAR: Final = {"input_mtok": "2.5", "output_mtok": "10"}
CACHED, READ, WRITTEN = Decimal("0.000000075"), Decimal("0.00000015"), Decimal("0.0000006")


def billed(path: Path) -> Decimal:
    """What the provider asks for."""
    total = Decimal(0)
    for line in path.read_text().splitlines():
        one = json.loads(line)
        cached = one["in"] // 2
        total += (one["in"] - cached) * READ + cached * CACHED + one["out"] * WRITTEN
    return total


@dataclass(frozen=True)
class Outcome:
    """`said` is what the callers report, `billed` what the provider does."""

    said: dict[str, Any]
    billed: Decimal
    cap: Budget


Run = Callable[..., Outcome]


class Stage:
    """Acme with a cap, its gateway, and its proxy."""

    def __init__(self, folder: Path, provider: Fake) -> None:
        self._folder, self._provider = folder, provider
        seed([priced("openai", {"gpt-4o-mini": PRICES, "gpt-4o": DEAR})], at=AT)
        self.cast = the_cast()

    @contextmanager
    def open(self) -> Iterator[Proxy]:
        secret = key(self.cast.acme.id, at=timezone.now())
        port = self._provider.port
        models = [
            deployment("gpt", "openai/gpt-4o-mini", port),
            deployment("large", "openai/gpt-4o", port),
            deployment("slow", "openai/gpt-4o-mini", port, "slow"),
        ]
        gateway = Server(self._folder)
        with ending(gateway):
            environment = {"CAPSTAN_URL": f"http://127.0.0.1:{gateway.port}", "CAPSTAN_KEY": secret}
            proxy = Proxy(self._folder, models, environment)
            with ending(proxy):
                yield proxy
                until(lambda: not proxy.waiting())
        while booked():
            pass


@pytest.fixture
def stage(tmp_path: Path, provider: Fake) -> Stage:
    return Stage(tmp_path, provider)


@pytest.fixture
def caps(stage: Stage, bill: Path) -> Run:
    def run(limit: str, *, callers: int, calls: int) -> Outcome:
        cap = budget(stage.cast.acme.id, limit, at=timezone.now())
        with stage.open() as proxy:
            said = load(proxy, callers, calls)
        return Outcome(said, billed(bill), cap)

    return run


def load(proxy: Proxy, callers: int, calls: int) -> dict[str, Any]:
    command = [str(VENV / "bin" / "python"), str(CHECKOUT / "tests" / "proxies" / "load.py")]
    running = subprocess.Popen(
        [*command, proxy.url, KEY, str(callers), str(calls)], stdout=subprocess.PIPE, cwd=CHECKOUT, env=os.environ
    )
    try:
        while running.poll() is None:
            booked()  # as a worker does all the time
            try:
                running.wait(0.5)
            except subprocess.TimeoutExpired:
                continue
    finally:
        running.kill()
        out, _ = running.communicate()
    said: dict[str, Any] = json.loads(out)
    return said


def _never_over(outcome: Outcome, limit: Decimal) -> None:
    found = standing(outcome.cap, timezone.now())
    (charged,) = rows("SELECT sum(effective_cost) FROM ledger_charge")[0]
    assert outcome.billed <= limit
    assert charged == outcome.billed
    assert found.authorised == charged
    assert outcome.said.get("failed", 0) == 0, outcome.said


@pytest.mark.soak
def test_a_small_cap_is_used_up_and_never_passed(caps: Run) -> None:
    outcome = caps("0.05", callers=16, calls=1000)
    _never_over(outcome, Decimal("0.05"))
    # What is left is less than the input of one more call can cost, three tries of it.
    assert outcome.billed >= Decimal("0.0497"), outcome.said
    assert outcome.said["refused"] > 0


@pytest.mark.soak
def test_sixty_four_callers_use_up_a_dollar(caps: Run, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = caps("1", callers=64, calls=100_000)
    with capsys.disabled():
        sys.stdout.write(f"\n$1 cap: {outcome.billed} {outcome.said}\n")
    _never_over(outcome, Decimal(1))
    assert outcome.billed >= Decimal("0.995"), outcome.said


@pytest.mark.soak
def test_under_a_large_cap_nothing_is_refused_or_cut(caps: Run, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = caps("1000", callers=64, calls=32)
    with capsys.disabled():
        sys.stdout.write(f"\n$1,000 cap: {outcome.billed} {outcome.said}\n")
    _never_over(outcome, Decimal(1000))
    assert outcome.said["whole"] == 64 * 32, outcome.said


@pytest.mark.soak
def test_stop_now_and_a_cheaper_model_through_the_real_gateway(stage: Stage, bill: Path, tmp_path: Path) -> None:
    now = timezone.now()
    agent = services.add_agent(organization_id=stage.cast.acme.id, name="Looper", by=HOUSE, at=now)
    cheaper = (("openai", "gpt-4o-mini"),)
    budget(stage.cast.acme.id, "0.1", at=now, enforcement=Enforcement.DOWNGRADE, downgrade_to=cheaper, downgrade_at=1)
    hello = [{"role": "user", "content": "hello"}]
    with stage.open() as proxy:
        client = Client(proxy, tmp_path / "client.log")
        with ending(client.child):
            for _ in range(6):
                client.chat("large", max_tokens=50)
            models = [json.loads(line)["model"] for line in bill.read_text().splitlines()]
            assert (models[0], models[-1]) == ("gpt-4o", "gpt-4o-mini")
            looper = {"x-capstan-agent": "looper"}
            number = client.start("chat", model="slow", stream=True, max_tokens=900, messages=hello, headers=looper)
            until(lambda: len(proxy.waiting("open") - proxy.waiting("send")) == 1)
            began = time.monotonic()
            stop_now(
                organization_id=stage.cast.acme.id, dimension="agent", subject=str(agent.id), reason="It loops",
                by=HOUSE, at=timezone.now(),
            )  # fmt: skip
            cut = client.wait(number)
            assert time.monotonic() - began < 1
            assert "It loops" in str(cut["error"])
            again = client.chat("gpt", headers=looper)
            assert (again["status"], again["error"]["provider_specific_fields"]["code"]) == (429, "budgets.stopped")


@pytest.mark.soak
@pytest.mark.parametrize("own", ["max_budget", "provider_budget_config"])
def test_what_litellm_does_by_itself(
    own: str, bill: Path, provider: Fake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Reported beside ours, not judged: without a database its budgets are told after the fact, or not at all."""
    settings_: dict[str, Any] = {"litellm_settings": {"callbacks": []}}
    if own == "max_budget":
        settings_["litellm_settings"] |= {"max_budget": 1.0, "budget_duration": "1d"}
    else:
        settings_["router_settings"] = {
            "provider_budget_config": {"openai": {"budget_limit": 1.0, "time_period": "1d"}}
        }
    proxy = Proxy(tmp_path, [deployment("gpt", "openai/gpt-4o-mini", provider.port)], {}, **settings_)
    with ending(proxy):
        said = load(proxy, 64, 50)
    with capsys.disabled():
        sys.stdout.write(f"\nLiteLLM's {own} of $1: {billed(bill)} {said}\n")
