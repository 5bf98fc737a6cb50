"""The question bar: the same on every page about spend. Period, grouping, comparison, filters as chips."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from django.urls import reverse

from dashboards import periods
from dashboards.access import Here
from dashboards.scope import GRAIN_NAMES, Scope

MONTHS_OFFERED = 12


@dataclass(frozen=True, slots=True)
class Chip:
    """One filter value, with the address of the same question without it."""

    label: str
    value: str
    remove: str


@dataclass(frozen=True, slots=True)
class Bar:
    scope: Scope
    action: str
    earlier: str
    later: str
    moving: tuple[tuple[str, str], ...]
    months: tuple[tuple[str, str], ...]
    fiscal: tuple[tuple[str, str], ...]
    listed: bool
    groups: tuple[tuple[str, str], ...]
    grains: tuple[tuple[str, str], ...]
    chips: tuple[Chip, ...]
    clear: str
    hidden: tuple[tuple[str, str], ...]
    pickers: tuple[tuple[str, str], ...]
    with_group: bool
    with_compare: bool


def bar(
    here: Here,
    scope: Scope,
    key: str,
    *,
    with_group: bool = False,
    with_compare: bool = True,
    only: Collection[str] | None = None,
) -> Bar:
    """One query per filtered dimension, for the chips' names. `only`: the dimensions there are filters for."""
    action = address(here, key)

    def link(other: Scope) -> str:
        return f"{action}?{other.query()}"

    months = tuple(periods.months_back(here.now.date(), MONTHS_OFFERED))
    fiscal = tuple(periods.fiscal_back(here.now.date(), here.calendar, MONTHS_OFFERED))
    offered = scope.dimensions.offered(here.caller)
    known = {token for token, _ in (*periods.MOVING, *months, *fiscal)}
    pick = reverse("dashboards:pick", kwargs={"organization": here.caller.organization_slug})
    return Bar(
        scope=scope,
        action=action,
        earlier=_at_period(action, scope, scope.period.earlier),
        later=_at_period(action, scope, scope.period.later),
        moving=periods.MOVING,
        months=months,
        fiscal=fiscal,
        listed=scope.period.token in known,
        groups=tuple(offered.items()),
        grains=tuple((grain.value, name) for grain, name in GRAIN_NAMES.items()),
        chips=_chips(here, scope, link),
        clear=link(scope.with_(filters={})),
        hidden=tuple((name, str(one)) for name in sorted(scope.filters) for one in sorted(scope.filters[name])),
        pickers=tuple(
            (label, f"{pick}?for={key}&pick={name}&{scope.query()}")
            for name, label in offered.items()
            if only is None or name in only
        ),
        with_group=with_group,
        with_compare=with_compare,
    )


def address(here: Here, key: str) -> str:
    return reverse(f"dashboards:{key}", kwargs={"organization": here.caller.organization_slug})


def _at_period(action: str, scope: Scope, token: str) -> str:
    """The same question about another period; '' where there is none (the future)."""
    if not token:
        return ""
    query = scope.query().split("&", 1)
    return "&".join([f"{action}?period={token}", *query[1:]])


def _chips(here: Here, scope: Scope, link: Callable[[Scope], str]) -> tuple[Chip, ...]:
    found = []
    for name in sorted(scope.filters):
        called = here.reader.names(scope, name, scope.filters[name])
        found += [
            Chip(scope.dimensions.label(name), called[one], link(scope.without(name, one)))
            for one in sorted(scope.filters[name])
        ]
    return tuple(found)
