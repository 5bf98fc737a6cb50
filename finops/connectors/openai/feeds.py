"""What can be fetched of an organization at OpenAI, by its Admin API: what was used, and what it cost.

Parameters as its SDK has them (`openai.types.admin.organization.usage_*_params`); each kind of usage is a report of its
own, and a page is asked for by the token of the one before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from finops.connectors.fetching import Access, Account, Evidence, Feed, Says, Server, Window, by_token, grouped_by
from finops.connectors.openai import cost_report, usage_report
from finops.connectors.openai.usage_report import PROVIDER

_ROOT: Final = "/v1/organization"
_DAY: Final = timedelta(days=1)
_PROBED: Final = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))
# Buckets of a page, as many as there are unasked: it has all rows of each, so with more of them the page of a large
# organization is longer than a page may be (`outgoing.LARGEST_PAGE`).
_PAGE_HOURS: Final = 24
_PAGE_DAYS: Final = 7
_BY_WHOM: Final = ("project_id", "user_id", "api_key_id")
# By the last part of their paths. What is paid for by pictures, seconds, characters, bytes or sessions is not asked
# for: no meter counts those (`usage_report.UNITS`), so each row could only be held. Their dollars are in the costs.
_KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "completions": (*_BY_WHOM, "model", "batch", "service_tier"),
    "decisions": (*_BY_WHOM, "model", "batch", "service_tier"),
    "embeddings": (*_BY_WHOM, "model"),
    "moderations": (*_BY_WHOM, "model"),
    "web_search_calls": (*_BY_WHOM, "model", "context_level"),
    "file_search_calls": (*_BY_WHOM, "vector_store_id"),
}
# With people too, whether it is answered depends on the organization.
_COST_GROUPS: Final = ("project_id", "api_key_id", "line_item")


def _server(access: Access) -> Server:
    return Server(access, headers={"Authorization": f"Bearer {access.credential}"})


def _usage(access: Access, window: Window) -> Iterator[Sequence[bytes]]:
    """One kind after the other."""
    server = _server(access)
    for kind, groups in _KINDS.items():
        query = [*_times(window), ("bucket_width", "1h"), ("limit", str(_PAGE_HOURS)), *grouped_by(groups)]
        yield from by_token(server, f"{_ROOT}/usage/{kind}", query, usage_report.cut)


def _costs(access: Access, window: Window) -> Iterator[Sequence[bytes]]:
    query = [*_times(window), ("bucket_width", "1d"), ("limit", str(_PAGE_DAYS)), *grouped_by(_COST_GROUPS)]
    return by_token(_server(access), f"{_ROOT}/costs", query, cost_report.cut)


def _probe(access: Access) -> None:
    """The costs of any one day: a key that may read usage and nothing else is good."""
    _server(access).get(f"{_ROOT}/costs", [*_times(_PROBED), ("limit", "1")])


def _times(window: Window) -> list[tuple[str, str]]:
    return [("start_time", str(int(window.since.timestamp()))), ("end_time", str(int(window.until.timestamp())))]


# How late they are and how long they change is not documented: asked for again for longer than has been seen.
ACCOUNT: Final = Account(
    name="openai",
    title="OpenAI",
    address="https://api.openai.com",
    credential_help=(
        "An Admin key (sk-admin-…) that may read usage, made by an owner in the platform's settings, under "
        "Organization, Admin keys."
    ),
    probe=_probe,
    feeds=(
        Feed(
            name="openai-usage",
            evidence=frozenset({Evidence.METERED}),
            whole=True,
            title="Usage by the hour",
            parser=usage_report.PARSER,
            says=Says.USAGE,
            pages=_usage,
            provider=PROVIDER,
            every=timedelta(minutes=10),
            delay=timedelta(hours=1),
            revised=timedelta(days=2),
            width=timedelta(hours=1),
            longest=timedelta(days=7),
            history=timedelta(days=365),
            dedupe="the kind of usage, the hour and every group",
            convention="input includes what was read from and written to a cache",
            money="none",
        ),
        Feed(
            name="openai-costs",
            evidence=frozenset({Evidence.BILLED}),
            whole=True,
            title="Costs by the day",
            parser=cost_report.PARSER,
            says=Says.MONEY,
            pages=_costs,
            provider=PROVIDER,
            every=timedelta(hours=1),
            delay=_DAY,
            revised=timedelta(days=30),
            width=_DAY,
            longest=timedelta(days=31),
            history=timedelta(days=365),
            dedupe="the day, every group, the unit of its quantity and the currency",
            convention="none",
            money="dollars, as a JSON number",
        ),
    ),
)
