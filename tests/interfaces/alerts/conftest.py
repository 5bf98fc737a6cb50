"""Alerts over REST."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from finops.alerts.models import Incident
from finops.alerts.services.signals import take_signals
from finops.orgs.models import User
from tests.factories.alerts import signal
from tests.factories.orgs import NOON, Cast, member
from tests.fakes.sinks import WebSink, web_sink
from tests.interfaces.conftest import Api


@pytest.fixture
def bob(cast: Cast, login: Callable[[User], Api]) -> Api:
    """An engineer of Search."""
    return login(cast.bob_login)


@pytest.fixture
def viewer(cast: Cast, login: Callable[[User], Api]) -> Api:
    vera = member(cast.acme, "Vera", "viewer").user
    assert vera is not None
    return login(vera)


@pytest.fixture
def web(settings: Any) -> Iterator[WebSink]:
    settings.ALERTS_LOOPBACK = True
    with web_sink() as sink:
        yield sink


@pytest.fixture
def tripped(cast: Cast) -> Callable[..., int]:
    """An incident of acme, as a signal makes it."""

    def made(kind: str = "breaker.tripped", key: str = "session:8f3a", **details: Any) -> int:
        signal(cast.acme.id, kind, key, at=NOON, **details)
        take_signals(at=NOON)
        return Incident.objects.latest("id").id

    return made
