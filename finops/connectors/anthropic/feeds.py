"""What can be fetched of an organization at Anthropic, by its Admin API: what was used, what it cost, and Claude Code.

Parameters as its documentation has them, those of analytics as its SDK has them (`UsageListParams`, `CostListParams`);
a page is asked for by the token of the one before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from finops.connectors.anthropic import analytics, claude_code, cost_report, usage_report
from finops.connectors.anthropic.reported import PROVIDER
from finops.connectors.enforcement import Power
from finops.connectors.fetching import Access, Account, Evidence, Feed, Says, Server, Window, by_token, grouped_by

_VERSION: Final = "2023-06-01"
_ANALYTICS: Final = "analytics-usage-cost-2026-08-24"
_ROOT: Final = "/v1/organizations"
_DAY: Final = timedelta(days=1)
_MONTH: Final = timedelta(days=31)
_LONGEST_HOURS: Final = timedelta(hours=168)
# Buckets of a page, as many as there are unasked: it has all rows of each, so with more of them the page of a large
# organization is longer than a page may be (`outgoing.LARGEST_PAGE`).
_PAGE_HOURS: Final = 24
_PAGE_DAYS: Final = 7
_MOST_ROWS: Final = 1_000
_CONVENTION: Final = "input leaves out what was read from and written to a cache"
# No more than that many of its groups: one of each actor would make rows that no cost is told of.
_USAGE_GROUPS: Final = ("workspace_id", "api_key_id", "model", "service_tier", "context_window", "inference_geo")
_COST_GROUPS: Final = ("workspace_id", "description")
# Five at most, but for the pieces of a cost. Of RBAC groups rows overlap.
_ANALYTICS_GROUPS: Final = ("actor", "workspace_id", "model", "product", "service_tier")
_PIECES: Final = ("cost_type", "token_type")
# A question that begins before is refused.
_ANALYTICS_BEGIN: Final = datetime(2026, 1, 1, tzinfo=UTC)


def _server(access: Access, **more: str) -> Server:
    return Server(access, headers={"x-api-key": access.credential, "anthropic-version": _VERSION} | more)


def _usage(access: Access, window: Window) -> Iterator[Sequence[bytes]]:
    query = [*_times(window), ("bucket_width", "1h"), ("limit", str(_PAGE_HOURS)), *grouped_by(_USAGE_GROUPS)]
    return by_token(_server(access), f"{_ROOT}/usage_report/messages", query, usage_report.cut)


def _cost(access: Access, window: Window) -> Iterator[Sequence[bytes]]:
    query = [*_times(window), ("bucket_width", "1d"), ("limit", str(_PAGE_DAYS)), *grouped_by(_COST_GROUPS)]
    return by_token(_server(access), f"{_ROOT}/cost_report", query, cost_report.cut)


def _claude_code(access: Access, window: Window) -> Iterator[Sequence[bytes]]:
    """A day is asked for by itself."""
    server, day = _server(access), window.since
    while day < window.until:
        query = [("starting_at", day.date().isoformat()), ("limit", str(_MOST_ROWS))]
        yield from by_token(server, f"{_ROOT}/usage_report/claude_code", query, claude_code.cut)
        day += _DAY


def _analytics(report: str, groups: Sequence[str], access: Access, window: Window) -> Iterator[Sequence[bytes]]:
    window = Window(max(window.since, _ANALYTICS_BEGIN), window.until)
    if window.since >= window.until:
        return iter(())
    query = [
        *_times(window),
        ("time_bucket_width", "1d"),
        ("order_by", "time"),
        ("order", "asc"),
        ("limit", str(_MOST_ROWS)),
        *grouped_by(groups),
    ]
    # Whose actor cannot be shown has rows of one group, which are numbered over the pages.
    cut = partial(analytics.cut, told={})
    return by_token(_server(access, **{"anthropic-beta": _ANALYTICS}), f"{_ROOT}/analytics/{report}", query, cut)


def _probe(access: Access) -> None:
    _server(access).get(f"{_ROOT}/workspaces", [("limit", "1")])


def _times(window: Window) -> list[tuple[str, str]]:
    return [("starting_at", _text(window.since)), ("ending_at", _text(window.until))]


def _text(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


_feed: Final = partial(Feed, provider=PROVIDER, history=timedelta(days=365))

ACCOUNT: Final = Account(
    enforces=frozenset({Power.BLOCK_KEY}),
    name="anthropic",
    title="Anthropic",
    address="https://api.anthropic.com",
    credential_help="An Admin key (sk-ant-admin…), made by an admin in the Console under Settings, Admin keys.",
    probe=_probe,
    feeds=(
        _feed(
            name="anthropic-usage",
            evidence=frozenset({Evidence.METERED}),
            whole=True,
            title="Usage by the hour",
            parser=usage_report.PARSER,
            says=Says.USAGE,
            pages=_usage,
            every=timedelta(minutes=10),
            delay=timedelta(minutes=10),
            revised=timedelta(days=2),
            width=timedelta(hours=1),
            longest=_LONGEST_HOURS,
            dedupe="the hour and every group",
            convention=_CONVENTION,
            money="none",
        ),
        _feed(
            name="anthropic-cost",
            evidence=frozenset({Evidence.BILLED}),
            whole=True,
            title="Cost by the day",
            parser=cost_report.PARSER,
            says=Says.MONEY,
            pages=_cost,
            every=timedelta(hours=1),
            delay=timedelta(hours=24),
            revised=timedelta(days=30),
            width=_DAY,
            longest=_MONTH,
            dedupe="the day, every group and the currency",
            convention="none",
            money="cents, as decimal text",
        ),
        _feed(
            name="anthropic-claude-code",
            evidence=frozenset({Evidence.REPORTED}),
            whole=True,
            title="Claude Code by the day and person",
            parser=claude_code.PARSER,
            says=Says.CHARGES,
            pages=_claude_code,
            every=timedelta(hours=1),
            delay=timedelta(hours=2),
            revised=timedelta(days=2),
            width=_DAY,
            longest=timedelta(days=7),
            dedupe="the day, the actor, the terminal and the model",
            convention=_CONVENTION,
            money="cents, an estimate",
            # What its telemetry tells too: one of both is enough.
            optional=True,
        ),
        _feed(
            name="anthropic-analytics-usage",
            evidence=frozenset({Evidence.METERED}),
            whole=True,
            title="Analytics: usage by the day, person and product",
            parser=analytics.PARSER,
            says=Says.USAGE,
            pages=partial(_analytics, "usage", _ANALYTICS_GROUPS),
            every=timedelta(hours=6),
            delay=_DAY,
            revised=timedelta(days=30),
            width=_DAY,
            longest=_MONTH,
            dedupe="the day, every group, and a number where an actor is not shown",
            convention=_CONVENTION,
            money="none",
            # The same tokens as `anthropic-usage`, later, and with people: one of both is enough.
            optional=True,
        ),
        _feed(
            name="anthropic-analytics-cost",
            evidence=frozenset({Evidence.BILLED}),
            whole=True,
            title="Analytics: cost by the day, person and product",
            parser=analytics.PARSER,
            says=Says.MONEY,
            pages=partial(_analytics, "cost", (*_ANALYTICS_GROUPS, *_PIECES)),
            every=timedelta(hours=6),
            delay=_DAY,
            revised=timedelta(days=30),
            width=_DAY,
            longest=_MONTH,
            dedupe="the day, every group, and a number where an actor is not shown",
            convention="none",
            money="cents and parts of them, as text, after discounts and before credits",
            # The same dollars as `anthropic-cost`, later, and with people: one of both is enough.
            optional=True,
        ),
    ),
)  # fmt: skip
