"""The navigation, by people's jobs: understand spend, put right what is wrong, set things up. Shown by permission."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from django.urls import reverse

from finops.alerts import selectors as alerts
from finops.ledger.selectors.sessions import FILTERS as SESSION_FILTERS
from finops.orgs.rules import Caller, Permission, charge_filters


@dataclass(frozen=True, slots=True)
class Entry:
    """One line. `key` is what a page calls itself, `url` a name of `dashboards.urls`, `hint` its keyboard letter."""

    key: str
    label: str
    icon: str
    permission: Permission
    hint: str = ""
    # Whether there is something for a caller with the permission; None: always.
    told: Callable[[Caller], bool] | None = None
    # How many things wait behind it.
    waiting: Callable[[Caller], int] | None = None


def sessions_told(caller: Caller) -> bool:
    """Sessions know no team, so who leads one reads charges instead."""
    return set(charge_filters(caller)) <= set(SESSION_FILTERS)


def sees_spend(caller: Caller) -> bool:
    """Where money went is told to who may ask what was spent."""
    return caller.can(Permission.SPEND_READ)


def somebody(caller: Caller) -> bool:
    """A login that is a person here: only those have headroom of their own."""
    return caller.person_id is not None


@dataclass(frozen=True, slots=True)
class Link:
    label: str
    icon: str
    href: str
    current: bool
    hint: str
    waiting: int = 0


GROUPS: Final[tuple[tuple[str, tuple[Entry, ...]], ...]] = (
    (
        "Understand",
        (
            Entry("overview", "Overview", "overview", Permission.SPEND_READ, "o"),
            Entry("spend", "Spend", "spend", Permission.SPEND_READ, "s"),
            Entry("charges", "Charges", "charges", Permission.CHARGES_READ, "c"),
            Entry("sessions", "Sessions", "sessions", Permission.CHARGES_READ, "e", sessions_told),
            Entry("value", "Cost, energy, value", "value", Permission.ROUTING_READ),
        ),
    ),
    (
        "Keep within",
        (
            Entry("headroom", "My headroom", "headroom", Permission.BUDGETS_READ, "m", somebody),
            Entry("caps", "Caps", "caps", Permission.BUDGETS_READ, "b"),
            Entry("stops", "Stops and breakers", "stops", Permission.BUDGETS_READ, "x"),
            Entry("increases", "Requests for more", "inbox", Permission.BUDGETS_ASK, "r"),
            Entry("incidents", "Incidents", "bell", Permission.ALERTS_READ, "i", waiting=alerts.open_count),
        ),
    ),
    (
        "Route",
        (
            Entry("recommendations", "Recommendations", "recommendations", Permission.ROUTING_READ, "d"),
            Entry("experiments", "Experiments", "experiments", Permission.ROUTING_READ, "g"),
            Entry("routing_rules", "Routing rules", "routing", Permission.ROUTING_READ, "f"),
            Entry("task_types", "Task types", "task_types", Permission.ROUTING_READ, "y"),
            Entry("tiers", "Where frontier is needed", "tiers", Permission.ROUTING_READ, told=sees_spend),
            Entry("savings", "Rollouts and savings", "savings", Permission.ROUTING_READ, "z"),
        ),
    ),
    (
        "Put right",
        (
            Entry("unpriced", "Unpriced", "unpriced", Permission.PRICING_MANAGE, "u"),
            Entry("rules", "Attribution", "rules", Permission.ATTRIBUTION_MANAGE, "a"),
            Entry("shared", "Shared costs", "shared", Permission.ORG_READ, "h"),
            Entry("reconciliation", "Reconciliation", "reconciliation", Permission.AUDIT_READ),
            Entry("months", "Months", "calendar", Permission.AUDIT_READ),
            Entry("sources", "Sources and quarantine", "sources", Permission.QUARANTINE_MANAGE, "q"),
        ),
    ),
    (
        "Set up",
        (
            Entry("prices", "Prices", "prices", Permission.PRICING_READ, "p"),
            Entry("seats", "Seats", "seats", Permission.PRICING_READ),
            Entry("people", "People and teams", "people", Permission.PEOPLE_READ, "t"),
            Entry("keys", "Keys", "keys", Permission.KEYS_MANAGE, "k"),
            Entry("upstreams", "Upstreams", "upstreams", Permission.GATEWAY_READ, "w"),
            Entry("captures", "Captures", "lock", Permission.GATEWAY_READ, "v"),
            Entry("connect", "Connect", "connect", Permission.GATEWAY_READ, "n"),
            Entry("alert_rules", "Alert rules", "warning", Permission.ALERTS_READ, "l"),
            Entry("settings", "Settings", "settings", Permission.ORG_READ),
        ),
    ),
    (
        "Watch",
        (
            Entry("jobs", "Jobs", "jobs", Permission.JOBS_RUN, "j"),
            Entry("audit", "Audit trail", "audit", Permission.AUDIT_READ),
        ),
    ),
)


def links(caller: Caller, current: str) -> list[tuple[str, list[Link]]]:
    """Groups with the entries this caller may open; a group with none is left out."""
    found = []
    for title, entries in GROUPS:
        allowed = [
            Link(
                entry.label,
                entry.icon,
                reverse(f"dashboards:{entry.key}", kwargs={"organization": caller.organization_slug}),
                entry.key == current,
                entry.hint,
                entry.waiting(caller) if entry.waiting else 0,
            )
            for entry in entries
            if caller.can(entry.permission) and (entry.told is None or entry.told(caller))
        ]
        if allowed:
            found.append((title, allowed))
    return found
