"""Model calls of acme's engineers, which a gateway passes on."""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.factories.budgets import budget
from tests.factories.gateway import Gateway, key
from tests.factories.orgs import Cast
from tests.factories.relaying import deployed
from tests.fakes.upstream.running import Upstream
from tests.rooms.gateway.conftest import Opens


@pytest.fixture
def secret(cast: Cast, now: datetime) -> str:
    """The key of an engineer of acme."""
    return key(cast.acme.id, "calls.make", at=now)


@pytest.fixture
def gateway(cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime) -> Gateway:
    """In front of the provider, and nobody has a budget."""
    deployed(cast.acme.id, provider, at=now)
    return gateways()


@pytest.fixture
def capped(cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime) -> Gateway:
    """In front of the provider, and acme may spend a dollar a month."""
    budget(cast.acme.id, "1", at=now)
    deployed(cast.acme.id, provider, at=now)
    return gateways()


@pytest.fixture
def patient(cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime) -> Gateway:
    """As `capped`, and it reads every answer to its end, whoever has left: the provider bills it so."""
    budget(cast.acme.id, "1", at=now)
    deployed(cast.acme.id, provider, at=now, bills_cancelled=True)
    return gateways()


@pytest.fixture
def two(cast: Cast, secret: str, gateways: Opens, provider: Upstream, standby: Upstream, now: datetime) -> Gateway:
    """In front of the provider, and of a standby behind it."""
    deployed(cast.acme.id, provider, at=now, name="first")
    deployed(cast.acme.id, standby, at=now, name="standby", rank=1)
    return gateways()
