"""Cursor's Admin API: `POST /teams/filtered-usage-events` and the members, after its documentation."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any, ClassVar

from tests.fakes.http import Asked
from tests.fakes.reporting import Reporting, Truth

_PAGE = 4
_DAY_MS = 86_400_000
_LONGEST_MS = 30 * _DAY_MS
_PEOPLE = ("ann@acme.example", "bob@acme.example", "cy@acme.example")
_METERS = {
    "inputTokens": "input_uncached",
    "outputTokens": "output_text",
    "cacheWriteTokens": "cache_write_5m",
    "cacheReadTokens": "cache_read",
}


class CursorReports(Reporting):
    """An event every forty minutes, the first on the very beginning of its day; every ninth is told twice over."""

    account: ClassVar[str] = "cursor"
    owing: ClassVar[tuple[str, ...]] = ("cursor-events",)
    settings: ClassVar[Mapping[str, str]] = {}

    def make(self) -> None:
        begin = self.until - timedelta(days=self.days)
        self.events: list[dict[str, Any]] = []
        for number in range(self.days * 36):
            at = begin + timedelta(minutes=40 * number)
            event = _event(number, int(at.timestamp() * 1000))
            self.events += [event, event] if number % 9 == 4 else [event]

    def is_let_in(self, asked: Asked) -> bool:
        basic = base64.b64encode(f"{self.credential}:".encode()).decode()
        return asked.headers.get("authorization") == f"Basic {basic}"

    def page(self, asked: Asked) -> tuple[int, Any]:
        if (asked.method, asked.path) == ("GET", "/teams/members"):
            return 200, {"teamMembers": [{"name": one, "email": one, "role": "member"} for one in _PEOPLE]}
        if (asked.method, asked.path) != ("POST", "/teams/filtered-usage-events"):
            return 404, {"error": "not found"}
        body: dict[str, Any] = asked.body if isinstance(asked.body, dict) else {}
        values = [body.get(name) for name in ("startDate", "endDate", "page", "pageSize")]
        since, until, number, size = (value if type(value) is int else -1 for value in values)
        if -1 in (since, until, number, size):
            return 400, {"error": "startDate, endDate, page and pageSize are numbers"}
        if not 0 < until - since <= _LONGEST_MS or number < 1 or not 1 <= size <= 1000:
            return 400, {"error": "no such range or page"}
        # Both ends are in it, which is the worse case: it is not documented.
        inside = [event for event in self.events if since <= int(event["timestamp"]) <= until]
        pages = max(1, -(-len(inside) // _PAGE))
        return 200, {
            "totalUsageEventsCount": len(inside),
            "pagination": {
                "numPages": pages,
                "currentPage": number,
                "pageSize": _PAGE,
                "hasNextPage": number < pages,
                "hasPreviousPage": number > 1,
            },
            "usageEvents": inside[(number - 1) * _PAGE : number * _PAGE],
            "period": {"startDate": since, "endDate": until},
        }

    def truth(self, feed: str) -> Truth:
        counts = {"requests": len(self.events)}
        for name, meter in _METERS.items():
            counts[meter] = sum(event["tokenUsage"][name] for event in self.events)
        cents = sum(Decimal(str(event["chargedCents"])) for event in self.events if event["kind"] == "Usage-based")
        return Truth(len(self.events), counts, {"USD": int(cents * 10**10)})

    def revise(self) -> None:
        last = self.events[-1]
        self.events[-1] = {**last, "kind": "Usage-based", "chargedCents": last["chargedCents"] + 94.25}


def _event(number: int, at: int) -> dict[str, Any]:
    """The shape of the reference's example. What a seat includes has a value and costs nothing."""
    cents = 5 + number * 0.25
    return {
        "timestamp": str(at),
        "userEmail": _PEOPLE[number % 3],
        "model": ("claude-opus-5-5", "gpt-5.2")[number % 2],
        "kind": "Included in Business" if number % 5 == 3 else "Usage-based",
        "maxMode": number % 2 == 0,
        "requestsCosts": 5,
        "isTokenBasedCall": True,
        "isChargeable": number % 5 != 3,
        "isHeadless": False,
        "tokenUsage": {
            "inputTokens": 100 + number,
            "outputTokens": 400 + number,
            "cacheWriteTokens": 6000 + number,
            "cacheReadTokens": 11000 + number,
            "totalCents": cents - 1.0,
            "discountPercentOff": 0,
        },
        "chargedCents": cents,
        "cursorTokenFee": 1.0,
        "isFreeBugbot": False,
    }
