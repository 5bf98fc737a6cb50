from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from finops.runtime.postgres import Place, Postgres
from tests.faults.gateway.running import Gateways


@pytest.fixture
def gateways(empty_data: Path) -> Iterator[Gateways]:
    server = Postgres(Place.below(empty_data))
    server.start()
    running = Gateways(empty_data, server)
    yield running
    running.close()
    server.stop()
