from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from tests.factories.gateway import Gateway, key, published
from tests.factories.ledger import small_book
from tests.factories.orgs import Cast, the_cast
from tests.fakes.upstream.running import Upstream, upstream

Opens = Callable[..., Gateway]


@pytest.fixture
def now() -> datetime:
    return timezone.now()


@pytest.fixture
def cast(transactional_db: None) -> Cast:
    small_book()
    return the_cast()


@pytest.fixture
def secret(cast: Cast, now: datetime) -> str:
    """The key of acme's proxy."""
    return key(cast.acme.id, at=now)


@pytest.fixture
def gateways(tmp_path: Path) -> Iterator[Opens]:
    """Gateway processes of one host, over what is published when they start."""
    running: list[Gateway] = []

    def opens(**given: Any) -> Gateway:
        published()
        running.append(Gateway(tmp_path, **given))
        return running[-1]

    yield opens
    for gateway in running:
        if not gateway.loop.is_closed():
            gateway.stop()


@pytest.fixture(autouse=True)
def _upstreams_here(settings: Any) -> None:
    settings.INTERNAL_HOSTS = {"127.0.0.1"}


@pytest.fixture
def provider() -> Iterator[Upstream]:
    """Speaks both families' APIs."""
    with upstream() as running:
        yield running


@pytest.fixture
def standby() -> Iterator[Upstream]:
    with upstream() as running:
        yield running
