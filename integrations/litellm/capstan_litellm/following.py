"""A call by what Capstan's rules say of it: what is asked, where the call goes, and how each try is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from capstan_litellm.body import ALL_LIMITS, CHAT, FAMILIES, LIMITS, MESSAGES, RESPONSES, Ask, said_first
from capstan_litellm.calls import Call
from capstan_litellm.owner import MOST_TAGS, Owner
from capstan_litellm.routing import EXCLUDED, Routed, RouteRefused, Use
from capstan_litellm.settings import FIRST, Settings
from capstan_litellm.tries import Deployment, Split, deployment_of, fallbacks_of, rows_of

# As Capstan takes a text.
_LONGEST_TEXT: Final = 32_768
# Where each family says how much a model is to reason: a field, or a field within one.
_EFFORTS: Final = {
    CHAT: ("reasoning_effort", ""),
    RESPONSES: ("reasoning", "effort"),
    MESSAGES: ("output_config", "effort"),
}


def question_of(
    call_id: str, data: Mapping[str, Any], ask: Ask, owner: Owner, offers: list[dict[str, Any]], settings: Settings
) -> dict[str, Any]:
    """As `POST /api/v1/authorizations/route` takes it. Of the text only its length, unless more is to be shown."""
    first = said_first(data)
    question = {
        "id": call_id,
        "model": ask.model,
        "offers": offers,
        "input": {"bytes": ask.size, "messages": ask.messages, "tools": ask.tools, "audio_tokens": ask.audio_tokens},
        "characters": len(first),
        "text": first[:_LONGEST_TEXT] if settings.route_text == FIRST else "",
        "dimensions": owner.dimensions,
        "identities": owner.identities,
        "tags": owner.tags,
        "session": owner.session,
        "task_type": owner.task_type,
        "depth": owner.depth,
    }
    return {name: value for name, value in question.items() if value not in ("", {}) or name in ("id", "model")}


def follow(data: dict[str, Any], routed: Routed, router: Any) -> None:
    """The call goes the way it is routed, and on from there the way it would have gone; never where limits forbid.
    Raises RouteRefused.
    """
    asked = str(data.get("model") or "")
    # What was asked for is among the models, unless it may not be gone to or is none.
    _, *others = fallbacks_of(asked, data, router)
    chain = list(dict.fromkeys([*(routed.models or (asked,)), *others]))
    if routed.allowed is not None:
        chain = [one for one in chain if one in routed.allowed]
        # Those would be gone to by other ways than this chain.
        data["context_window_fallbacks"] = data["content_policy_fallbacks"] = []
    elif chain[0] == asked:
        return
    if not chain:
        raise RouteRefused(403, EXCLUDED, "The rules of routing leave none of this proxy's models for this call")
    data["model"] = chain[0]
    if chain[1:]:
        data["fallbacks"] = chain[1:]
    else:
        data.pop("fallbacks", None)
        data["disable_fallbacks"] = True


def begun_anew(model: str, before: Routed) -> Routed:
    """Of a call that LiteLLM begins anew with another model: it was routed already, and its limits hold on."""
    if before.allowed is not None and model not in before.allowed:
        raise RouteRefused(403, EXCLUDED, f"The rules of routing do not leave {model} for this call")
    return Routed(
        models=(model,), uses=before.uses, allowed=before.allowed, rule=before.rule, rule_id=before.rule_id,
        version=before.version, arm=before.arm,
    )  # fmt: skip


def tagged(tags: Mapping[str, str], routed: Routed) -> dict[str, str]:
    """The decision goes before what clients say."""
    return dict(
        list((routed.tags | {name: value for name, value in tags.items() if name not in routed.tags}).items())[
            :MOST_TAGS
        ]
    )


def uses_of(routed: Routed, router: Any, split: Split, team: str | None) -> dict[Deployment, Use]:
    """How tries at each deployment are made."""
    return {
        deployment_of(row, split): use for model, use in routed.uses.items() for row in rows_of(router, model, team)
    }


def shape(kwargs: dict[str, Any], kind: str, use: Use) -> None:
    """One try, as the rule wants the model used. `kind` is LiteLLM's word for what it calls."""
    family = FAMILIES.get(kind, "")
    if use.effort and family in _EFFORTS:
        name, inner = _EFFORTS[family]
        before = kwargs.get(name)
        kwargs[name] = {**(before if isinstance(before, Mapping) else {}), inner: use.effort} if inner else use.effort
    if use.most_output_tokens is not None and LIMITS.get(family):
        named = [one for one in ALL_LIMITS if isinstance(kwargs.get(one), int)] or LIMITS[family][:1]
        for one in named:
            kwargs[one] = min(kwargs.get(one) or use.most_output_tokens, use.most_output_tokens)


def logged(call: Call) -> dict[str, Any]:
    """What LiteLLM's own logs say of it."""
    route = call.route
    return {"rule": route.rule, "version": route.version, "arm": route.arm} if route.arm else {}
