"""Reads `GET /v1/organizations/analytics/usage` and `…/analytics/cost`, after the types of Anthropic's SDK
(`BetaAnalyticsUsageItem`, `BetaAnalyticsCostItem`).

Money is in fractional cents, after discounts and before credits. Rows arrive 4 to 24 hours late and are revised for up
to 30 days. Rows grouped by RBAC group overlap (who is in two groups is in both), so such pages are refused.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any, Final

from finops.connectors import cutting
from finops.connectors.anthropic.cost_report import CENTS
from finops.connectors.anthropic.reported import PROVIDER, meter_of, reported_counts
from finops.connectors.anthropic.usage import tier_of
from finops.connectors.pages import BodyUnreadable, Page
from finops.connectors.reports import (
    METER,
    Bucket,
    Row,
    Wrong,
    bucket,
    category,
    cost,
    event,
    key,
    parsed,
    people,
    tags,
)
from finops.connectors.types import NO_COUNTS, Received, UsageEvent
from finops.core.tokens import METER_INDEX

PARSER: Final = "anthropic_analytics"
# Everything rows can be grouped by and added up, but for the actor, which is an object.
GROUPS: Final = (
    "organization_id",
    "workspace_id",
    "actor_type",
    "api_key_id",
    "user_profile_id",
    "model",
    "product",
    "service_tier",
    "speed",
    "context_window",
    "inference_geo",
    "cost_type",
    "token_type",
    "session_id",
    "agent_id",
    "deployment_id",
    "environment_id",
    "slack_channel_id",
    "claude_tag_category",
    "claude_tag_user_id",
)
OVERLAPPING: Final = "rbac_group_id"
# What no field of an event holds.
_KEPT: Final = tuple(
    name
    for name in GROUPS
    if name not in {"workspace_id", "api_key_id", "model", "service_tier", "speed", "session_id"}
)
_REQUESTS: Final = METER_INDEX["requests"]


def parse(raw: bytes) -> Received:
    """One row, `{"row": {"starting_at", "ending_at", "group", "usage" or "cost"}}`, with its `ordinal` where several
    rows have the same group.
    """
    return parsed(raw, _event)


def cut(body: bytes, *, told: MutableMapping[str, int] | None = None) -> Page:
    """A page of either report. Raises BodyUnreadable, for pages grouped by RBAC group too.

    Actors that cannot be shown are null, each a row of its own, so rows of one group are numbered. Give the same `told`
    to all pages of a run, for rows of one group may stand on two.
    """
    page = cutting.read(body)
    rows = [bytes(one) for one in page.data]
    if any(_overlaps(row) for row in rows):
        raise BodyUnreadable("The report is grouped by rbac_group_id: its rows overlap and must not be added up.")
    return Page(cutting.numbered(({"row": row} for row in rows), parse, {} if told is None else told), page.next)


def _overlaps(row: bytes) -> bool:
    said = cutting.fields(row) or {}
    group = cutting.fields(bytes(said.get("group", b"null"))) or {}
    return bytes(group.get(OVERLAPPING, b"null")) != b"null"


def _event(record: Row) -> UsageEvent:
    row = record.needed("row")
    starts = row.instant("starting_at")
    found = bucket(starts, row.instant("ending_at"), "row.ending_at")
    group = row.inside("group")
    if group.has(OVERLAPPING):
        raise Wrong("connectors.rows_overlap", f"row.group.{OVERLAPPING}", "rows of RBAC groups overlap")
    said = {name: group.text(name) for name in GROUPS}
    actor = dict(_actor(group.inside("actor")))
    report = "analytics_cost" if row.has("cost") else "analytics_usage"
    who = ":".join(actor[name] for name in ("type", "id") if actor.get(name))
    ordinal = max(record.count("ordinal"), 1)
    record.external_id = key(report, starts, [("actor", who), *said.items()], ordinal)
    made = _base(record.external_id, found, said, actor)
    if row.has("cost"):
        return _of_cost(row.inside("cost"), made, said)
    return _of_usage(row.needed("usage"), made, said)


def _base(external_id: str, found: Bucket, said: dict[str, str], actor: dict[str, str]) -> dict[str, Any]:
    key_id = said["api_key_id"] or actor.get("key", "")
    return {
        "external_id": external_id,
        "occurred_at": found.start,
        "provider": PROVIDER,
        "model": said["model"],
        "service_tier": tier_of(service_tier=said["service_tier"], speed=said["speed"], geo=said["inference_geo"]),
        "provider_account": said["workspace_id"],
        "session": said["session_id"],
        "identities": people(email=actor.get("email", ""), provider_user=actor.get("user", ""), key_alias=key_id),
        "tags": {
            "bucket": found.width,
            "actor_provider": actor.get("provider", ""),
            **{name: said[name] for name in _KEPT},
        },
    }


def _of_usage(usage: Row, made: dict[str, Any], said: dict[str, str]) -> UsageEvent:
    told = usage.count("requests") if usage.has("requests") else None
    counts = reported_counts(usage, window=said["context_window"], requests=told)
    tokens = sum(counts[:_REQUESTS])
    if usage.has("total_tokens") and tokens > usage.count("total_tokens"):
        message = f"the tokens ({tokens}) are part of total_tokens and cannot exceed it"
        raise Wrong("connectors.subset_exceeds_total", f"{usage.where}total_tokens", message)
    kept = {**made["tags"], "requests": "at least" if told is None else ""}
    return event(**made | {"counts": counts, "evidence": "metered", "tags": tags(kept)})


def _of_cost(said: Row, made: dict[str, Any], group: dict[str, str]) -> UsageEvent:
    """Requests stand beside the money in some groupings; the calls are those of the usage, so here they are a tag."""
    given = cost(said, "amount", said.text("currency"), places=CENTS)
    # In cents, as it came.
    listed = said.text("list_amount")
    requests = str(said.count("requests")) if said.has("requests") else ""
    kept = {**made["tags"], METER: meter_of(group), "list_amount_cents": listed, "requests": requests}
    found = {"counts": NO_COUNTS, "evidence": "billed", "category": category(given), "cost": given, "tags": tags(kept)}
    return event(**made | found)


def _actor(actor: Row) -> Iterator[tuple[str, str]]:
    """What is said of whom usage is attributed to; `type` and `id` together name them.

    A kind that is not known is kept by its name, and told apart by the ids it has under known names.
    """
    yield "type", actor.text("type")
    email, user, account = actor.text("email_address"), actor.text("user_id"), actor.text("service_account_id")
    subject, key_id = actor.text("subject"), actor.text("api_key_id")
    provider = actor.inside("provider")
    names = ("type", "account_id", "project_number", "subscription_id", "issuer")
    issuer = ":".join(filter(None, (provider.text(name) for name in names)))
    yield "provider", issuer
    yield "email", email
    yield "user", user or account or subject
    yield "key", key_id
    yield "id", user or account or ":".join(filter(None, (issuer, subject))) or key_id or email
