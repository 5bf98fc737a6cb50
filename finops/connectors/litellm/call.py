"""One call as LiteLLM 1.106 tells it, by its callback or by its log of spend, as the event it means. Pure.

Both ways lead through here, so that the same call told by both is the same event. See README.md beside this file.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from finops.connectors.anthropic.usage import tier_of
from finops.connectors.counting import Meters
from finops.connectors.dialects import chat, usage_of
from finops.connectors.foreign import Part, Wrong, counts_of, given_cost, key_of, plain, tags_of
from finops.connectors.telling import identities, mapping, pairs, words
from finops.connectors.types import GivenCost, Problem, UsageEvent
from finops.core.money import to_ledger
from finops.core.tokens import MAX_COUNT, TOKEN_METERS

NOT_USAGE: Final = "connectors.not_usage"

# What LiteLLM adds to a provider's id, so that its own table takes the row: when it answered from its cache, and that
# the row is the cost of a batch.
_ADDED: Final = re.compile(r"(?:_cache_hit\d+(?:\.\d+)?|_batch_cost)$")
_OWN_RESPONSE: Final = re.compile(r"^resp_([A-Za-z0-9+/=]{20,})$")
_NO_ID: Final = frozenset({"", "None"})
_NOBODY: Final = "default_user_id"
_AGENT_TAG: Final = "user-agent:"
_STANDARD: Final = frozenset({"default", "standard", "auto"})
_BATCHES: Final = frozenset({"retrieve_batch"})
# Calls of a model: one that says neither what it used nor what it cost is held. All other routes list, store or delete.
_MODEL_CALLS: Final = frozenset(
    {
        *("completion", "text_completion", "embedding", "responses", "anthropic_messages", "generate_content"),
        *("generate_content_stream", "image_generation", "image_edit", "transcription", "speech", "rerank"),
    }
)
# LiteLLM's routes to the same provider, in the price book's words.
_PROVIDERS: Final = {
    "anthropic_text": "anthropic",
    "azure_text": "azure",
    "cohere_chat": "cohere",
    "litellm_proxy": "litellm",
    "text-completion-openai": "openai",
    "vertex_ai_beta": "vertex_ai",
}
# Where a model of one's own runs: the address is the host whose price counts.
_SELF_HOSTED: Final = frozenset(
    {
        *("hosted_vllm", "vllm", "ollama", "ollama_chat", "openai_like", "custom_openai", "lm_studio", "llamafile"),
        *("xinference", "triton", "docker_model_runner", "lemonade", "custom"),
    }
)


class Told(NamedTuple):
    """What LiteLLM says of a call. Text is '' where nothing is said; `usage` is what the provider said, or None;
    `is_whole` whether that has its details; `tags` are what its users and its own tables say.
    """

    call_id: str
    response_id: str
    call_type: str
    status: str
    from_cache: bool
    at: datetime
    provider: str
    model: str
    priced_as: str
    api_base: str
    tier: str
    usage: Mapping[str, Any] | None
    is_whole: bool
    waits: bool
    batched: int
    cost: Decimal | None
    email: str
    user: str
    key_alias: str
    key: str
    session: str
    tags: Mapping[str, str]


def event_of(told: Told) -> UsageEvent:
    """Raises Wrong; with the code NOT_USAGE for what no provider charges for."""
    made, cost, evidence = _used(told)
    if not told.model:
        raise Wrong("field_missing", "model", "model is required")
    return UsageEvent(
        external_id=external_id(told),
        # The log of spend keeps milliseconds, cut off.
        occurred_at=told.at - timedelta(microseconds=told.at.microsecond % 1000),
        provider=_PROVIDERS.get(told.provider.lower(), told.provider.lower()),
        model=_model(told),
        counts=counts_of(made),
        service_tier=_tier(told),
        host=_host(told),
        provider_request_id=_provider_request_id(told),
        session="" if told.session == told.call_id else told.session,
        evidence=evidence,
        identities=identities(
            email=told.email,
            provider_user="" if told.user == _NOBODY else told.user,
            key_alias=told.key_alias or told.key,
        ),
        tags=tags_of({**told.tags, **_own_tags(told)}),
        cost=cost,
    )


def external_id(told: Told) -> str:
    """What identifies a try. LiteLLM's own id is the request's: a fallback and the follow-up calls of its tools share
    it, so the provider's id belongs to it. A batch is one charge, however often it is asked for.
    """
    response = _response_id(told)
    if _kind(told) in _BATCHES and response:
        return key_of(("batch", response))
    parts = [part for part in dict.fromkeys((told.call_id, response)) if part not in _NO_ID]
    if not parts:
        raise Wrong("field_missing", "litellm_call_id", "litellm_call_id is required, or id")
    return key_of(parts)


def usage_said(*, whole: Any, flat: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, bool]:
    """The provider's usage and whether it has its details; the totals alone where that is all there is."""
    if isinstance(whole, Mapping) and whole:
        return whole, True
    if whole is not None and whole != {}:
        raise Wrong("usage_unreadable", "usage", "usage: expected an object")
    totals = {name: flat.get(name) for name in ("prompt_tokens", "completion_tokens", "total_tokens")}
    return (totals if any(value is not None for value in totals.values()) else None), False


def tier_said(usage: Any, answered: Any, billed: Any) -> str:
    """The tier that served, in the words of the price book: the provider's own word, in its usage or its answer, goes
    before what LiteLLM reckoned with. The standard price is '' under any of its words, so that a way that does not say
    it says the same.
    """
    said = mapping(usage)
    tier = tier_of(service_tier=said.get("service_tier"), speed=said.get("speed"), geo=said.get("inference_geo"))
    found = tier or words(answered).lower() or words(billed).lower()
    return "" if found in _STANDARD else found[:60]


