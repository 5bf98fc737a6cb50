"""How often a call may be tried, and where each try may land, by the router's settings.

What is held is tries × the dearest deployment. The router has more ways to go on than can be listed (orders, failover,
fallbacks of fallbacks, streams that are begun anew), so the count is an allowance and not a guess: the plug-in is asked
before every try, and a try that was not held for is not made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from capstan_litellm.values import get

_FALLBACKS: Final = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")
_MOST_GROUPS: Final = 50


@dataclass(frozen=True, slots=True)
class Deployment:
    """Where a try may land, as Capstan's prices know it."""

    provider: str
    model: str


@dataclass(frozen=True, slots=True)
class Plan:
    """`deployments` in the order they are found, that of the model asked for first. `names` has each under all the
    spellings by which LiteLLM may call it at a try.
    """

    deployments: tuple[Deployment, ...]
    names: Mapping[str, Deployment]
    tries: int
    extra_bytes: int = 0


# LiteLLM's own `get_llm_provider`: (model as configured, provider as configured) -> (model, provider).
Split = Callable[[str, str | None], tuple[str, str]]


def plan_of(data: Mapping[str, Any], router: Any, split: Split, *, team: str | None, most: int) -> Plan:
    model = str(data.get("model") or "")
    settings = _settings_of(data)
    groups = _reachable(model, data, settings, router)
    deployments: dict[Deployment, None] = {}
    names: dict[str, Deployment] = {}
    tries = 0
    for group in groups:
        rows = rows_of(router, group, team)
        own = [(deployment_of(row, split), row) for row in rows] or [(Deployment(*_swap(split(group, None))), {})]
        for one, row in own:
            deployments.setdefault(one)
            names = _names(one, row, group) | names
        tries += (1 + _retries(group, data, settings, router, (row for _, row in own))) * _rounds(own, router)
    extra = sum(len(str(one)) for one in _edges_of_dicts(data, settings, router))
    return Plan(tuple(deployments), names, max(1, min(tries, most)), extra)


def fallbacks_of(model: str, data: Mapping[str, Any], router: Any) -> tuple[str, ...]:
    """The model, and where a call of it goes on to when it fails, in order: by the call itself, or by the router."""
    return _reachable(model, data, _settings_of(data), router, _FALLBACKS[:1])


def without_fallbacks(plan: Plan, deployment: Deployment, names: Mapping[str, Deployment]) -> Plan:
    """Of a call that was moved to another model: only that was held for."""
    return Plan((deployment,), names, plan.tries)


def tried(plan: Plan, model: str, provider: str, name: str) -> Deployment | None:
    """Which of a plan's deployments a try is of. With its provider first: two may offer models of one name."""
    return next((plan.names[one] for one in (f"{provider}/{name}", model, name) if one in plan.names), None)


def group_of(
    model: str, router: Any, split: Split, *, team: str | None
) -> tuple[str, Deployment, Mapping[str, Deployment]] | None:
    """A model group every deployment of which is this model."""
    known = [one for one in (get(router, "model_names") or ()) if isinstance(one, str)]
    for group in sorted(known, key=lambda name: (name != model, name)):
        rows = rows_of(router, group, team)
        made = [(deployment_of(row, split), row) for row in rows]
        if made and all(one.model == model for one, _ in made) and len({one.provider for one, _ in made}) == 1:
            names: dict[str, Deployment] = {}
            for one, row in made:
                names |= _names(one, row, group)
            return group, made[0][0], names
    return None


def _settings_of(data: Mapping[str, Any]) -> Mapping[str, Any]:
    override = data.get("router_settings_override")
    return override if isinstance(override, Mapping) else {}


def _reachable(
    model: str, data: Mapping[str, Any], settings: Mapping[str, Any], router: Any, kinds: tuple[str, ...] = _FALLBACKS
) -> tuple[str, ...]:
    if data.get("disable_fallbacks"):
        return (model,)
    found: dict[str, None] = {model: None}
    waiting = [model]
    while waiting and len(found) < _MOST_GROUPS:
        at = waiting.pop(0)
        for other in _next(at, data, settings, router, kinds):
            if other not in found:
                found[other] = None
                waiting.append(other)
    return tuple(found)


