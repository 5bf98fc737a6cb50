"""A model at an upstream, as LiteLLM is told of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from routing.rules.types import Within
from routing.upstreams.types import Auth, Dialect

# LiteLLM's word for whom it speaks to, where it has one of its own; anything else is spoken to as OpenAI is.
_PROVIDERS: Final = {
    **{one: one for one in ("azure", "deepseek", "groq", "mistral", "openrouter")},
    "together": "together_ai",
    "fireworks": "fireworks_ai",
    "vllm": "hosted_vllm",
}
_AZURE: Final = "azure"
# LiteLLM's word for Azure's API below /openai/v1, which is what upstreams of that provider speak.
_AZURE_VERSION: Final = "v1"
_NO_CREDENTIAL: Final = "none"
_NO_NAME: Final = re.compile(r"[^A-Z0-9]")


class Served(NamedTuple):
    """Clients say `model`, the upstream is sent `upstream_model`. Lower `rank` is tried first; among equals `weight`
    decides.
    """

    model: str
    upstream_model: str
    upstream: str
    dialect: str
    base_url: str
    provider: str
    host: str = ""
    auth: str = Auth.BEARER
    region: str = ""
    labels: frozenset[str] = frozenset()
    headers: Mapping[str, str] = {}
    rank: int = 0
    weight: int = 1
    # Who made the model, and where that is; '' where nobody knows.
    vendor: str = ""
    origin: str = ""

    @property
    def names(self) -> frozenset[str]:
        """What a limit or a client may call the upstream."""
        return frozenset({self.upstream, self.provider, self.host} - {""})


class Part(NamedTuple):
    """Deployments of one model in a group, and the share of its calls that they answer together."""

    served: tuple[Served, ...]
    share: float = 1.0


def left(served: Iterable[Served], limits: Iterable[Within]) -> tuple[Served, ...]:
    """Those that all limits leave; of prices they say nothing here (`sayable.why_no_limit`)."""
    every = tuple(limits)
    return tuple(one for one in served if all(_leaves(limit, one) for limit in every))


def variables(upstreams: Iterable[Served]) -> dict[str, str]:
    """The environment's name for the credential of each upstream that has one."""
    found: dict[str, str] = {}
    for one in sorted({each.upstream for each in upstreams if each.auth != Auth.NONE}):
        word = _NO_NAME.sub("_", one.upper())
        name = f"{'UPSTREAM_' if word[0].isdigit() else ''}{word}_API_KEY"
        # `a-b` and `a_b` are two upstreams.
        while name in found.values():
            name += "_2"
        found[one] = name
    return found


def entries(group: str, parts: Sequence[Part], credentials: Mapping[str, str]) -> list[dict[str, Any]]:
    """The group's entries of `model_list`. Among several parts only what is tried first has a place."""
    mixed = len(parts) > 1
    found: list[dict[str, Any]] = []
    ranks = sorted({one.rank for part in parts for one in part.served})
    for place, part in enumerate(parts):
        first = min((one.rank for one in part.served), default=0)
        served = [one for one in part.served if not mixed or one.rank == first]
        whole = sum(one.weight for one in served)
        for one in served:
            params = _params(one, credentials)
            if not mixed and len(ranks) > 1:
                params["order"] = ranks.index(one.rank) + 1
            if mixed or len(served) > 1:
                params["weight"] = round(part.share * one.weight / whole, 6)
            found.append(
                {
                    "model_name": group,
                    "litellm_params": params,
                    "model_info": _info(f"{group}{' as asked' * place}", one),
                }
            )
    return found


def _params(one: Served, credentials: Mapping[str, str]) -> dict[str, Any]:
    secret = f"os.environ/{credentials[one.upstream]}" if one.upstream in credentials else _NO_CREDENTIAL
    params: dict[str, Any] = {
        "model": f"{_word(one)}/{one.upstream_model}",
        "api_base": one.base_url,
        "api_key": secret,
    }
    headers = dict(one.headers)
    if _word(one) == _AZURE:
        params["api_version"] = _AZURE_VERSION
    elif one.dialect == Dialect.OPENAI and one.auth in (Auth.X_API_KEY, Auth.API_KEY):
        headers[one.auth] = secret
    return params | ({"extra_headers": headers} if headers else {})


def _word(one: Served) -> str:
    return "anthropic" if one.dialect == Dialect.ANTHROPIC else _PROVIDERS.get(one.provider, "openai")


def _info(group: str, one: Served) -> dict[str, Any]:
    """What the plug-in tells Capstan of it, should it ask where calls go; and what tells it apart in LiteLLM's logs."""
    said: dict[str, Any] = {
        "id": f"{group} at {one.upstream} as {one.upstream_model}",
        "base_model": f"azure/{one.model}" if one.provider == _AZURE and one.model != one.upstream_model else "",
        "capstan_upstream": one.upstream,
        "capstan_host": one.host,
        "capstan_region": one.region,
        "capstan_labels": sorted(one.labels),
    }
    return {name: value for name, value in said.items() if value}


def _leaves(limit: Within, one: Served) -> bool:
    return (
        (not limit.labels or not one.labels.isdisjoint(limit.labels))
        and (not limit.regions or one.region in limit.regions)
        and (not limit.only or not one.names.isdisjoint(limit.only))
        and one.names.isdisjoint(limit.never)
        and not limit.why_not_made(one.vendor, one.origin)
    )
