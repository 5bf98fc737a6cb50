"""Lines of Portkey's log export (JSONL): one call each, with the columns that were asked for. Pure.

Counted is what the provider's answer says (`response`). The units beside it are not read: for Anthropic they leave out
what was cached in some versions of the gateway and hold it in others. See README.md beside this file.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from finops.connectors.anthropic.usage import tier_of
from finops.connectors.dialects import tools_in, usage_of
from finops.connectors.foreign import Part, Wrong, counts_of, plain, received, tags_of
from finops.connectors.keeping import ALL, UNREADABLE, Shape, kept, unwrapped, values_of, written
from finops.connectors.pages import Page
from finops.connectors.telling import first, identities, mapping, pairs, words
from finops.connectors.types import GivenCost, Received, UsageEvent
from finops.core.money import to_ledger

PARSER: Final = "portkey_logs"
NOT_USAGE: Final = "connectors.not_usage"
_SHAPE: Final[Shape] = {
    **dict.fromkeys(("id", "trace_id", "created_at", "is_success", "ai_org", "ai_model", "cost", "cost_currency"), ALL),
    **dict.fromkeys(("response_status_code", "cache_status", "config", "prompt_slug", "metadata", UNREADABLE), ALL),
}
_ANSWER: Final[Shape] = {
    **dict.fromkeys(("id", "model", "modelVersion", "service_tier", "usage", "usageMetadata"), ALL),
}
_HITS: Final = frozenset({"hit", "semantic hit"})
_FAILED: Final = frozenset({"0", "false"})
_USER: Final = "_user"
# Cents, of which Portkey says so many as one call costs.
_MOST_CENTS: Final = Decimal(10) ** 14


def cut(body: bytes) -> Page:
    """An export's calls that are usage; what was asked and answered is left out. Raises BodyUnreadable."""
    rows = []
    for one in values_of(body, "an export of Portkey's logs"):
        made = kept(one, _SHAPE)
        if made is not None:
            made["answer"] = _answer(unwrapped(one.get("response")))
            made["metadata"] = unwrapped(one.get("metadata"))
        row = written(made)
        found = parse(row)
        if found.problem is None or found.problem.code != NOT_USAGE:
            rows.append(row)
    return Page(tuple(rows))


def parse(raw: bytes) -> Received:
    """One call as `cut` leaves it."""
    return received(raw, _event, lambda record: words(record.get("id")))


def _event(record: Part) -> UsageEvent:
    if record.has(UNREADABLE):
        raise Wrong("malformed", "$", "a line of the export was no JSON; what it said is not kept")
    from_cache = words(record.get("cache_status")).lower() in _HITS
    answer = mapping(record.get("answer"))
    usage = mapping(answer.get("usage") or answer.get("usageMetadata"))
    if not usage and not from_cache:
        raise _without_usage(record)
    model = first(record.get("ai_model"), answer.get("model"), answer.get("modelVersion"))
    if not model:
        raise record.missing("ai_model")
    metadata = dict(pairs(record.get("metadata")))
    user = metadata.pop(_USER, "")
    return UsageEvent(
        external_id=record.needed("id"),
        occurred_at=record.moment("created_at"),
        provider=words(record.get("ai_org")).lower(),
        model=model,
        counts=counts_of({} if from_cache else usage_of(usage, output=answer.get("output") or ())),
        service_tier="" if from_cache else _tier(usage, answer),
        provider_request_id="" if from_cache else _request_id(answer),
        session=words(record.get("trace_id")),
        identities=identities(provider_user=user),
        tags=tags_of({**metadata, **_own_tags(record, from_cache=from_cache)}),
        cost=GivenCost(0, "USD") if from_cache else None,
        evidence="reported" if from_cache else "metered",
    )


def _answer(said: Any) -> dict[str, Any] | None:
    made = kept(said, _ANSWER)
    if made is not None:
        made["output"] = tools_in(said)
    return made


def _without_usage(record: Part) -> Wrong:
    status = record.get("response_status_code")
    failed = words(record.get("is_success")).lower() in _FAILED or (type(status) is int and status >= 400)
    if failed:
        return Wrong("not_usage", "response", "a call that failed and used nothing")
    return Wrong("usage_missing", "response", "the provider's answer says no usage: export the column Response too")


def _tier(usage: Mapping[str, Any], answer: Mapping[str, Any]) -> str:
    tier = tier_of(service_tier=usage.get("service_tier"), speed=usage.get("speed"), geo=usage.get("inference_geo"))
    return (tier or words(answer.get("service_tier")).lower())[:60]


def _request_id(answer: Mapping[str, Any]) -> str:
    """Where a provider gives none, as Bedrock, the gateway puts the milliseconds of its clock there: two calls of one
    moment would be one.
    """
    found = words(answer.get("id"))
    return "" if found.isdigit() else found


def _own_tags(record: Part, *, from_cache: bool) -> dict[str, str]:
    made = {
        "portkey_config": words(record.get("config")),
        "portkey_prompt": words(record.get("prompt_slug")),
    }
    cents = record.decimal("cost")
    if cents is not None:
        if abs(cents) >= _MOST_CENTS:
            raise record.invalid("cost", "no single call costs this much")
        made["portkey_cost_usd"] = plain(to_ledger(cents / 100)) if cents else "0"
    if from_cache:
        made["portkey_cache"] = "hit"
    return made