def _next(
    group: str, data: Mapping[str, Any], settings: Mapping[str, Any], router: Any, kinds: tuple[str, ...]
) -> list[str]:
    made: list[str] = []
    for edges in _edges(data, settings, router, kinds):
        for edge in edges:
            if isinstance(edge, str):
                made.append(edge)
                continue
            if not isinstance(edge, Mapping):
                continue
            if isinstance(edge.get("model"), str):
                made.append(edge["model"])
            for source, targets in edge.items():
                # Wildcards and provider prefixes are matched generously: more is held, never less.
                if isinstance(targets, list) and (
                    source in (group, "*") or group.endswith(f"/{source}") or "*" in source
                ):
                    made += [name for target in targets if (name := _name(target))]
    return made


def _edges(
    data: Mapping[str, Any], settings: Mapping[str, Any], router: Any, kinds: tuple[str, ...] = _FALLBACKS
) -> Iterable[list[Any]]:
    for name in kinds:
        for place in (data, settings, router):
            found = get(place, name)
            if isinstance(found, list):
                yield found
                break


def _edges_of_dicts(data: Mapping[str, Any], settings: Mapping[str, Any], router: Any) -> Iterable[Any]:
    """Fallbacks that change more than the model: what they add may be read."""
    for edges in _edges(data, settings, router):
        for edge in edges:
            targets = (
                [one for value in edge.values() if isinstance(value, list) for one in value]
                if isinstance(edge, Mapping)
                else ()
            )
            yield from (one for one in targets if isinstance(one, Mapping))


def _name(target: Any) -> str:
    found = target if isinstance(target, str) else get(target, "model")
    return found if isinstance(found, str) else ""


def _retries(group: str, data: Mapping[str, Any], settings: Mapping[str, Any], router: Any, rows: Iterable[Any]) -> int:
    if isinstance(data.get("num_retries"), int) and data["num_retries"] >= 0:
        most = [data["num_retries"]]
    else:
        most = [_whole(get(settings, "num_retries")), _whole(get(router, "num_retries"))]
        most += [_whole(get(get(row, "litellm_params"), "num_retries")) for row in rows]
    policies = [get(router, "retry_policy"), get(settings, "retry_policy")]
    for place in (router, settings):
        by_group = get(place, "model_group_retry_policy")
        policies.append(by_group.get(group) if isinstance(by_group, Mapping) else None)
    if data.get("num_retries") != 0:
        for policy in policies:
            values = (
                policy.values() if isinstance(policy, Mapping) else vars(policy).values() if policy is not None else ()
            )
            most += [_whole(value) for value in values]
    return max(most, default=0)


def _rounds(own: list[tuple[Deployment, Any]], router: Any) -> int:
    """How often a group is begun anew: once for each order of its deployments, or each of them under failover."""
    orders = {get(get(row, "litellm_params"), "order") for _, row in own} - {None}
    return max(len(orders), len(own) if get(router, "enable_weighted_failover") else 1, 1)


def _whole(value: Any) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value[:6])
    return value if isinstance(value, int) and value > 0 else 0


def rows_of(router: Any, group: str, team: str | None) -> list[Any]:
    if router is None:
        return []
    found = router.get_model_list(model_name=group, team_id=team)
    return list(found or ())


def deployment_of(row: Any, split: Split) -> Deployment:
    """Azure's deployments have names of their own; `base_model` says what they are."""
    params = get(row, "litellm_params")
    base = get(get(row, "model_info"), "base_model") or get(params, "base_model")
    model, provider = split(str(get(params, "model") or ""), get(params, "custom_llm_provider"))
    if isinstance(base, str) and base:
        model = base.rpartition("/")[2]
    return Deployment(provider, model)


def _names(one: Deployment, row: Any, group: str) -> dict[str, Deployment]:
    configured = str(get(get(row, "litellm_params"), "model") or "") or group
    spellings = (f"{one.provider}/{one.model}", configured, configured.partition("/")[2] or configured, one.model)
    return dict.fromkeys(spellings, one)


def _swap(pair: tuple[str, str]) -> tuple[str, str]:
    return pair[1], pair[0]
