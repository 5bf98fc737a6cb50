"""A LiteLLM proxy's log of spend and its directory, after version 1.106: what it takes, what it answers, its pages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from tests.factories.litellm import row
from tests.fakes.http import Asked
from tests.fakes.reporting import Reporting, Truth

_PAGE = 4
_FORMATS = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d")
_EMAILS = {"u-1": "ann@acme.example", "u-2": "bob@acme.example", "u-21": "cy@acme.example"}
_WINDOW = ("start_date", "end_date", "sort_by", "sort_order", "page", "page_size")


class LiteLLMReports(Reporting):
    """A call every ten minutes, and one in the last second of each hour; each eighth failed and used nothing."""

    account: ClassVar[str] = "litellm"
    settings: ClassVar[Mapping[str, str]] = {}

    def make(self) -> None:
        begin = self.until - timedelta(days=self.days)
        self.rows: list[dict[str, Any]] = []
        for number in range(self.days * 144):
            self.rows.append(_call(number, begin + timedelta(minutes=10 * number), "success"))
            if number % 6 == 5:
                late = begin + timedelta(minutes=10 * number + 9, seconds=59, milliseconds=700)
                self.rows.append(_call(10_000 + number, late, "failure" if number % 24 == 23 else "success"))

    def is_let_in(self, asked: Asked) -> bool:
        return asked.headers.get("authorization") == f"Bearer {self.credential}"

    def page(self, asked: Asked) -> tuple[int, Any]:
        if asked.method == "GET" and asked.path == "/user/list":
            return self._users(asked.query)
        if asked.method != "GET" or asked.path != "/spend/logs/v2":
            return 404, {"detail": "Not Found"}
        query = asked.query
        since, until = (_time(query.get(name, "")) for name in ("start_date", "end_date"))
        number, size = _number(query, "page", 10**6), _number(query, "page_size", 1000)
        if since is None or until is None or set(query) != set(_WINDOW) or not number or not size:
            return 400, {"error": {"message": "Start date and end date are required", "code": "400"}}
        if (query["sort_by"], query["sort_order"]) != ("startTime", "asc"):
            return 400, {"error": {"message": "no such order", "code": "400"}}
        inside = [one for one in self.rows if since <= datetime.fromisoformat(one["startTime"]) <= until]
        size = min(size, _PAGE)
        return 200, {
            "data": inside[(number - 1) * size : number * size],
            "total": len(inside),
            "page": number,
            "page_size": size,
            "total_pages": -(-len(inside) // size),
            "total_is_capped": False,
        }

    def _users(self, query: Mapping[str, str]) -> tuple[int, Any]:
        """Of one id all users that have it in theirs; of several these."""
        number, size = _number(query, "page", 10**6), _number(query, "page_size", 100)
        if not number or not size:
            return 422, {"detail": "page and page_size"}
        asked = [one for one in query.get("user_ids", "").split(",") if one]
        found = [one for one in _EMAILS if not asked or one in asked or (len(asked) == 1 and asked[0] in one)]
        size = min(size, 2)
        return 200, {
            "users": [
                {"user_id": one, "user_email": _EMAILS[one], "user_role": "internal_user", "key_count": 1}
                for one in found[(number - 1) * size : number * size]
            ],
            "total": len(found),
            "page": number,
            "page_size": size,
            "total_pages": -(-len(found) // size),
        }

    def truth(self, feed: str) -> Truth:
        used = [one for one in self.rows if one["status"] == "success"]
        counts: Counter[str] = Counter()
        for one in used:
            usage = one["metadata"]["usage_object"]
            read, thought = usage["cache_read_input_tokens"], usage["completion_tokens_details"]["reasoning_tokens"]
            counts["cache_read"] += read
            counts["input_uncached"] += usage["prompt_tokens"] - read
            counts["output_reasoning"] += thought
            counts["output_text"] += usage["completion_tokens"] - thought
            counts["requests"] += 1
        return Truth(len(used), dict(counts), {})

    def revise(self) -> None:
        """LiteLLM's log does not change; an operator may change its table all the same."""
        last = max((one for one in self.rows if one["status"] == "success"), key=lambda one: str(one["startTime"]))
        usage = last["metadata"]["usage_object"]
        usage["completion_tokens"] += 1_000
        usage["total_tokens"] += 1_000


def _call(number: int, at: datetime, status: str) -> dict[str, Any]:
    usage = {
        "prompt_tokens": 5_000 + number,
        "completion_tokens": 300 + number,
        "total_tokens": 5_300 + 2 * number,
        "completion_tokens_details": {"reasoning_tokens": 20},
        "prompt_tokens_details": {"cached_tokens": 1_000},
        "cache_read_input_tokens": 1_000,
    }
    user = (*_EMAILS, "u-nobody")[number % 4]
    made = row(
        usage if status == "success" else {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
        request_id=f"msg_{number:06d}",
        litellm_call_id=f"call-{number:06d}",
        startTime=at.isoformat(timespec="milliseconds"),
        endTime=(at + timedelta(seconds=2)).isoformat(timespec="milliseconds"),
        user=user,
        status=status,
        metadata={"litellm_call_id": f"call-{number:06d}", "status": status, "user_api_key_user_id": user},
    )
    return made if status == "success" else {**made, "spend": 0.0}


def _time(text: str) -> datetime | None:
    for form in _FORMATS:
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    return None


def _number(query: Mapping[str, str], name: str, most: int) -> int:
    said = query.get(name, "")
    return int(said) if said.isdecimal() and 1 <= int(said) <= most else 0
