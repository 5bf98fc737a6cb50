"""OpenAI's Admin API as its SDK has it: reports of usage and of costs of one organization, of the same requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final

from tests.fakes.http import Asked
from tests.fakes.reporting import Reporting, Truth
from tests.fakes.reports.shared import (
    DAY,
    HOUR,
    Wrong,
    added,
    at_most,
    buckets,
    grouped,
    known,
    midnight,
    needed,
    paged,
    several,
)

_ROOT: Final = "/v1/organization/"
# However many are asked for, a page has no more.
_HOURS, _DAYS = 16, 2
_WHO: Final = ("project_id", "user_id", "api_key_id")
# What each report may be grouped by.
_GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "completions": (*_WHO, "model", "batch", "service_tier", "api_source"),
    "decisions": (*_WHO, "model", "batch", "service_tier", "api_source"),
    "embeddings": (*_WHO, "model"),
    "moderations": (*_WHO, "model"),
    "web_search_calls": (*_WHO, "model", "context_level", "api_source"),
    "file_search_calls": (*_WHO, "vector_store_id"),
}
# A result is called by what was searched, not by the calls.
_RESULTS: Final = {"web_search_calls": "web_searches", "file_search_calls": "file_searches"}
_COST_GROUPS: Final = ("project_id", "user_id", "line_item", "api_key_id", "api_source")
# Groups as this account's feeds ask for them.
_ASKED: Final = frozenset({*_WHO, "model", "batch", "service_tier", "context_level", "vector_store_id"})
_ASKED_COSTS: Final = ("project_id", "line_item", "api_key_id")
# Of a kind of tokens: what it is here, how a line item calls it, and the meter that counts it.
_TOKENS: Final = (
    ("fresh", "input", "input_uncached"),
    ("read", "cached input", "cache_read"),
    ("written", "cache writes", "cache_write_5m"),
    ("heard", "audio, input", "input_audio"),
    ("out", "output", "output_text"),
    ("spoken", "audio, output", "output_audio"),
)
# Hundredths of a dollar for a million of each: money is counted in 10^-8 dollars here, so that it is whole.
_PRICES: Final[Mapping[str, tuple[int, ...]]] = {
    "gpt-5.2-2026-01-01": (176, 18, 220, 0, 1400, 0),
    "gpt-5-mini": (26, 4, 32, 0, 200, 0),
    "gpt-audio-2026-02-01": (250, 0, 0, 3200, 1000, 6400),
    "text-embedding-3-large": (14, 0, 0, 0, 0, 0),
    # Costs nothing, and is told all the same.
    "omni-moderation-latest": (0, 0, 0, 0, 0, 0),
}
_SEARCH_PRICE: Final = {"web_search_calls": 10**6, "file_search_calls": 250_000}
_SEARCH_ITEM: Final = {"web_search_calls": "web search tool calls", "file_search_calls": "file search tool calls"}
_OF_DOLLAR: Final = 10**8
_PICO: Final = 10**4


@dataclass(frozen=True, slots=True, kw_only=True)
class Habit:
    """What is done at the same hours every day, by the same key."""

    kind: str
    hours: tuple[int, ...]
    groups: Mapping[str, Any]
    audio: bool = False


def _habit(kind: str, hours: tuple[int, ...], *, audio: bool = False, **groups: Any) -> Habit:
    who: dict[str, Any] = {"project_id": "proj_example", "user_id": None, "api_key_id": "key_example"}
    return Habit(kind=kind, hours=hours, groups=who | groups, audio=audio)


_USUAL: Final[dict[str, Any]] = {"batch": False, "service_tier": "default"}
_HABITS: Final = (
    _habit("completions", (0, 9, 14, 23), user_id="user-example", model="gpt-5.2-2026-01-01", **_USUAL),
    _habit("completions", (9, 11), model="gpt-5-mini", batch=True, service_tier="default"),
    _habit("completions", (9,), model="gpt-5-mini", project_id="proj_other", batch=False, service_tier="priority"),
    _habit("completions", (12,), user_id="user-other", audio=True, model="gpt-audio-2026-02-01", **_USUAL),
    _habit("decisions", (7,), model="gpt-5-mini", **_USUAL),
    _habit("embeddings", (1, 2, 23), model="text-embedding-3-large"),
    _habit("moderations", (9,), model="omni-moderation-latest"),
    _habit("web_search_calls", (9, 14), user_id="user-example", model="gpt-5.2-2026-01-01", context_level="medium"),
    _habit("file_search_calls", (10,), vector_store_id="vs_example"),
)


@dataclass(slots=True)
class Used:
    hour: datetime
    habit: Habit
    requests: int
    tokens: dict[str, int] = field(default_factory=dict)
    searches: int = 0

    def costs(self) -> Iterator[tuple[str, int, int, str | None]]:
        """Line items: what for, 10^-8 dollars, how many, and their unit. A batch costs half."""
        if self.searches:
            kind = self.habit.kind
            yield _SEARCH_ITEM[kind], self.searches * _SEARCH_PRICE[kind], self.searches, None
            return
        groups = self.habit.groups
        half = 2 if groups.get("batch") else 1
        tier = "priority | " if groups.get("service_tier") == "priority" else ""
        for (ours, words, _), price in zip(_TOKENS, _PRICES[groups["model"]], strict=True):
            if self.tokens[ours] and price:
                name = f"{tier}{groups['model']}{' ' if words.startswith('audio') else ', '}{words}"
                yield name, self.tokens[ours] * price // half, self.tokens[ours], "tokens"


def _made_up(since: datetime, days: int) -> Iterator[Used]:
    for day in range(days):
        for place, habit in enumerate(_HABITS):
            for hour in habit.hours:
                seed = 1 + hour + 29 * place + 5 * day
                used = Used(since + day * DAY + hour * HOUR, habit, requests=1 + seed % 7)
                if habit.kind in _SEARCH_PRICE:
                    used.searches = 1 + seed % 4
                else:
                    reads = habit.kind in ("completions", "decisions") and not habit.audio
                    used.tokens = {
                        "fresh": 3_000 + 41 * seed,
                        "read": 2_000 + 13 * seed if reads else 0,
                        "written": 100 * (seed % 3) if reads else 0,
                        "heard": 50 + seed if habit.audio else 0,
                        "out": 400 + 7 * seed if reads or habit.audio else 0,
                        "spoken": 30 + seed if habit.audio else 0,
                    }
                yield used


def _sum(rows: Sequence[Used], name: str) -> int:
    return sum(used.tokens[name] for used in rows)


def _result(kind: str, rows: Sequence[Used]) -> dict[str, Any]:
    """What a row says besides its groups."""
    made: dict[str, Any] = {"object": f"organization.usage.{_RESULTS.get(kind, kind)}.result"}
    requests = sum(used.requests for used in rows)
    if kind in _SEARCH_PRICE:
        searches = sum(used.searches for used in rows)
        return made | {"num_requests": searches} | ({"num_model_requests": requests} if kind[0] == "w" else {})
    fresh, read, written, heard = (_sum(rows, name) for name in ("fresh", "read", "written", "heard"))
    made |= {"input_tokens": fresh + read + written + heard, "num_model_requests": requests}
    if kind in ("embeddings", "moderations"):
        return made
    out, spoken = _sum(rows, "out"), _sum(rows, "spoken")
    return made | {
        "input_uncached_tokens": fresh + heard,
        "input_text_tokens": fresh,
        "input_audio_tokens": heard,
        "input_cached_tokens": read,
        "input_cached_text_tokens": read,
        "input_cache_write_tokens": written,
        "output_tokens": out + spoken,
        "output_text_tokens": out,
        "output_audio_tokens": spoken,
    }


def _counts(kind: str, rows: Sequence[Used]) -> dict[str, int]:
    """The requests that searched are told with their tokens, and are none of the searches'."""
    if kind in _SEARCH_PRICE:
        meter = "web_searches" if kind == "web_search_calls" else "tool_calls"
        return {meter: sum(used.searches for used in rows)}
    requests = sum(used.requests for used in rows)
    return {meter: _sum(rows, ours) for ours, _, meter in _TOKENS} | {"requests": requests}


