"""What a connector read, for tests to look at."""

from __future__ import annotations

import json
from typing import Any

from finops.connectors.types import Problem, Received, UsageEvent
from finops.core.tokens import METER_INDEX


def event(found: Received) -> UsageEvent:
    assert found.event is not None, found.problem
    assert found.problem is None
    assert found.external_id == found.event.external_id
    return found.event


def wrong(found: Received) -> Problem:
    assert found.problem is not None, found.event
    return found.problem


def meters(found: UsageEvent) -> dict[str, int]:
    """The meters that were used."""
    return {name: found.counts[place] for name, place in METER_INDEX.items() if found.counts[place]}


def body(value: Any) -> bytes:
    return json.dumps(value).encode()
