"""Anthropic's Admin API as its documentation has it (`analytics/…` as its SDK has it): usage, cost, Claude Code and
analytics of one organization, all of the same messages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar, Final

from tests.fakes.http import Asked
from tests.fakes.reporting import Reporting, Truth
from tests.fakes.reports.anthropic_used import (
    OF_CENT,
    PICO,
    SEARCHES,
    TOKENS,
    Used,
    cents,
    made_up,
    meters,
    total,
    usage,
)
from tests.fakes.reports.shared import (
    DAY,
    HOUR,
    Wrong,
    added,
    at_most,
    buckets,
    grouped,
    instant,
    known,
    midnight,
    needed,
    paged,
    several,
)

VERSION: Final = "2023-06-01"
BETA: Final = "analytics-usage-cost-2026-08-24"
ORGANIZATION: Final = "00000000-0000-4000-8000-000000000000"
_ROOT: Final = "/v1/organizations/"
# However many are asked for, a page has no more: buckets of usage, days of cost, actors of Claude Code, rows.
_HOURS, _DAYS, _ACTORS, _ROWS = 10, 2, 2, 4
_USAGE_GROUPS: Final = ("api_key_id", "workspace_id", "model", "service_tier", "context_window", "inference_geo")
_COST_GROUPS: Final = ("workspace_id", "description")
_ANALYTICS_GROUPS: Final = ("actor", "workspace_id", "model", "product", "service_tier")
_PIECES: Final = ("cost_type", "token_type")
_LONGEST_PROMPT: Final = 200_000


def _text(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _kept(said: Mapping[str, Any], groups: Sequence[str]) -> dict[str, Any]:
    """What a report is not grouped by is null."""
    return {name: value if name in groups else None for name, value in said.items()}


def _pieces(used: Used) -> Iterator[tuple[datetime, dict[str, Any], int]]:
    """What messages cost, as the report of costs says it: the day, a row without its amount, millionths of a cent."""
    said = used.said()
    name = {"claude-opus-5-5": "Claude Opus 5.5", "claude-haiku-5": "Claude Haiku 5"}[said["model"]]
    words = {kind: text for kind, text, _, _ in TOKENS}
    for kind, value in used.costs().items():
        row = {"workspace_id": said["workspace_id"], "currency": "USD", "cost_type": "tokens", "token_type": kind}
        about = {each: said[each] for each in ("model", "service_tier", "context_window", "inference_geo")}
        if kind == SEARCHES:
            row |= {"description": "Web Search Usage", "cost_type": SEARCHES, "token_type": None}
            about = dict.fromkeys(about)
        else:
            tier = "" if said["service_tier"] == "standard" else f", {said['service_tier'].title()}"
            long = "" if said["context_window"] == "0-200k" else f", {said['context_window']}"
            row["description"] = f"{name} Usage - {words[kind]}{tier}{long}"
        yield midnight(used.hour), row | about, value


class AnthropicReports(Reporting):
    account: ClassVar[str] = "anthropic"
    owing: ClassVar[tuple[str, ...]] = ("anthropic-cost",)
    twins: ClassVar[Mapping[str, str]] = {
        "anthropic-usage": "anthropic-analytics-usage",
        "anthropic-cost": "anthropic-analytics-cost",
    }

    def make(self) -> None:
        self.begins = midnight(self.until) - self.days * DAY
        self._all = list(made_up(self.begins, self.days))
        # A seat's messages are no usage of the API.
        self._paid = [used for used in self._all if used.habit.customer == "api"]

    def is_let_in(self, asked: Asked) -> bool:
        return asked.headers.get("x-api-key") == self.credential

    def revise(self) -> None:
        last = max((used for used in self._paid if used.habit.email), key=lambda used: used.hour)
        last.out += 1_000

    def page(self, asked: Asked) -> tuple[int, Any]:
        reports: dict[str, Callable[[Asked], Any]] = {
            "workspaces": self._workspaces,
            "usage_report/messages": self._messages,
            "cost_report": self._cost_report,
            "usage_report/claude_code": self._claude_code,
            "analytics/usage": self._analytics,
            "analytics/cost": self._analytics,
        }
        report = reports.get(asked.path.removeprefix(_ROOT)) if asked.path.startswith(_ROOT) else None
        if report is None or asked.method != "GET":
            return 404, {"type": "error", "error": {"type": "not_found_error", "message": "Not found"}}
        try:
            if asked.headers.get("anthropic-version") != VERSION:
                raise Wrong("anthropic-version: header is required")
            return 200, report(asked)
        except Wrong as wrong:
            return 400, {"type": "error", "error": {"type": "invalid_request_error", "message": str(wrong)}}

    def _workspaces(self, asked: Asked) -> Any:
        known(asked, {"limit", "after_id", "before_id", "include_archived"})
        at_most(asked, "limit", 20, 1_000)
        one = {"id": "wrkspc_01Example", "type": "workspace", "name": "Example", "archived_at": None}
        return {"data": [one], "has_more": False, "first_id": one["id"], "last_id": one["id"]}

    def _messages(self, asked: Asked) -> Any:
        known(asked, {"starting_at", "ending_at", "bucket_width", "limit", "page", "group_by[]"})
        width = asked.query.get("bucket_width", "1d")
        if width not in ("1h", "1d"):
            raise Wrong("bucket_width: it is 1h or 1d here")
        most, length = (168, HOUR) if width == "1h" else (31, DAY)
        size = min(at_most(asked, "limit", 24 if width == "1h" else 7, most), _HOURS)
        groups = several(asked, "group_by[]", _USAGE_GROUPS)
        starts = buckets(instant(asked, "starting_at"), self._ending(asked), length)
        shown, after = paged(asked, starts, size)
        empty = {"account_id": None, "service_account_id": None}
        return {
            "data": [
                {
                    "starting_at": _text(at),
                    "ending_at": _text(at + length),
                    "results": [
                        usage(rows) | empty | {name: said[name] for name in _USAGE_GROUPS}
                        for said, rows in self._grouped(groups, at, length)
                    ],
                }
                for at in shown
            ],
            "has_more": after is not None,
            "next_page": after,
        }

    def _cost_report(self, asked: Asked) -> Any:
        known(asked, {"starting_at", "ending_at", "bucket_width", "limit", "page", "group_by[]"})
        if asked.query.get("bucket_width", "1d") != "1d":
            raise Wrong("bucket_width: it is 1d")
        size = min(at_most(asked, "limit", 7, 31), _DAYS)
        groups = several(asked, "group_by[]", _COST_GROUPS)
        starts = buckets(instant(asked, "starting_at"), self._ending(asked), DAY)
        shown, after = paged(asked, starts, size)
        rows = self._costs(groups)
        return {
            "data": [
                {
                    "starting_at": _text(at),
                    "ending_at": _text(at + DAY),
                    "results": [row | {"amount": cents(value)} for day, row, value in rows if day == at],
                }
                for at in shown
            ],
            "has_more": after is not None,
            "next_page": after,
        }

    def _claude_code(self, asked: Asked) -> Any:
        known(asked, {"starting_at", "limit", "page"})
        size = min(at_most(asked, "limit", 20, 1_000), _ACTORS)
        try:
            day = datetime.combine(date.fromisoformat(needed(asked, "starting_at")), datetime.min.time(), UTC)
        except ValueError:
            raise Wrong("starting_at: it is a date, YYYY-MM-DD") from None
        told = [one for one in self._coded() if one["date"] == _text(day)]
        shown, after = paged(asked, told, size)
        return {"data": list(shown), "has_more": after is not None, "next_page": after}

    def _analytics(self, asked: Asked) -> Any:
        known(
            asked,
            {"starting_at", "ending_at", "time_bucket_width", "limit", "page", "order", "order_by", "group_by[]"},
        )
        if asked.headers.get("anthropic-beta") != BETA:
            raise Wrong(f"anthropic-beta: it is {BETA}")
        is_cost = asked.path.endswith("/cost")
        groups = several(asked, "group_by[]", (*_ANALYTICS_GROUPS, *(_PIECES if is_cost else ())))
        since, until = instant(asked, "starting_at"), instant(asked, "ending_at")
        if until - since > 31 * DAY or since < datetime(2026, 1, 1, tzinfo=UTC):
            raise Wrong("starting_at: the range is at most 31 days, none before 2026")
        if asked.query.get("time_bucket_width") != "1d" or asked.query.get("order_by") != "time":
            raise Wrong("time_bucket_width, order_by: here they are 1d and time")
        if is_cost and not {*_PIECES} <= {*groups}:
            raise Wrong("group_by[]: here costs are told by their type and the kind of token")
        size = min(at_most(asked, "limit", 20, 1_000), _ROWS)
        days = buckets(since, until, DAY)
        rows = [row for day, row, _, _ in self._analysed(is_cost=is_cost, groups=groups) if day in days]
        if asked.query.get("order", "desc") == "desc":
            rows.reverse()
        shown, after = paged(asked, rows, size)
        return {
            "data": list(shown),
            "has_more": after is not None,
            "next_page": after,
            "data_refreshed_at": _text(self.until),
        }

    def _ending(self, asked: Asked) -> datetime:
        return instant(asked, "ending_at") if "ending_at" in asked.query else self.until

    def _grouped(
        self, groups: Sequence[str], at: datetime, length: timedelta
    ) -> Iterator[tuple[dict[str, Any], list[Used]]]:
        """What was used in a bucket: the groups it is told by, and what was used of each."""
        found = grouped(
            (used for used in self._paid if at <= used.hour < at + length),
            lambda used: tuple(used.said()[name] for name in groups),
        )
        for rows in found.values():
            yield _kept(rows[0].said(), groups), rows

    def _costs(self, groups: Sequence[str]) -> list[tuple[datetime, dict[str, Any], int]]:
        """What is derived from the description is null where rows are not grouped by it."""
        pieces = []
        for day, row, value in (piece for used in self._paid for piece in _pieces(used)):
            if "description" not in groups:
                row = dict.fromkeys(row) | {name: row[name] for name in ("workspace_id", "currency")}
            if "workspace_id" not in groups:
                row = row | {"workspace_id": None}
            pieces.append((day, row, value))
        found = grouped(pieces, lambda piece: (piece[0], tuple(piece[1].items())))
        return [(rows[0][0], rows[0][1], sum(value for _, _, value in rows)) for rows in found.values()]

    def _coded(self) -> Iterator[dict[str, Any]]:
        """A record for each actor, terminal and day, with what each model used."""
        of_code = [used for used in self._all if used.habit.product == "claude_code"]
        found = grouped(
            of_code, lambda used: (midnight(used.hour), used.habit.email, used.habit.key, used.habit.terminal)
        )
        for (day, email, _, terminal), rows in found.items():
            habit = rows[0].habit
            actor = {"type": "user_actor", "email_address": email} if email else {"type": "api_actor"}
            yield {
                "date": _text(day),
                "actor": actor if email else actor | {"api_key_name": "ci"},
                "organization_id": ORGANIZATION,
                "customer_type": habit.customer,
                "subscription_type": "team" if habit.customer == "subscription" else None,
                "terminal_type": terminal,
                "core_metrics": {
                    "num_sessions": len(rows),
                    "lines_of_code": {"added": 1543, "removed": 892},
                    "commits_by_claude_code": 12,
                    "pull_requests_by_claude_code": 2,
                },
                "tool_actions": {"edit_tool": {"accepted": 45, "rejected": 5}},
                "model_breakdown": [
                    {
                        "model": model,
                        "tokens": {
                            "input": total(used, "fresh"),
                            "output": total(used, "out"),
                            "cache_read": total(used, "read"),
                            "cache_creation": total(used, "short") + total(used, "long"),
                        },
                        "estimated_cost": {
                            "currency": "USD",
                            "amount": sum(sum(one.costs().values()) for one in used) // OF_CENT,
                        },
                    }
                    for model, used in grouped(rows, lambda used: used.habit.model).items()
                ],
            }

    def _analysed(
        self, *, is_cost: bool, groups: Sequence[str]
    ) -> Iterator[tuple[datetime, dict[str, Any], list[Used], int]]:
        """A day, a row, what it is of, and millionths of a cent; day by day."""
        wanted = [name for name in groups if name not in _PIECES]
        for at in buckets(self.begins, midnight(self.until), DAY):
            for said, rows in self._grouped(wanted, at, DAY):
                group = {name: said[name] for name in _ANALYTICS_GROUPS}
                group["actor"] = rows[0].actor() if "actor" in groups else None
                times = {"starting_at": _text(at), "ending_at": _text(at + DAY)}
                if not is_cost:
                    tokens = sum(total(rows, ours) for _, _, ours, _ in TOKENS)
                    said_of = usage(rows) | {"requests": total(rows, "requests"), "total_tokens": tokens}
                    yield at, times | {"group": group, "usage": said_of}, rows, 0
                    continue
                found = [(kind, value) for used in rows for kind, value in used.costs().items()]
                for kind, several_ in grouped(found, lambda one: one[0]).items():
                    value = sum(each for _, each in several_)
                    searched = kind == SEARCHES
                    piece = {"cost_type": SEARCHES if searched else "tokens", "token_type": None if searched else kind}
                    cost = {"amount": cents(value), "list_amount": cents(value), "currency": "USD", "requests": None}
                    yield at, times | {"group": group | piece, "cost": cost}, rows, value

    def truth(self, feed: str) -> Truth:
        told: dict[str, Callable[[], Truth]] = {
            "anthropic-usage": self._truth_of_usage,
            "anthropic-cost": lambda: added(({}, {"USD": value * PICO}) for _, _, value in self._costs(_COST_GROUPS)),
            "anthropic-claude-code": self._truth_of_code,
            "anthropic-analytics-usage": lambda: added(
                (meters(rows) | {"requests": total(rows, "requests")}, {})
                for _, _, rows, _ in self._analysed(is_cost=False, groups=_ANALYTICS_GROUPS)
            ),
            "anthropic-analytics-cost": lambda: added(
                ({}, {"USD": value * PICO})
                for _, _, _, value in self._analysed(is_cost=True, groups=(*_ANALYTICS_GROUPS, *_PIECES))
            ),
        }
        return told[feed]()

    def _truth_of_usage(self) -> Truth:
        """No requests are told, so they are the fewest there can have been."""
        by = _USAGE_GROUPS
        found = grouped(self._paid, lambda used: (used.hour, *(used.said()[name] for name in by)))
        rows = []
        for used in found.values():
            prompts = sum(total(used, name) for name in ("fresh", "short", "long", "read"))
            least = -(-prompts // _LONGEST_PROMPT) if used[0].habit.window == "0-200k" else 1
            rows.append((meters(used) | {"requests": least}, dict[str, int]()))
        return added(rows)

    def _truth_of_code(self) -> Truth:
        """Every write counts as one of five minutes, every row as one request, and a seat's messages cost nothing."""
        rows = []
        for record in self._coded():
            for model in record["model_breakdown"]:
                tokens, is_paid = model["tokens"], record["customer_type"] == "api"
                counts = {
                    "input_uncached": tokens["input"],
                    "output_text": tokens["output"],
                    "cache_read": tokens["cache_read"],
                    "cache_write_5m": tokens["cache_creation"],
                    "requests": 1,
                }
                rows.append((counts, {"USD": model["estimated_cost"]["amount"] * OF_CENT * PICO * is_paid}))
        return added(rows)
