"""Langfuse's observations, after the types of its SDK: the newer endpoint with cursors and groups of fields, the older
one with page numbers.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar

from tests.fakes.http import Asked
from tests.fakes.reporting import Reporting, Truth

_PAGE = 5
_NEWER, _OLDER = "/api/public/v2/observations", "/api/public/observations"
_CALLS = ("GENERATION", "EMBEDDING")
_GROUPS: Mapping[str, tuple[str, ...]] = {
    "core": ("id", "traceId", "startTime", "endTime", "projectId", "parentObservationId", "type"),
    "basic": ("name", "level", "environment", "userId", "sessionId"),
    "io": ("input", "output"),
    "metadata": ("metadata",),
    "model": ("model", "internalModelId", "modelId"),
    "usage": ("usageDetails", "costDetails", "totalCost"),
    "trace_context": ("tags", "release", "traceName"),
}


class LangfuseReports(Reporting):
    """An observation every twenty minutes: generations, embeddings, and spans, which repeat what is below them."""

    account: ClassVar[str] = "langfuse"
    twins: ClassVar[Mapping[str, str]] = {"langfuse-observations": "langfuse-observations-older"}
    settings: ClassVar[Mapping[str, str]] = {}

    def make(self) -> None:
        self.credential = "pk-lf-public:sk-lf-secret-of-the-tests"
        begin = self.until - timedelta(days=self.days)
        self.observations = [
            _observation(number, begin + timedelta(minutes=20 * number)) for number in range(self.days * 72)
        ]

    def is_let_in(self, asked: Asked) -> bool:
        basic = base64.b64encode(self.credential.encode()).decode()
        return asked.headers.get("authorization") == f"Basic {basic}"

    def page(self, asked: Asked) -> tuple[int, Any]:
        if asked.method == "GET" and asked.path == "/api/public/projects":
            return 200, {"data": [{"id": "project-1", "name": "checkout"}]}
        if asked.method != "GET" or asked.path not in (_NEWER, _OLDER):
            return 404, {"message": "Not found"}
        query, newer = asked.query, asked.path == _NEWER
        known = {"type", "fromStartTime", "toStartTime", "limit"}
        known |= {"fields", "expandMetadata", "cursor"} if newer else {"page"}
        groups = query.get("fields", "core,basic").split(",")
        most = 1_000 if newer else 100
        try:
            since, until = (datetime.fromisoformat(query[name]) for name in ("fromStartTime", "toStartTime"))
            size = int(query["limit"])
        except (KeyError, ValueError):
            return 400, {"message": "Invalid request data"}
        if not query.keys() <= known or not set(groups) <= _GROUPS.keys() or not 1 <= size <= most:
            return 400, {"message": "Invalid request data"}
        inside = [
            one
            for one in self.observations
            if one["type"] == query.get("type", one["type"]) and since <= _at(one) < until
        ]
        if not newer:
            return self._numbered(inside, query.get("page", "1"))
        try:
            place = int(base64.b64decode(query.get("cursor", "MA==")))
        except ValueError:
            return 400, {"message": "Invalid cursor"}
        names = {name for group in ("core", *groups) for name in _GROUPS[group]}
        rows = [{name: one[name] for name in one if name in names} for one in inside[place : place + _PAGE]]
        more = place + _PAGE < len(inside)
        cursor = base64.b64encode(str(place + _PAGE).encode()).decode()
        return 200, {"data": rows, "meta": {"cursor": cursor} if more else {}}

    def _numbered(self, inside: list[dict[str, Any]], page: str) -> tuple[int, Any]:
        if not page.isdecimal() or int(page) < 1:
            return 400, {"message": "Invalid request data"}
        number, pages = int(page), -(-len(inside) // _PAGE)
        rows = inside[(number - 1) * _PAGE : number * _PAGE]
        meta = {"page": number, "limit": _PAGE, "totalItems": len(inside), "totalPages": pages}
        return 200, {"data": rows, "meta": meta}

    def truth(self, feed: str) -> Truth:
        calls = [one for one in self.observations if one["type"] in _CALLS]
        counts: Counter[str] = Counter(requests=len(calls))
        for one in calls:
            used = one["usageDetails"]
            counts["input_uncached"] += used["input"]
            counts["cache_read"] += used["input_cached_tokens"]
            counts["output_text"] += used["output"]
        return Truth(len(calls), dict(counts), {})

    def revise(self) -> None:
        """Its trace went on, and it was written to once more."""
        last = [one for one in self.observations if one["type"] == "GENERATION"][-1]
        last["usageDetails"] = {
            **last["usageDetails"],
            "output": last["usageDetails"]["output"] + 900,
            "total": last["usageDetails"]["total"] + 900,
        }


def _at(one: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(one["startTime"])


def _observation(number: int, at: datetime) -> dict[str, Any]:
    used = {"input": 80 + number, "input_cached_tokens": 17_000 + number, "output": 500 + number}
    return {
        "id": f"obs-{number:05d}",
        "traceId": f"trace-{number // 3}",
        "startTime": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "endTime": (at + timedelta(seconds=2)).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "projectId": "project-1",
        "parentObservationId": None,
        "type": ("GENERATION", "GENERATION", "SPAN", "EMBEDDING", "GENERATION")[number % 5],
        "name": "answer",
        "level": "DEFAULT",
        "environment": "production",
        "userId": ("ann@acme.example", "u-7")[number % 2],
        "sessionId": f"session-{number // 9}",
        "input": "a question",
        "output": "an answer",
        "metadata": {"attributes": {}, "note": "a note"},
        "model": "claude-opus-5-5",
        "internalModelId": None,
        "modelId": None,
        "usageDetails": {**used, "total": sum(used.values())},
        "costDetails": {"total": 0.1},
        "totalCost": 0.1,
        "tags": ["team:search"],
        "release": None,
        "traceName": "checkout",
    }
