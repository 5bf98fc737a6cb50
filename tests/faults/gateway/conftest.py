from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from finops.runtime.postgres import Place, Postgres
from tests.faults.gateway.relaying import Providers
from tests.faults.gateway.running import Gateways
from tests.faults.gateway.streaming import Provider


@pytest.fixture
def gateways(made_data: Path) -> Iterator[Gateways]:
    server = Postgres(Place.below(made_data))
    server.start()
    running = Gateways(made_data, server)
    yield running
    running.close()
    server.stop()


@pytest.fixture
def providers() -> Iterator[Providers]:
    running: list[Provider] = []

    def starts(**usual: Any) -> Provider:
        running.append(Provider({"bills_cancelled": "whole", "usual": {"between_s": 0.004} | usual}))
        return running[-1]

    yield starts
    for provider in running:
        provider.close()
