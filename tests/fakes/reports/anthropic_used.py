"""What an organization used at Anthropic, made up once, so that all its reports tell of the same messages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from tests.fakes.reports.shared import DAY, HOUR

# What a token is called where it is paid for, what it is here, and the meter that counts it.
TOKENS: Final = (
    ("uncached_input_tokens", "Input Tokens", "fresh", "input_uncached"),
    ("cache_creation.ephemeral_5m_input_tokens", "Input Tokens, Cache Write 5m", "short", "cache_write_5m"),
    ("cache_creation.ephemeral_1h_input_tokens", "Input Tokens, Cache Write 1h", "long", "cache_write_1h"),
    ("cache_read_input_tokens", "Input Tokens, Cache Hit", "read", "cache_read"),
    ("output_tokens", "Output Tokens", "out", "output_text"),
)
SEARCHES: Final = "web_search"
# Cents of a million of each, in the order of TOKENS.
_PRICES: Final[Mapping[str, tuple[int, ...]]] = {
    "claude-opus-5-5": (500, 626, 1000, 50, 2500),
    "claude-haiku-5": (100, 126, 200, 10, 500),
}
# A cent each.
_SEARCH_PRICE: Final = 10**6
# Money is counted in millionths of a cent here, so that it is whole.
OF_CENT: Final = 10**6
PICO: Final = 10**4


@dataclass(frozen=True, slots=True, kw_only=True)
class Habit:
    """What is used at the same hours every day, by the same key."""

    hours: tuple[int, ...]
    key: str
    workspace: str | None = "wrkspc_01Example"
    email: str = ""
    # Whom the reader may not see: null, and yet a row of its own.
    hidden: str = ""
    terminal: str = ""
    product: str = "messages_api"
    model: str = "claude-opus-5-5"
    tier: str = "standard"
    window: str = "0-200k"
    customer: str = "api"


_HABITS: Final = (
    Habit(hours=(9, 10, 15), key="apikey_01Code", email="dev@example.com", terminal="vscode", product="claude_code"),
    Habit(
        hours=(9, 15), key="apikey_01Code", email="dev@example.com", terminal="vscode", product="claude_code",
        model="claude-haiku-5",
    ),
    Habit(hours=(0, 11), key="apikey_01Code", email="ann@example.com", terminal="iTerm.app", product="claude_code"),
    Habit(hours=(3, 23), key="apikey_01Ci", terminal="non-interactive", product="claude_code", model="claude-haiku-5"),
    Habit(hours=(0, 10, 23), key="apikey_01Chat", workspace=None),
    Habit(hours=(2,), key="apikey_01Night", tier="batch", window="200k-1M", product="message_batches_api"),
    Habit(hours=(12,), key="apikey_01Chat", hidden="one", model="claude-haiku-5"),
    Habit(hours=(12, 13), key="apikey_01Other", hidden="two", model="claude-haiku-5"),
    # Pays for a seat: Claude Code tells of it, and nothing else does.
    Habit(
        hours=(8,), key="", email="seat@example.com", terminal="vscode", product="claude_code", customer="subscription",
    ),
)  # fmt: skip


@dataclass(slots=True)
class Used:
    hour: datetime
    habit: Habit
    fresh: int
    short: int
    long: int
    read: int
    out: int
    searches: int
    requests: int

    def said(self) -> dict[str, Any]:
        """Every group that can be asked for."""
        habit = self.habit
        return {
            "workspace_id": habit.workspace,
            "api_key_id": habit.key,
            "model": habit.model,
            "service_tier": habit.tier,
            "context_window": habit.window,
            "inference_geo": "global",
            "product": habit.product,
            "actor": habit.hidden or habit.email or habit.key,
        }

    def actor(self) -> dict[str, Any] | None:
        if self.habit.hidden:
            return None
        email = self.habit.email
        if not email:
            return {"type": "api_actor", "api_key_id": self.habit.key}
        name = email.partition("@")[0]
        said = {"user_id": f"user_01{name}", "email_address": email, "name": name.title(), "deleted": False}
        return {"type": "user_actor"} | said

    def costs(self) -> dict[str, int]:
        """Millionths of a cent by the kind of token, and of searches. A batch costs half."""
        half = 2 if self.habit.tier == "batch" else 1
        prices = zip(TOKENS, _PRICES[self.habit.model], strict=True)
        found = {kind: getattr(self, ours) * price // half for (kind, _, ours, _), price in prices}
        return {kind: value for kind, value in (found | {SEARCHES: self.searches * _SEARCH_PRICE}).items() if value}


def made_up(since: datetime, days: int) -> Iterator[Used]:
    for day in range(days):
        for place, habit in enumerate(_HABITS):
            for hour in habit.hours:
                seed = 1 + hour + 31 * place + 7 * day
                many = 40 if place < 4 else 1
                yield Used(
                    hour=since + day * DAY + hour * HOUR,
                    habit=habit,
                    fresh=1_000 * many + 17 * seed,
                    short=120 * seed,
                    long=2_000 * (place % 2),
                    read=4_000 * many + 301 * seed,
                    out=150 * many + 3 * seed,
                    searches=seed % 3 if place in (0, 4) else 0,
                    requests=1 + seed % 5,
                )


def total(rows: Sequence[Used], name: str) -> int:
    return sum(int(getattr(row, name)) for row in rows)


def usage(rows: Sequence[Used]) -> dict[str, Any]:
    return {
        "uncached_input_tokens": total(rows, "fresh"),
        "cache_creation": {
            "ephemeral_5m_input_tokens": total(rows, "short"),
            "ephemeral_1h_input_tokens": total(rows, "long"),
        },
        "cache_read_input_tokens": total(rows, "read"),
        "output_tokens": total(rows, "out"),
        "server_tool_use": {"web_search_requests": total(rows, "searches")},
    }


def meters(rows: Sequence[Used]) -> dict[str, int]:
    return {meter: total(rows, ours) for _, _, ours, meter in TOKENS} | {"web_searches": total(rows, "searches")}


def cents(millionths: int) -> str:
    return f"{millionths // OF_CENT}.{millionths % OF_CENT:06d}"
