"""CloudEvents as their own SDK writes them, and as OpenMeter's API lists them."""

from __future__ import annotations

import json
from typing import Any

from finops.connectors.cloudevents.parse import REQUIRED, SINGLE_TYPE, from_headers, is_binary, parse
from finops.connectors.openmeter.events import cut
from finops.runtime.places import CHECKOUT
from tests.clients.running import run
from tests.clients.typed.table import CLOUDEVENT
from tests.environments import installed
from tests.factories.metered import body, event, meters

ATTRIBUTES = {
    "specversion": "1.0",
    "id": "req_01Example",
    "source": "gateway/eu-1",
    "type": "llm.request",
    "subject": "team-search",
    "time": "2026-11-20T10:15:00.250000+00:00",
    "datacontenttype": "application/json",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
}
# The whole prompt and what of it was cached, text as OpenMeter's examples have it.
DATA = {
    "provider": "anthropic", "model": "claude-opus-5-5", "input_tokens": "12012", "cached_tokens": 9_000,
    "output_tokens": "503", "reasoning_tokens": 120,
}  # fmt: skip
COUNTED = {
    "input_uncached": 3_012, "cache_read": 9_000, "output_text": 383, "output_reasoning": 120, "requests": 1,
}  # fmt: skip


def written() -> dict[str, Any]:
    python = str(installed("clients") / "bin" / "python")
    script = str(CHECKOUT / "tests" / "clients" / "events.py")
    command = [python, script, CLOUDEVENT.module, CLOUDEVENT.name]
    (made,) = json.loads(run(command, {}, json.dumps([{"attributes": ATTRIBUTES, "data": DATA}])))
    return dict(made)


def test_an_event_of_the_sdk_is_read_however_it_is_sent() -> None:
    said = written()
    assert said["type"] == SINGLE_TYPE
    assert set(REQUIRED) <= set(json.loads(said["structured"]))
    whole = event(parse(said["structured"].encode()))
    assert meters(whole) == COUNTED
    assert (whole.external_id, whole.model) == ("gateway/eu-1#req_01Example", "claude-opus-5-5")
    assert whole.identities == (("provider_user", "team-search"),)
    assert is_binary(said["headers"])
    assert event(parse(from_headers(said["headers"], said["body"].encode()))) == whole
    # OpenMeter lists what it took as it was sent.
    (row,) = cut(body({"items": [{"event": json.loads(said["structured"])}]})).rows
    assert event(parse(row)) == whole
