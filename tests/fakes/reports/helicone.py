"""Helicone's query API, and the store it keeps long answers in, which is asked without its key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar

from tests.fakes.http import Asked
from tests.fakes.reporting import Reporting, Truth

_SIGNED = {"X-Amz-Signature": "5ig/n+d=", "X-Amz-Expires": "1800"}
_KNOWN = {"filter", "isCached", "includeInputs", "offset", "limit", "sort"}


class HeliconeReports(Reporting):
    """A call every twenty minutes and two hundred in the last hour; one of ten is kept apart, one of fifteen failed."""

    account: ClassVar[str] = "helicone"
    settings: ClassVar[Mapping[str, str]] = {}

    def make(self) -> None:
        begin = self.until - timedelta(days=self.days)
        times = [begin + timedelta(minutes=20 * number) for number in range(self.days * 72)]
        times += [self.until - timedelta(hours=1) + timedelta(seconds=15 * number + 7) for number in range(200)]
        self.calls = [_call(number, at) for number, at in enumerate(sorted(times))]

    def is_let_in(self, asked: Asked) -> bool:
        if asked.path.startswith("/store/"):
            return "authorization" not in asked.headers and asked.query == _SIGNED
        return asked.headers.get("authorization") == f"Bearer {self.credential}"

    def page(self, asked: Asked) -> tuple[int, Any]:
        if asked.method == "GET" and asked.path.startswith("/store/"):
            call = next(one for one in self.calls if asked.path == f"/store/{one['request_id']}")
            return 200, {"request": {"messages": ["a question"]}, "response": call["answer"]}
        if (asked.method, asked.path) != ("POST", "/v1/request/query-clickhouse"):
            return 404, {"error": "not found"}
        body = asked.body if isinstance(asked.body, dict) else {}
        offset, limit = body.get("offset"), body.get("limit")
        if body.keys() - _KNOWN or body.get("sort") != {"created_at": "asc"} or body.get("isCached") is not False:
            return 400, {"data": None, "error": "Invalid request"}
        if type(offset) is not int or type(limit) is not int or not 0 < limit <= 1000:
            return 500, {"data": None, "error": "invalid limit"}
        try:
            inside = [one for one in self.calls if _is_in(body["filter"], one["request_created_at"])]
        except (KeyError, TypeError, ValueError):
            return 400, {"data": None, "error": "Invalid filter"}
        return 200, {"data": [self._row(one) for one in inside[offset : offset + limit]], "error": None}

    def _row(self, call: Mapping[str, Any]) -> dict[str, Any]:
        """Of a long answer the row has none, and where it is."""
        signature = "X-Amz-Signature=5ig%2Fn%2Bd%3D&X-Amz-Expires=1800"
        row = {name: value for name, value in call.items() if name not in ("answer", "is_long")}
        if call["is_long"]:
            return row | {"signed_body_url": f"{self.address}/store/{call['request_id']}?{signature}"}
        return row | {"response_body": call["answer"], "signed_body_url": None}

    def truth(self, feed: str) -> Truth:
        used = [one for one in self.calls if one["response_status"] == 200]
        counts: Counter[str] = Counter(requests=len(used))
        for one in used:
            usage = one["answer"]["usage"]
            counts["input_uncached"] += usage["input_tokens"]
            counts["cache_read"] += usage["cache_read_input_tokens"]
            counts["output_text"] += usage["output_tokens"]
        return Truth(len(used), dict(counts), {})

    def revise(self) -> None:
        """Helicone's calls do not change; a run of its own over them may change an answer all the same."""
        last = [one for one in self.calls if one["response_status"] == 200][-1]
        last["answer"]["usage"]["output_tokens"] += 900


def _is_in(asked: Any, at: str) -> bool:
    if asked == "all":
        return True
    bounds = [asked[side]["request_response_rmt"]["request_created_at"] for side in ("left", "right")]
    if asked["operator"] != "and" or [list(one) for one in bounds] != [["gte"], ["lt"]]:
        raise ValueError
    since, until = (datetime.fromisoformat(one) for bound in bounds for one in bound.values())
    return since <= datetime.fromisoformat(at) < until


def _call(number: int, at: datetime) -> dict[str, Any]:
    failed = number % 15 == 14
    answer: dict[str, Any] = {
        "id": f"msg_{number:05d}",
        "type": "message",
        "role": "assistant",
        "model": "claude-opus-5-5",
        "content": [{"type": "text", "text": "an answer"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 12 + number,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 9_000,
            "output_tokens": 503 + number,
            "service_tier": "standard",
        },
    }
    text = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        "response_id": f"r-{number}",
        "response_created_at": text,
        "response_status": 500 if failed else 200,
        "request_id": f"00000000-0000-4000-8000-{number:012d}",
        "request_body": {"messages": ["a question"]},
        "request_created_at": text,
        "request_user_id": ("ann@acme.example", "u-7")[number % 2],
        "request_properties": {"Helicone-Session-Id": "session-1", "Environment": "prod"},
        "provider": "ANTHROPIC",
        "request_model": "claude-opus-5-5",
        "prompt_tokens": 12,
        "completion_tokens": 503,
        "cost": 0.0125,
        "answer": {"error": {"message": "overloaded"}} if failed else answer,
        "is_long": number % 10 == 3,
    }
