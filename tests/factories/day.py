"""A day of one organization's calls: what the provider knows of them, and how each source tells those it saw."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final, NamedTuple

from tests.factories.otlp import log, logs
from tests.fakes.http import Asked
from tests.fakes.reports.openai import Habit, OpenAIReports, Used

MODELS: Final = ("gpt-5.2-2026-01-01", "gpt-5-mini")
ACCOUNTS: Final = ("proj_search", "proj_chat")
WAYS: Final = ("events", "litellm", "spans", "codex")
# How likely each sees a call. One in twenty is seen by none, whatever these say.
_SEEN: Final = {"events": 0.3, "litellm": 0.5, "spans": 0.5, "codex": 0.25}
_NOBODY: Final = 0.05
_TWICE: Final = 0.1
_NS: Final = 10**9


class Call(NamedTuple):
    """`at` has whole milliseconds; `seen` are the sources that saw it. Input is `fresh` and `read` together."""

    number: int
    at: datetime
    email: str
    project: str
    account: str
    model: str
    fresh: int
    read: int
    out: int
    seen: frozenset[str]

    @property
    def request(self) -> str:
        return f"chatcmpl-{self.number:024d}"

    @property
    def usage(self) -> dict[str, Any]:
        """As an answer of OpenAI's says it."""
        return {
            "prompt_tokens": self.fresh + self.read,
            "completion_tokens": self.out,
            "total_tokens": self.fresh + self.read + self.out,
            "prompt_tokens_details": {"cached_tokens": self.read},
            "completion_tokens_details": {"reasoning_tokens": 0},
        }


def calls_of(
    number: int, midnight: datetime, *, people: Sequence[str], projects: Sequence[str], seed: int
) -> list[Call]:
    """No two of them say the same: what is matched by content is known."""
    luck = Random(seed)
    made = []
    for n in range(number):
        seen = {way for way, share in _SEEN.items() if luck.random() < share}
        made.append(
            Call(
                n,
                midnight + timedelta(milliseconds=86_399_000 * n // number),
                luck.choice(people),
                luck.choice(projects),
                luck.choice(ACCOUNTS),
                luck.choice(MODELS),
                fresh=200 + luck.randrange(4_000),
                read=luck.choice((0, 128 * luck.randrange(1, 60))),
                # Within ten minutes all are different.
                out=1 + n % 2_000,
                seen=frozenset() if luck.random() < _NOBODY else frozenset(seen),
            )
        )
    return made


class DayReports(OpenAIReports):
    """The provider, which keeps the truth. Until it is `settled` it tells only the first calls of the day."""

    def __init__(self, calls: Sequence[Call], *, until: datetime, told: float) -> None:
        self._calls, self._told = calls, int(len(calls) * told)
        super().__init__(until=until, days=1)

    def make(self) -> None:
        habits: dict[tuple[str, str], Habit] = {}
        self._all = []
        for call in self._calls[: self._told]:
            groups = {
                "project_id": call.account, "user_id": None, "api_key_id": f"key_{call.account}", "model": call.model,
                "batch": False, "service_tier": "default",
            }  # fmt: skip
            habit = habits.setdefault((call.account, call.model), Habit(kind="completions", hours=(), groups=groups))
            tokens = {"fresh": call.fresh, "read": call.read, "written": 0, "heard": 0, "out": call.out, "spoken": 0}
            hour = call.at.replace(minute=0, second=0, microsecond=0)
            self._all.append(Used(hour, habit, requests=1, tokens=tokens))

    def settle(self) -> None:
        """The report is revised: it has all of the day."""
        self._told = len(self._calls)
        self.make()

    def invoice(self) -> int:
        """Picodollars."""
        return sum(value for used in self._all for _, value, _, _ in used.costs()) * 10**4

    def page(self, asked: Asked) -> tuple[int, Any]:
        # What nobody used needs no look at every call.
        if asked.path.startswith("/v1/organization/usage/") and not asked.path.endswith("/completions"):
            kept, self._all = self._all, []
            try:
                return super().page(asked)
            finally:
                self._all = kept
        return super().page(asked)


def sent(calls: Iterable[Call], way: str, luck: Random, size: int) -> list[list[Call]]:
    """Batches of what one source saw: in any order, some twice."""
    mine = [call for call in calls if way in call.seen]
    mine += [call for call in mine if luck.random() < _TWICE]
    luck.shuffle(mine)
    return [mine[start : start + size] for start in range(0, len(mine), size)]


def as_events(calls: Sequence[Call]) -> bytes:
    return json.dumps([
        {
            "specversion": "1.0", "id": f"event-{call.number}", "source": "gateway/eu-1", "type": "llm.request",
            "time": call.at.isoformat(),
            "data": {
                "provider": "openai", "model": call.model, "provider_request_id": call.request,
                "input_tokens": call.fresh + call.read, "cache_read_tokens": call.read, "output_tokens": call.out,
                "identities": {"email": call.email}, "project": call.project,
            },
        }
        for call in calls
    ]).encode()  # fmt: skip


def as_litellm(calls: Sequence[Call]) -> bytes:
    return json.dumps([
        {
            "id": call.request, "litellm_call_id": f"llm-{call.number}", "call_type": "acompletion",
            "status": "success", "custom_llm_provider": "openai", "model": call.model, "startTime": call.at.timestamp(),
            "response_cost": 0.0, **{name: call.usage[name] for name in ("prompt_tokens", "completion_tokens")},
            "total_tokens": call.usage["total_tokens"],
            "metadata": {
                "usage_object": call.usage, "user_api_key_user_email": call.email,
                "user_api_key_project_alias": call.project,
            },
        }
        for call in calls
    ]).encode()  # fmt: skip


def as_codex(calls: Sequence[Call]) -> bytes:
    """Without a request id, and as late as an answer is."""
    records = []
    for call in calls:
        ended = call.at + timedelta(seconds=3)
        said = {
            "event.name": "codex.sse_event", "event.kind": "response.completed", "user.email": call.email,
            "event.timestamp": ended.isoformat(), "conversation.id": f"conversation-{call.number // 7}",
            "model": call.model, "input_token_count": call.fresh + call.read, "cached_token_count": call.read,
            "output_token_count": call.out, "reasoning_token_count": 0, "capstan.project": call.project,
        }  # fmt: skip
        records.append(log(said, timeUnixNano=str(int(ended.timestamp() * 1000) * 10**6)))
    return logs(*records, **{"service.name": "codex_cli_rs"})


def as_spans(calls: Sequence[Call]) -> str:
    """For `tests/clients/exporting_calls.py`."""
    lines = []
    for call in calls:
        begins = int(call.at.timestamp() * 1000) * 10**6
        attributes = {
            "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.response.model": call.model,
            "gen_ai.response.id": call.request, "gen_ai.usage.input_tokens": call.fresh + call.read,
            "gen_ai.usage.cache_read.input_tokens": call.read, "gen_ai.usage.output_tokens": call.out,
            "user.email": call.email, "capstan.project": call.project,
        }  # fmt: skip
        lines.append(json.dumps({"attributes": attributes, "begins_ns": begins, "ends_ns": begins + 2 * _NS}))
    return "\n".join(lines)


def tokens_of(calls: Iterable[Call]) -> Counter[str]:
    """By meter."""
    found: Counter[str] = Counter()
    for call in calls:
        found.update(input_uncached=call.fresh, cache_read=call.read, output_text=call.out)
    return found


BODIES: Final[dict[str, Callable[[Sequence[Call]], bytes]]] = {
    "events": as_events, "litellm": as_litellm, "codex": as_codex,
}  # fmt: skip
