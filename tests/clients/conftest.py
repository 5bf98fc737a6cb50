from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.serving import Served, served
from tests.fakes.upstream import Plan, Script

# Cached input and reasoning, that a charge may get wrong; a tool is called by whoever offers one.
PLAN = Plan(input_tokens=100, cached_tokens=20, output_tokens=12, reasoning_tokens=2, calls_tool=True)


@pytest.fixture
def gateway(transactional_db: None) -> Iterator[Served]:
    # Its path is short enough for sockets.
    with tempfile.TemporaryDirectory(prefix="capstan-") as folder, served(Path(folder), Script(usual=PLAN)) as running:
        yield running