def request_tags(said: Any) -> dict[str, str]:
    """`key:value` tags, and `key` alone as true. Those that LiteLLM makes of the User-Agent are nobody's."""
    made: dict[str, str] = {}
    for tag in said if isinstance(said, list) else ():
        text = words(tag)
        if text and not text.lower().startswith(_AGENT_TAG):
            key, _, value = text.partition(":")
            if key.strip():
                made.setdefault(key.strip().lower()[:60], value.strip() or "true")
    return made


def owners(metadata: Mapping[str, Any], **told: Any) -> dict[str, str]:
    """LiteLLM's own words for whose a call was, as tags."""
    said = {
        "litellm_team_id": told["team"],
        "litellm_team": metadata.get("user_api_key_team_alias"),
        "litellm_organization_id": told["organization"],
        "litellm_project_id": metadata.get("user_api_key_project_id"),
        "litellm_project": metadata.get("user_api_key_project_alias"),
        "litellm_end_user": _end_user(words(told["end_user"])),
        "litellm_key": told["key"],
        "litellm_model_group": told["group"],
        "litellm_deployment": told["deployment"],
    }
    return {
        **dict(pairs(metadata.get("spend_logs_metadata"))),
        **request_tags(told["tags"]),
        **{name: found for name, value in said.items() if (found := words(value))},
    }


def named(record: Part, *, key: str) -> str:
    """The id of a record whose rest cannot be read."""
    parts = [_ADDED.sub("", words(record.get(name))) for name in ("litellm_call_id", key)]
    return key_of([part for part in dict.fromkeys(parts) if part not in _NO_ID])


def _used(told: Told) -> tuple[Meters, GivenCost | None, str]:
    """Meters, a cost where there is nothing to price, and how sure that is."""
    if told.from_cache:
        return {}, GivenCost(0, "USD"), "reported"
    made = _meters(told)
    if any(made.get(name) for name in (*TOKEN_METERS, "web_searches")):
        if told.batched:
            made["requests"] = told.batched
        return made, None, "metered" if told.is_whole else "estimated"
    if told.status == "failure" or told.waits:
        raise Wrong("not_usage", "usage", "a call that failed, or has not begun, and used nothing")
    if told.cost is not None and told.cost > 0:
        return {"requests": told.batched or 1}, given_cost(told.cost, "USD", "response_cost"), "reported"
    if _kind(told) in _MODEL_CALLS:
        raise Wrong("usage_missing", "usage", "a call of a model that says neither what it used nor what it cost")
    raise Wrong("not_usage", "usage", f"a call that uses no model: {told.call_type[:60] or 'no call_type'}")


def _meters(told: Told) -> Meters:
    if told.usage is None:
        return {}
    made = usage_of(told.usage) if told.is_whole else chat(told.usage)
    if isinstance(made, Problem):
        raise _wrong(made)
    return made


def _wrong(found: Problem) -> Wrong:
    wrong = Wrong("usage_unreadable", found.field, found.message)
    wrong.problem = found
    return wrong


def _own_tags(told: Told) -> dict[str, str]:
    made = {"litellm_call_type": told.call_type}
    # Of an answer from its cache LiteLLM says in one place what it saved.
    if told.cost is not None and not told.from_cache:
        made["litellm_cost_usd"] = plain(to_ledger(told.cost)) if told.cost else "0"
    if told.status not in ("", "success"):
        made["litellm_status"] = told.status
    if told.from_cache:
        made["litellm_cache"] = "hit"
    return made


def _kind(told: Told) -> str:
    """`litellm.completion`, `acompletion` and `completion` are the same."""
    name = told.call_type.rpartition(".")[2].lstrip("_")
    return name[1:] if name[:1] == "a" and name[1:] in _MODEL_CALLS | _BATCHES else name


def _model(told: Told) -> str:
    """At Azure the name is the deployment's, which its owner chose; LiteLLM's map says what it is."""
    return told.priced_as if told.priced_as and told.provider.lower().startswith("azure") else told.model


def _host(told: Told) -> str:
    return host_of(told.api_base) if told.provider.lower() in _SELF_HOSTED else ""


def host_of(address: Any) -> str:
    """Of an address no more is read or kept: the rest may hold a secret."""
    try:
        return (urlsplit(words(address)).hostname or "")[:200]
    except ValueError:
        return ""


def _tier(told: Told) -> str:
    if told.from_cache:
        return ""
    return "batch" if _kind(told) in _BATCHES else told.tier


def _provider_request_id(told: Told) -> str:
    """'' where there was no request of the provider's: what failed has none, a batch is many, and what came from
    LiteLLM's cache repeats the id of the call that filled it.
    """
    found = _response_id(told)
    if told.from_cache or _kind(told) in _BATCHES or found in _NO_ID or found == told.call_id:
        return ""
    return found


def _response_id(told: Told) -> str:
    """As the provider gave it. LiteLLM wraps a response's id, so that it finds the deployment again."""
    found = _ADDED.sub("", told.response_id)
    wrapped = _OWN_RESPONSE.match(found)
    if wrapped:
        try:
            inside = base64.b64decode(wrapped.group(1), validate=True).decode("utf-8")
        except (binascii.Error, ValueError):
            return found
        marked, _, own = inside.rpartition("response_id:")
        if marked.startswith("litellm:") and own and own.isprintable():
            return own[:200]
    return found


def _end_user(said: str) -> str:
    """Claude Code writes a device, an account and a session into that field; it names no customer."""
    return "" if said.startswith("{") or "_session_" in said else said


def batched(record: Part, name: str) -> int:
    """How many requests a batch answered; 0 where nothing is said."""
    value = record.get(name)
    return value if type(value) is int and 0 < value <= MAX_COUNT else 0
