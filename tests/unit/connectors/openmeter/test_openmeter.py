"""Events as OpenMeter lists them; what is in them, CloudEvents' own tests look at."""

from __future__ import annotations

import json
from typing import Any

import pytest

from finops.connectors.openmeter.events import PARSER, cut, parse
from finops.connectors.pages import BodyUnreadable
from finops.connectors.registry import reparse
from tests.factories.metered import body, event, meters


def sent(**changes: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": "req_01Example",
        "source": "gateway/eu-1",
        "type": "llm.request",
        "subject": "team-search",
        "time": "2026-11-20T10:15:00Z",
        "data": {"provider": "anthropic", "model": "claude-opus-5-5", "input_tokens": "12012", "output_tokens": "503"},
    } | changes


def item(**changes: Any) -> dict[str, Any]:
    return {"event": sent(**changes), "ingestedAt": "2026-11-20T10:15:01Z", "storedAt": "2026-11-20T10:15:02Z"}


def test_a_list_and_a_page_with_its_cursor() -> None:
    listed = cut(body([item(), item(id="req_02")]))
    paged = cut(body({"items": [item(), item(id="req_02")], "nextCursor": "abc"}))
    assert (listed.rows, listed.next) == (paged.rows, "")
    assert paged.next == "abc"
    found = event(parse(paged.rows[0]))
    assert found.external_id == "gateway/eu-1#req_01Example"
    assert meters(found) == {"input_uncached": 12012, "output_text": 503, "requests": 1}


def test_an_event_told_here_and_sent_to_the_door_is_one_charge() -> None:
    (row,) = cut(body([item()])).rows
    assert parse(row).event == parse(json.dumps(sent()).encode()).event


def test_only_the_types_that_were_asked_for() -> None:
    said = body([item(), item(type="api.request", data={"duration_seconds": "12"})])
    assert len(cut(said, types={"llm.request"}).rows) == 1
    assert len(cut(said).rows) == 2


def test_what_litellm_itself_sends_to_openmeter_is_an_estimate() -> None:
    """Its event has a sum that is no further count, a cost without a currency, and nothing of what was cached."""
    data = {"model": "claude-opus-5-5", "cost": 0.0125, "prompt_tokens": 12012, "completion_tokens": 503,
            "total_tokens": 12515}  # fmt: skip
    (row,) = cut(body([item(type="litellm_tokens", source="litellm-proxy", data=data)])).rows
    found = event(parse(row))
    assert meters(found) == {"input_uncached": 12012, "output_text": 503, "requests": 1}
    assert found.evidence == "estimated"
    assert found.cost is None
    assert ("stated_cost_usd", "0.0125") in found.tags


def test_a_bent_event_is_held_alone() -> None:
    rows = cut(body([item(), None, {"event": 17}, item(data={"model": "x", "input_tokens": -1})])).rows
    assert [parse(row).problem is None for row in rows] == [True, False, False, False]
    for row in rows:
        assert reparse(PARSER, row) == parse(row)


def test_what_is_no_list_is_refused() -> None:
    for text in (b"", b"<html>", b"{}", b'{"items": {}}', b"17"):
        with pytest.raises(BodyUnreadable):
            cut(text)
