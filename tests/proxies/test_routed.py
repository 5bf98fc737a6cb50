"""Capstan's rules in the real LiteLLM: a call goes to the cheaper model, and is known to have; sessions that are held
back stay; the switch holds at once; and where Capstan is away calls go on as they ask.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from django.utils import timezone

from routing.configuration.services import publish_changes
from routing.rollouts.selectors import sums_of_day
from routing.rules import services
from routing.rules.arms import draw_of
from routing.rules.models import Decision
from routing.rules.types import Rule, Use, When, Within
from tests.factories.gateway import booked, key
from tests.factories.ledger import AT, rows
from tests.factories.orgs import HOUSE, Cast, the_cast
from tests.factories.pricing import provider as priced
from tests.factories.pricing import seed
from tests.factories.rules import saved
from tests.proxies.running import Client, Fake, Proxy, deployment, ending
from tests.proxies.served import Server
from tests.waiting import until

pytestmark = [pytest.mark.timeout(400), pytest.mark.django_db(transaction=True)]

CHEAP, DEAR = "gpt-4o-mini", "gpt-4o"
CHEAPER: Final = Rule(name="cheaper", when=When(models=(DEAR,)), use=(Use(model=CHEAP, most_output_tokens=30),))
LOCAL: Final = Rule(name="local-only", when=When(sensitive=True), within=Within(labels=("local",)))
_HELD_BACK: Final = 0.5
# By the rule's first name, as everywhere.
SESSIONS: Final = [f"session-{number}" for number in range(8)]
TREATED: Final = [one for one in SESSIONS if draw_of("cheaper", one) < 1 - _HELD_BACK]
STAYING: Final = [one for one in SESSIONS if one not in TREATED]


class Stage:
    """Acme with its gateway and its proxy."""

    def __init__(self, folder: Path, provider: Fake, bill: Path) -> None:
        self.folder, self._bill = folder, bill
        self._port = provider.port
        prices = {CHEAP: {"input_mtok": "0.15", "output_mtok": "0.6"}, DEAR: {"input_mtok": "2.5", "output_mtok": "10"}}
        seed([priced("openai", prices)], at=AT)
        self.cast: Cast = the_cast()
        self.acme = self.cast.acme.id

    @contextmanager
    def open(self, **settings: str) -> Iterator[Client]:
        local = deployment("own", f"openai/{CHEAP}", self._port) | {"model_info": {"capstan_labels": ["local"]}}
        models = [
            deployment("fast", f"openai/{CHEAP}", self._port),
            deployment("smart", f"openai/{DEAR}", self._port),
            deployment("failing", f"openai/{DEAR}", self._port, "fails"),
            local,
        ]
        self.gateway = Server(self.folder)
        environment = {
            "CAPSTAN_URL": f"http://127.0.0.1:{self.gateway.port}", "CAPSTAN_KEY": key(self.acme, at=timezone.now()),
            "CAPSTAN_WHEN_UNREACHABLE": "open", "CAPSTAN_ROUTE": "on", "CAPSTAN_ROUTE_TIMEOUT": "5", **settings,
        }  # fmt: skip
        publish_changes(timezone.now())
        with ending(self.gateway):
            fallbacks = [{"smart": ["fast"]}, {"failing": ["smart"]}]
            proxy = Proxy(self.folder, models, environment, router_settings={"num_retries": 0, "fallbacks": fallbacks})
            with ending(proxy):
                client = Client(proxy, self.folder / "client.log")
                with ending(client.child):
                    self.proxy = proxy
                    yield client

    def serves(self, client: Client, model: str = "smart", session: str = "", **said: Any) -> str:
        """The model that a call is answered by, as the provider bills it."""
        before = self._bill.read_text().splitlines()
        headers = {"x-capstan-session": session} if session else {}
        answer = client.chat(model, max_tokens=40, headers=headers | said.pop("headers", {}), **said)
        assert "answer" in answer, answer
        [line] = self._bill.read_text().splitlines()[len(before) :]
        found: str = json.loads(line)["model"]
        return found


@pytest.fixture
def stage(tmp_path: Path, provider: Fake, bill: Path) -> Stage:
    return Stage(tmp_path, provider, bill)


def test_a_rule_moves_calls_and_what_it_saves_is_known(stage: Stage) -> None:
    rule = saved(stage.acme, CHEAPER, at=timezone.now(), stage="full", held_back=_HELD_BACK).row
    with stage.open() as client:
        assert [stage.serves(client, session=one) for one in TREATED] == [CHEAP] * len(TREATED)
        assert [stage.serves(client, session=one) for one in STAYING] == [DEAR] * len(STAYING)
        # Once more within the time that an answer is kept: decided from memory, and told all the same.
        assert stage.serves(client, session=TREATED[0]) == CHEAP
        until(lambda: Decision.objects.count() == len(SESSIONS) + 1)

        # A call names itself, so that it can be said how well it went.
        body = {"model": "smart", "max_tokens": 90, "messages": [{"role": "user", "content": "hello"}]}
        said = client.call("/v1/chat/completions", headers={"x-capstan-session": TREATED[0]}, **body)
        name = said["headers"]["x-capstan-call"]
        assert said["headers"]["x-capstan-rule"] == "cheaper; version=1; arm=treated"
        # As long as the rule lets the model answer, whatever the caller would take.
        assert said["answer"]["usage"]["completion_tokens"] == 30
        until(lambda: Decision.objects.filter(call_id=name, arm="treated", chosen=CHEAP).exists())

        # Switched off, it holds for nobody: within a second, and what an answer is kept for.
        services.switch_off(organization_id=stage.acme, by=HOUSE, at=timezone.now())
        publish_changes(timezone.now())
        until(lambda: stage.serves(client, session=TREATED[0]) == DEAR)
        until(lambda: not stage.proxy.waiting())
    while booked():
        pass
    [[carried]] = rows("SELECT tags FROM ledger_charge WHERE external_id LIKE %s", f"%:{name}")
    said = json.loads(carried) if isinstance(carried, str) else carried
    assert (said["routing-rule"], said["routing-version"], said["routing-arm"]) == ("cheaper", "1", "treated")
    sums = sums_of_day(stage.acme, Decision.objects.get(call_id=name).at.date())[rule.id]
    assert (sums.treated_sessions, sums.stayed_sessions) == (len(TREATED), len(STAYING))
    assert sums.treated_cost / sums.treated_calls * 5 < sums.stayed_cost / sums.stayed_calls


def test_limits_hold_whatever_falls_back_and_a_call_goes_on_when_capstan_is_away(stage: Stage) -> None:
    for rule in (CHEAPER, Rule(name="auto", when=When(models=("auto",)), use=(Use(model=CHEAP),)), LOCAL):
        saved(stage.acme, rule, at=timezone.now())
    with stage.open() as client:
        public, secret = {"x-litellm-tags": "sensitivity:public"}, {"x-litellm-tags": "sensitivity:confidential"}
        assert stage.serves(client, headers=public) == CHEAP
        # Whoever leaves the choice to routing asks for no model that the proxy has.
        assert stage.serves(client, "auto", headers=public) == CHEAP
        assert stage.serves(client, "own", headers=secret) == CHEAP
        # Nobody knows what an unlabelled call says.
        for headers in (secret, {}):
            said = client.chat("smart", headers=headers)
            assert (said["status"], said["error"]["provider_specific_fields"]["code"]) == (403, "rules.excluded")
        until(lambda: not stage.proxy.waiting())
        stage.gateway.end()
        # What was asked for, and its own fallbacks.
        assert stage.serves(client, headers=public) == DEAR
        assert stage.serves(client, "failing", headers=secret) == DEAR


@pytest.mark.soak
def test_whoever_asked_for_it_gets_only_local_models_while_capstan_is_away(stage: Stage) -> None:
    with stage.open(CAPSTAN_ROUTE_WHEN_UNREACHABLE="local") as client:
        assert stage.serves(client) == DEAR
        until(lambda: not stage.proxy.waiting())
        stage.gateway.end()
        said = client.chat("smart")
        assert (said["status"], said["error"]["provider_specific_fields"]["code"]) == (503, "rules.unavailable")
        assert stage.serves(client, "own") == CHEAP
