"""OpenRouter's activity and credits, after its documentation and the fields of its SDK."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, Final

from tests.fakes.http import Asked
from tests.fakes.reporting import Reporting, Truth
from tests.fakes.reports.shared import DAY, Wrong, added, grouped, known, midnight

_ACTIVITY: Final = "/api/v1/activity"
_CREDITS: Final = "/api/v1/credits"
_DAYS: Final = 30
# Money is counted in millionths of a dollar here, so that it is whole.
_OF_DOLLAR: Final = 10**6
_PICO: Final = 10**6
# Workspace, model, its permanent name, where it ran, and whether with a key of one's own.
_HABITS: Final = (
    ("ws_example", "openai/gpt-5.2", "openai/gpt-5.2-20260101", "OpenAI", False),
    ("ws_other", "openai/gpt-5.2", "openai/gpt-5.2-20260101", "OpenAI", False),
    ("ws_example", "openai/gpt-5.2", "openai/gpt-5.2-20260101", "Azure", False),
    ("ws_example", "anthropic/claude-opus-5.5", "anthropic/claude-5.5-opus", "Anthropic", True),
    ("ws_other", "z-ai/glm-5:free", "z-ai/glm-5", "Z.AI", False),
)


class OpenRouterReports(Reporting):
    account: ClassVar[str] = "openrouter"
    owing: ClassVar[tuple[str, ...]] = ("openrouter-activity",)

    def make(self) -> None:
        until = midnight(self.until)
        self._rows = [_row(until - back * DAY, back, place) for back in range(self.days, 0, -1) for place in range(5)]

    def is_let_in(self, asked: Asked) -> bool:
        return asked.headers.get("authorization") == f"Bearer {self.credential}"

    def revise(self) -> None:
        self._rows[-2]["completion_tokens"] += 40
        self._rows[-2]["micro"] += 1_500

    def page(self, asked: Asked) -> tuple[int, Any]:
        if asked.method == "GET" and asked.path == _CREDITS:
            return 200, {"data": {"total_credits": 100.5, "total_usage": 25.75}}
        if asked.method != "GET" or asked.path != _ACTIVITY:
            return 404, {"error": {"code": 404, "message": "Not found"}}
        try:
            return 200, {"data": self._activity(asked)}
        except Wrong as wrong:
            return 400, {"error": {"code": 400, "message": str(wrong)}}

    def _activity(self, asked: Asked) -> list[dict[str, Any]]:
        known(asked, {"date", "group_by"})
        days = [(midnight(self.until) - back * DAY).date().isoformat() for back in range(1, _DAYS + 1)]
        if "date" in asked.query:
            days = [day for day in days if day == asked.query["date"]]
            if not days:
                raise Wrong("date: it is one of the last 30 completed UTC days, YYYY-MM-DD")
        if asked.query.get("group_by", "workspace") != "workspace":
            raise Wrong("group_by: it is workspace")
        rows = [row for row in self._rows if row["date"] in days]
        if "group_by" in asked.query:
            return [_said(row) for row in rows]
        # As it was before there were workspaces: added up over them, and none is named.
        made = []
        for several in grouped(rows, lambda row: (row["date"], row["model"], row["endpoint_id"])).values():
            numbers = [name for name, value in several[0].items() if isinstance(value, int)]
            said = _said(several[0] | {name: sum(row[name] for row in several) for name in numbers})
            said.pop("workspace_id")
            made.append(said)
        return made

    def truth(self, feed: str) -> Truth:
        return added(
            (
                {
                    "input_uncached": row["prompt_tokens"] - row["cached_tokens"],
                    "cache_read": row["cached_tokens"],
                    "output_text": row["completion_tokens"] - row["reasoning_tokens"],
                    "output_reasoning": row["reasoning_tokens"],
                    "requests": row["requests"],
                },
                {"USD": row["micro"] * _PICO},
            )
            for row in self._rows
        )


def _row(day: datetime, back: int, place: int) -> dict[str, Any]:
    workspace, model, permanent, provider, is_own = _HABITS[place]
    seed = 7 * back + 3 * place
    prompt, completion = 5_000 + 37 * seed, 700 + 11 * seed
    fee = 0 if model.endswith(":free") else (prompt + 4 * completion) // (20 if is_own else 1)
    return {
        "date": day.date().isoformat(),
        "model": model,
        "model_permaslug": permanent,
        "endpoint_id": f"550e8400-e29b-41d4-a716-44665544000{len(provider)}",
        "provider_name": provider,
        # Of both: millionths of a dollar.
        "micro": fee,
        "own": 19 * fee if is_own else 0,
        "requests": 5 + seed % 4,
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "reasoning_tokens": 25 + seed,
        "cached_tokens": 10 * seed,
        "workspace_id": workspace,
    }


def _said(row: dict[str, Any]) -> dict[str, Any]:
    """As it is written: dollars, as numbers."""
    made = {name: value for name, value in row.items() if name not in ("micro", "own")}
    return made | {"usage": row["micro"] / _OF_DOLLAR, "byok_usage_inference": row["own"] / _OF_DOLLAR}
