"""One call as Helicone tells it, by its webhook or its query API, as the event it means. Pure.

Helicone's own counts leave out the cached or the thought tokens in some versions and hold them in others; the answer of
the provider, which it keeps, says them as the provider does, so only that is read. See README.md beside this file.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from finops.connectors.anthropic.usage import tier_of
from finops.connectors.dialects import tools_in, usage_of
from finops.connectors.foreign import Part, Wrong, counts_of, plain, tags_of
from finops.connectors.keeping import ALL, Shape, kept, object_of, value_of
from finops.connectors.telling import first, identities, mapping, words
from finops.connectors.types import NO_TIME, GivenCost, UsageEvent
from finops.core.money import to_ledger

NOT_USAGE: Final = "connectors.not_usage"
ANSWER: Final[Shape] = {
    **dict.fromkeys(("id", "responseId", "model", "modelVersion", "created", "created_at", "service_tier"), ALL),
    **dict.fromkeys(("usage", "usageMetadata"), ALL),
}
# xAI is called X there; the others are the providers' names in capitals.
_PROVIDERS: Final = {"x": "x-ai"}
_FAILED: Final = "failed"
_SESSION: Final = "helicone-session-id"
_MOST_COST: Final = Decimal(10) ** 12


def answer_of(said: Any) -> dict[str, Any] | None:
    """What is kept of a provider's answer, which comes as an object or as its text; None for what is none, as where
    Helicone keeps it elsewhere because it is long.
    """
    if isinstance(said, str):
        try:
            said = value_of(said.encode("utf-8", "replace"))
        except ValueError:
            return None
    made = kept(said, ANSWER)
    if made is not None:
        made["output"] = tools_in(said)
        if mapping(said).get("error"):
            made[_FAILED] = True
    return made


def stored_answer(stored: bytes) -> Any:
    """The answer in the object that Helicone keeps of a call (`{"request": …, "response": …}`); None where it has none.
    Raises BodyUnreadable for what is no such object: a page of HTML, or nothing.
    """
    return object_of(stored, "what Helicone keeps of a call").get("response")


def event_of(
    record: Part,
    *,
    user: Any,
    at: datetime | None = None,
    model: str = "",
    properties: Mapping[str, str] | None = None,
    cost: Decimal | None = None,
    from_cache: bool = False,
    failed: bool = False,
) -> UsageEvent:
    """Raises Wrong; with the code NOT_USAGE for what no provider charges for."""
    answer = mapping(record.get("answer"))
    tags = dict(properties or {})
    session = tags.pop(_SESSION, "")
    if cost is not None:
        if abs(cost) >= _MOST_COST:
            raise Wrong("field_invalid", "cost", "cost: no single call costs this much")
        tags["helicone_cost_usd"] = plain(to_ledger(cost)) if cost else "0"
    if from_cache:
        tags["helicone_cache"] = "hit"
    usage = mapping(answer.get("usage") or answer.get("usageMetadata"))
    if not usage and not from_cache:
        if failed or answer.get(_FAILED):
            raise Wrong("not_usage", "response_body", "a call that failed and used nothing")
        raise Wrong(
            "usage_missing", "response_body", "the provider's answer is not there, or says no usage; Helicone keeps it"
        )
    when = at or _made_at(answer)
    provider = words(record.get("provider")).lower()
    return UsageEvent(
        external_id=record.needed("request_id"),
        occurred_at=when or NO_TIME,
        undated=when is None,
        provider=_PROVIDERS.get(provider, provider),
        model=_model(answer, model),
        counts=counts_of({} if from_cache else usage_of(usage, output=answer.get("output") or ())),
        service_tier="" if from_cache else _tier(usage, answer),
        provider_request_id="" if from_cache else first(answer.get("id"), answer.get("responseId")),
        session=session,
        identities=identities(provider_user=words(user)),
        tags=tags_of(tags),
        cost=GivenCost(0, "USD") if from_cache else None,
        evidence="reported" if from_cache else "metered",
    )


def _tier(usage: Mapping[str, Any], answer: Mapping[str, Any]) -> str:
    tier = tier_of(service_tier=usage.get("service_tier"), speed=usage.get("speed"), geo=usage.get("inference_geo"))
    return (tier or words(answer.get("service_tier")).lower())[:60]


def _model(answer: Mapping[str, Any], told: str) -> str:
    """What answered, then what was asked for."""
    found = first(answer.get("model"), answer.get("modelVersion"), told)
    if not found:
        raise Wrong("field_missing", "model", "model is required")
    return found


def _made_at(answer: Mapping[str, Any]) -> datetime | None:
    """OpenAI and those who speak its dialect say when they answered, in whole seconds."""
    for name in ("created", "created_at"):
        value = answer.get(name)
        if type(value) is int and 0 < value < 10**11:
            return Part({name: value}).of_seconds(name)
    return None
