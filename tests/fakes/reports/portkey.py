"""Portkey's log exports: jobs that are made, started, asked after and downloaded, from a store without its key."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar

from tests.fakes.http import Asked
from tests.fakes.reporting import Reporting, Truth

_ROOT = "/v1/logs/exports"
_COLUMNS = {
    *("id", "trace_id", "created_at", "request", "response", "is_success", "ai_org", "ai_model", "req_units"),
    *("res_units", "total_units", "request_url", "cost", "cost_currency", "response_time", "response_status_code"),
    *("mode", "config", "prompt_slug", "metadata"),
}
_SIGNED = {"X-Amz-Signature": "5ig/n+d="}


class PortkeyReports(Reporting):
    """A call every ten minutes, the first on the very beginning of its day; an export is ready when it was asked after
    `pauses` times.
    """

    account: ClassVar[str] = "portkey"
    settings: ClassVar[Mapping[str, str]] = {"workspace": "ws-acme-1"}
    pauses = 0
    says_totals = True

    def make(self) -> None:
        begin = self.until - timedelta(days=self.days)
        self.calls = [_call(number, begin + timedelta(minutes=10 * number)) for number in range(self.days * 144)]
        self.exports: dict[str, dict[str, Any]] = {}

    def is_let_in(self, asked: Asked) -> bool:
        if asked.path.startswith("/store/"):
            return "x-portkey-api-key" not in asked.headers and asked.query == _SIGNED
        return asked.headers.get("x-portkey-api-key") == self.credential

    def page(self, asked: Asked) -> tuple[int, Any]:
        if asked.method == "GET" and asked.path.startswith("/store/"):
            return 200, self._file(self.exports[asked.path.removeprefix("/store/")])
        if asked.path == _ROOT:
            return self._created(asked.body) if asked.method == "POST" else (200, {"object": "list", "data": []})
        name, _, verb = asked.path.removeprefix(_ROOT + "/").partition("/")
        export = self.exports.get(name)
        if export is None:
            return 404, {"message": "no such export"}
        if (asked.method, verb) == ("POST", "start"):
            export |= {"status": "in_progress", "left": self.pauses}
            return 200, {"message": "started", "object": "export"}
        if (asked.method, verb) == ("GET", ""):
            if export["status"] == "in_progress" and not export["left"]:
                export["status"] = "success"
            export["left"] -= 1
            return 200, {name: export[name] for name in ("id", "status", "filters", "requested_data")}
        if (asked.method, verb) == ("GET", "download") and export["status"] == "success":
            return 200, {"signed_url": f"{self.address}/store/{name}?X-Amz-Signature=5ig%2Fn%2Bd%3D"}
        return 400, {"message": "not now"}

    def _created(self, body: Any) -> tuple[int, Any]:
        try:
            filters, columns = body["filters"], body["requested_data"]
            since, until = (filters[f"time_of_generation_{one}"] for one in ("min", "max"))
            inside = self._inside(since, until)
        except (KeyError, TypeError, ValueError):
            return 400, {"message": "filters and requested_data are required"}
        if not set(columns) <= _COLUMNS or body.get("workspace_id") != "ws-acme-1":
            return 400, {"message": "no such column or workspace"}
        name = f"00000000-0000-4000-8000-{len(self.exports):012d}"
        self.exports[name] = {
            "id": name,
            "status": "draft",
            "filters": filters,
            "requested_data": columns,
            "left": 0,
        }
        return 200, {"id": name, "object": "export"} | ({"total": len(inside)} if self.says_totals else {})

    def _inside(self, since: str, until: str) -> list[dict[str, Any]]:
        """Both ends are in it, which is the worse case: it is not documented."""
        begin, end = datetime.fromisoformat(since), datetime.fromisoformat(until)
        return [one for one in self.calls if begin <= datetime.fromisoformat(one["created_at"]) <= end]

    def _file(self, export: Mapping[str, Any]) -> bytes:
        filters, names = export["filters"], export["requested_data"]
        inside = self._inside(filters["time_of_generation_min"], filters["time_of_generation_max"])
        return b"".join(json.dumps({name: one[name] for name in names}).encode() + b"\n" for one in inside)

    def truth(self, feed: str) -> Truth:
        counts: Counter[str] = Counter(requests=len(self.calls))
        for one in self.calls:
            usage = one["response"]["usage"]
            counts["input_uncached"] += usage["prompt_tokens"] - 1_000
            counts["cache_read"] += 1_000
            counts["output_text"] += usage["completion_tokens"]
        return Truth(len(self.calls), dict(counts), {})

    def revise(self) -> None:
        """Portkey's logs do not change; its own mending may change one all the same."""
        usage = self.calls[-1]["response"]["usage"]
        usage["completion_tokens"] += 900
        usage["total_tokens"] += 900


def _call(number: int, at: datetime) -> dict[str, Any]:
    usage = {
        "prompt_tokens": 5_000 + number,
        "completion_tokens": 300 + number,
        "total_tokens": 5_300 + 2 * number,
        "prompt_tokens_details": {"cached_tokens": 1_000},
    }
    message = {"role": "assistant", "content": "an answer"}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    return {
        "id": f"log-{number:05d}",
        "trace_id": f"trace-{number // 4}",
        "created_at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "request": {"body": {"messages": ["a question"]}},
        "response": {
            "id": f"msg_{number:05d}",
            "object": "chat.completion",
            "created": int(at.timestamp()),
            "model": "gpt-5.2",
            "choices": [choice],
            "usage": usage,
        },
        "is_success": 1,
        "ai_org": "openai",
        "ai_model": "gpt-5.2",
        "req_units": 5_000,
        "res_units": 300,
        "total_units": 5_300,
        "request_url": "https://api.openai.com/v1/chat/completions",
        "cost": 12.5,
        "cost_currency": "USD",
        "response_time": 2_400,
        "response_status_code": 200,
        "mode": "single",
        "config": "pc-main-1",
        "prompt_slug": None,
        "metadata": {"_user": ("ann@acme.example", "u-7")[number % 2], "Team": "search"},
    }
