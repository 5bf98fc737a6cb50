"""Langfuse's observations, by its public API: `GET /api/public/v2/observations` with the fields
`core,basic,model,usage,metadata,trace_context`, or the older `GET /api/public/observations`. Pure.

Only generations and embeddings are calls; what stands around them may repeat their sums. See README.md beside this
file.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from finops.connectors.foreign import Part, Wrong, counts_of, plain, received, rows_of, tags_of
from finops.connectors.keeping import ALL, Shape, kept, object_of, unwrapped, written
from finops.connectors.langfuse.usage import usage_of
from finops.connectors.pages import Page
from finops.connectors.telling import first, identities, mapping, words
from finops.connectors.types import Received, UsageEvent
from finops.core.money import to_ledger

PARSER: Final = "langfuse_observations"
NOT_USAGE: Final = "connectors.not_usage"
_WHAT: Final = "a page of Langfuse's observations"
_OBSERVATION: Final[Shape] = {
    **dict.fromkeys(("id", "traceId", "projectId", "type", "name", "startTime", "environment", "release"), ALL),
    **dict.fromkeys(("userId", "sessionId", "providedModelName", "model", "usageDetails", "totalCost"), ALL),
    **dict.fromkeys(("calculatedTotalCost", "traceName", "tags", "level"), ALL),
    "usage": {"unit": ALL},
}
# What OpenTelemetry said before Langfuse made its own kinds of it.
_ATTRIBUTES: Final[Shape] = dict.fromkeys(
    (
        "gen_ai.provider.name", "gen_ai.system", "gen_ai.response.id", "gen_ai.usage.input_tokens",
        "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_write.input_tokens", "gen_ai.usage.cache_read_tokens", "gen_ai.usage.cache_write_tokens",
    ),
    ALL,
)  # fmt: skip
_CALLS: Final = frozenset({"GENERATION", "EMBEDDING"})
_MOST_COST: Final = Decimal(10) ** 12
_MOST_TAGS: Final = 20


def cut(body: bytes, *, inclusive: bool = False) -> Page:
    """A page's calls; what was asked and answered is left out. `next` is the cursor of the newer endpoint, or the
    number of the older one's next page. `inclusive`: see `usage.usage_of`. Raises BodyUnreadable.
    """
    said = object_of(body, _WHAT)
    rows = []
    for one in rows_of(said, "data", _WHAT):
        made: dict[str, Any] = {"observation": kept(one, _OBSERVATION)}
        attributes = kept(_attributes(one), _ATTRIBUTES)
        if attributes:
            made["attributes"] = attributes
        if inclusive:
            made["inclusive"] = True
        row = written(made)
        found = parse(row)
        if found.problem is None or found.problem.code != NOT_USAGE:
            rows.append(row)
    return Page(tuple(rows), _next(mapping(said.get("meta"))))


def parse(raw: bytes) -> Received:
    """One observation as `cut` leaves it."""
    return received(raw, _event, lambda record: words(record.part("observation").get("id")))


def _event(record: Part) -> UsageEvent:
    said = record.part("observation")
    kind = said.needed("type").upper()
    if kind not in _CALLS:
        raise Wrong("not_usage", "observation.type", f"{kind[:60]}: no call of a model")
    attributes = mapping(record.get("attributes"))
    model = first(said.get("providedModelName"), said.get("model"))
    usage = said.part("usageDetails").values
    if not any(usage.values()):
        if words(said.get("level")).upper() == "ERROR" or not model:
            raise Wrong("not_usage", "observation.usageDetails", "a call that failed and used nothing")
        raise Wrong("usage_missing", "observation.usageDetails", "a call of a model that does not say what it used")
    if not model:
        raise said.missing("providedModelName")
    unit = words(mapping(said.get("usage")).get("unit"))
    if unit and unit.upper() != "TOKENS":
        raise Wrong("usage_unreadable", "observation.usage.unit", f"it is counted in {unit[:60]}, which are no meter")
    inclusive = record.get("inclusive") is True or _was_inclusive(usage, attributes)
    return UsageEvent(
        external_id=said.needed("id"),
        occurred_at=said.moment("startTime"),
        provider=first(attributes.get("gen_ai.provider.name"), attributes.get("gen_ai.system")).lower(),
        model=model,
        counts=counts_of(usage_of(usage, inclusive=inclusive)),
        provider_request_id=words(attributes.get("gen_ai.response.id")),
        session=words(said.get("sessionId")),
        identities=identities(provider_user=words(said.get("userId"))),
        tags=tags_of(_tags(said)),
        evidence="reported",
    )


def _was_inclusive(usage: Mapping[str, Any], attributes: Mapping[str, Any]) -> bool:
    """OpenTelemetry's input holds what was cached. Where Langfuse shows that same number as the input, and the cached
    tokens beside it, it has not taken them out.
    """
    told = attributes.get("gen_ai.usage.input_tokens")
    cached = any(attributes.get(name) for name in _ATTRIBUTES if "cache" in name)
    return bool(told) and cached and words(told) == words(usage.get("input"))


def _tags(said: Part) -> dict[str, str]:
    made = {
        "langfuse_project": words(said.get("projectId")),
        "langfuse_environment": words(said.get("environment")),
        "langfuse_release": words(said.get("release")),
        "langfuse_name": words(said.get("name")),
        "langfuse_trace": first(said.get("traceName"), said.get("traceId")),
    }
    cost = said.decimal("totalCost")
    cost = said.decimal("calculatedTotalCost") if cost is None else cost
    if cost is not None:
        if abs(cost) >= _MOST_COST:
            raise said.invalid("totalCost", "no single call costs this much")
        made["langfuse_cost_usd"] = plain(to_ledger(cost)) if cost else "0"
    told = said.get("tags")
    for tag in told[:_MOST_TAGS] if isinstance(told, list) else ():
        key, _, value = words(tag).partition(":")
        if key.strip():
            made.setdefault(key.strip().lower(), value.strip() or "true")
    return made


def _attributes(observation: Any) -> Any:
    """Of an observation that came by OpenTelemetry, its metadata holds the span's attributes, as an object or text."""
    metadata = unwrapped(mapping(observation).get("metadata"))
    return unwrapped(mapping(metadata).get("attributes"))


def _next(meta: Mapping[str, Any]) -> str:
    cursor = meta.get("cursor")
    if isinstance(cursor, str) and cursor:
        return cursor
    page, pages = meta.get("page"), meta.get("totalPages")
    return str(page + 1) if type(page) is int and type(pages) is int and 0 < page < pages else ""