def _seconds(at: datetime) -> int:
    return int(at.timestamp())


class OpenAIReports(Reporting):
    account: ClassVar[str] = "openai"
    owing: ClassVar[tuple[str, ...]] = ("openai-costs",)

    def make(self) -> None:
        self._all = list(_made_up(midnight(self.until) - self.days * DAY, self.days))

    def is_let_in(self, asked: Asked) -> bool:
        return asked.headers.get("authorization") == f"Bearer {self.credential}"

    def revise(self) -> None:
        last = max((used for used in self._all if used.habit.kind == "completions"), key=lambda used: used.hour)
        last.tokens["out"] += 500

    def page(self, asked: Asked) -> tuple[int, Any]:
        report = asked.path.removeprefix(_ROOT)
        kind = report.removeprefix("usage/")
        if asked.method != "GET" or not asked.path.startswith(_ROOT) or (report != "costs" and kind not in _GROUPS):
            return 404, {"error": {"message": "Not found", "type": "invalid_request_error", "code": None}}
        try:
            known(asked, {"start_time", "end_time", "bucket_width", "limit", "page", "group_by[]"})
            return 200, self._costs_page(asked) if report == "costs" else self._usage_page(kind, asked)
        except Wrong as wrong:
            return 400, {"error": {"message": str(wrong), "type": "invalid_request_error", "code": None}}

    def _usage_page(self, kind: str, asked: Asked) -> Any:
        width = asked.query.get("bucket_width", "1d")
        if width not in ("1h", "1d"):
            raise Wrong("bucket_width: it is 1h or 1d here")
        length, usual, most = (HOUR, 24, 168) if width == "1h" else (DAY, 7, 31)
        size = min(at_most(asked, "limit", usual, most), _HOURS)
        groups = several(asked, "group_by[]", _GROUPS[kind])
        nothing = dict.fromkeys(_GROUPS[kind])

        def results(at: datetime) -> list[Any]:
            found = self._grouped(kind, groups, at, length)
            return [_result(kind, rows) | nothing | dict(zip(groups, said, strict=True)) for said, rows in found]

        return self._page(asked, length, size, results)

    def _costs_page(self, asked: Asked) -> Any:
        if asked.query.get("bucket_width", "1d") != "1d":
            raise Wrong("bucket_width: it is 1d")
        size = min(at_most(asked, "limit", 7, 180), _DAYS)
        groups = several(asked, "group_by[]", _COST_GROUPS)
        if {"user_id", "project_id"} <= {*groups}:
            raise Wrong("group_by[]: user_id and project_id cannot be combined for this organization")
        rows = self._costs(groups)

        def results(at: datetime) -> list[Any]:
            return [row | {"amount": _amount(value)} for day, row, value in rows if day == at]

        return self._page(asked, DAY, size, results)

    def _page(self, asked: Asked, length: timedelta, size: int, results: Callable[[datetime], list[Any]]) -> Any:
        since, until = _instant(asked, "start_time"), self.until
        if "end_time" in asked.query:
            until = _instant(asked, "end_time")
        shown, after = paged(asked, buckets(since, until, length), size)
        return {
            "object": "page",
            "data": [
                {
                    "object": "bucket",
                    "start_time": _seconds(at),
                    "end_time": _seconds(at + length),
                    "results": results(at),
                }
                for at in shown
            ],
            "has_more": after is not None,
            "next_page": after,
        }

    def _grouped(
        self, kind: str, groups: Sequence[str], at: datetime, length: timedelta
    ) -> Iterator[tuple[tuple[Any, ...], list[Used]]]:
        """What was used in a bucket by what it is grouped by."""
        inside = (used for used in self._all if used.habit.kind == kind and at <= used.hour < at + length)
        found = grouped(inside, lambda used: tuple(used.habit.groups.get(name) for name in groups))
        yield from found.items()

    def _costs(self, groups: Sequence[str]) -> list[tuple[datetime, dict[str, Any], int]]:
        """Of each row its day, what it says but for its amount, and 10^-8 dollars."""
        pieces = []
        for used in self._all:
            for item, value, many, unit in used.costs():
                said = {**used.habit.groups, "line_item": item, "api_source": "unlabeled"}
                row = {name: said[name] if name in groups else None for name in _COST_GROUPS}
                pieces.append((midnight(used.hour), row, value, many, unit))
        found = grouped(pieces, lambda piece: (piece[0], tuple(piece[1].values())))
        made = []
        for rows in found.values():
            day, row, _, _, unit = rows[0]
            by_item = "line_item" in groups
            quantity = float(sum(many for _, _, _, many, _ in rows)) if by_item else None
            more = {"quantity": quantity, "quantity_unit": unit if by_item else None}
            made.append(
                (day, {"object": "organization.costs.result"} | row | more, sum(value for _, _, value, _, _ in rows))
            )
        return made

    def truth(self, feed: str) -> Truth:
        if feed == "openai-costs":
            return added(({}, {"USD": value * _PICO}) for _, _, value in self._costs(_ASKED_COSTS))
        rows = []
        for kind, groups in _GROUPS.items():
            by = [name for name in groups if name in _ASKED]
            for at in sorted({used.hour for used in self._all}):
                rows += [(_counts(kind, used), dict[str, int]()) for _, used in self._grouped(kind, by, at, HOUR)]
        return added(rows)


def _amount(value: int) -> dict[str, Any]:
    """A JSON number, as short as it can be written."""
    return {"value": value / _OF_DOLLAR, "currency": "usd"}


def _instant(asked: Asked, name: str) -> datetime:
    said = needed(asked, name)
    if not said.isdecimal():
        raise Wrong(f"{name}: it is whole seconds since 1970")
    return datetime.fromtimestamp(int(said), UTC)
