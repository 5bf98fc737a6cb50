"""Reads of alerts: rules, channels, incidents with their words, deliveries. Organization first, total order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from django.conf import settings
from django.db.models import Q, QuerySet
from django.urls import reverse

from finops.alerts.models import AlertRule, Channel, Delivery, Incident
from finops.alerts.rules.words import EVENTS, Called, told
from finops.alerts.types import Event, Story
from finops.budgets import selectors as budgets
from finops.budgets.models import Budget
from finops.budgets.rules.sight import Sight, sees, subjects_seen
from finops.budgets.types import OWNERS
from finops.core.errors import NotFound
from finops.orgs import selectors as orgs
from finops.orgs.rules import Caller
from finops.sources.models import Source

STATES: Final = ("open", "acknowledged", "resolved")
MOST_COUNTED: Final = 99
_NOBODY: Final = frozenset({"0", "-", ""})


def rules(organization_id: int, *, archived: bool = False) -> QuerySet[AlertRule]:
    rows = AlertRule.objects.filter(organization_id=organization_id).order_by("id")
    return rows if archived else rows.filter(archived_at__isnull=True)


def rule(organization_id: int, rule_id: int) -> AlertRule:
    """Raises NotFound."""
    found = rules(organization_id, archived=True).filter(id=rule_id).first()
    if found is None:
        raise NotFound("There is no such rule.")
    return found


def channels(organization_id: int, *, archived: bool = False) -> QuerySet[Channel]:
    rows = Channel.objects.filter(organization_id=organization_id).order_by("id")
    return rows if archived else rows.filter(archived_at__isnull=True)


def channel(organization_id: int, channel_id: int) -> Channel:
    """Raises NotFound."""
    found = channels(organization_id, archived=True).filter(id=channel_id).first()
    if found is None:
        raise NotFound("There is no such channel.")
    return found


# --- Incidents --------------------------------------------------------------------------------------------------------
def incidents_seen(caller: Caller, *, state: str = "", kind: str = "") -> QuerySet[Incident]:
    """Incidents a caller may see, newest first: all of them for who reaches everything and may see people, for others
    those about accounts and owners within their sight, as with budgets.
    """
    rows = Incident.objects.filter(organization_id=caller.organization_id).order_by("-id")
    if kind:
        rows = rows.filter(kind=kind)
    if state:
        rows = rows.filter(_in_state(state))
    if caller.sees_people and not caller.reach:
        return rows
    return rows.filter(_within(caller.organization_id, budgets.sight_of(caller)))


def incident_seen(caller: Caller, incident_id: int) -> Incident:
    """Raises NotFound, also for one that is not to be seen."""
    found = incidents_seen(caller).filter(id=incident_id).first()
    if found is None:
        raise NotFound("There is no such incident.")
    return found


def open_count(caller: Caller) -> int:
    """How many incidents that the caller may see wait for somebody; more than MOST_COUNTED are counted no further."""
    return incidents_seen(caller, state="open").order_by()[: MOST_COUNTED + 1].count()


def state_of(row: Incident) -> str:
    if row.resolved_at is not None:
        return "resolved"
    return "open" if row.acknowledged_at is None else "acknowledged"


def _in_state(state: str) -> Q:
    if state == "resolved":
        return Q(resolved_at__isnull=False)
    return Q(resolved_at__isnull=True, acknowledged_at__isnull=state == "open")


def _within(organization_id: int, sight: Sight) -> Q:
    """Of a budget: the accounts within sight. Of an owner: the owners. Of neither: what is the whole organization's."""
    found = Q(pk__in=[])
    by_subjects: dict[frozenset[str] | None, list[int]] = defaultdict(list)
    for row in budgets.budgets(organization_id, archived=True).values_list("id", "scope", "each"):
        by_subjects[subjects_seen(sight, row[1], row[2])].append(row[0])
    for subjects, ids in by_subjects.items():
        found |= Q(budget_id__in=ids) if subjects is None else Q(budget_id__in=ids, subject__in=subjects)
    for dimension in OWNERS:
        known = frozenset[int]().union(
            *(by.get(dimension, frozenset()) for by in (sight.reach, sight.own, sight.belongs))
        )
        seen = [str(one) for one in known if sees(sight, {dimension: [str(one)]}, "", "")]
        found |= Q(budget_id__isnull=True, dimension=dimension, subject__in=seen)
    if not sight.reach:
        found |= Q(budget_id__isnull=True) & ~Q(dimension__in=["person", "key", "session"])
    return found


def stories(organization_id: int, told_of: Iterable[tuple[Incident, str]]) -> list[Story]:
    """Incidents in words, each with what happened to it. Names cost one question per kind."""
    rows = list(told_of)
    names = _Names(organization_id, [incident for incident, _ in rows])
    return [_story(incident, event, names) for incident, event in rows]


def _story(incident: Incident, event: str, names: _Names) -> Story:
    title, sentences = told(incident.kind, incident.details, names.of(incident))
    if event == Event.RESOLVED and incident.resolution:
        sentences = (*sentences, incident.resolution)
    return Story(
        id=incident.id,
        kind=incident.kind,
        key=incident.key,
        severity=incident.severity,
        event=event,
        title=EVENTS.get(event, "") + title,
        sentences=sentences,
        details=incident.details,
        opened_at=incident.opened_at,
        seen=incident.count,
        href=names.href(incident),
    )


class _Names:
    """What the things of some incidents are called, read at once."""

    def __init__(self, organization_id: int, rows: list[Incident]) -> None:
        self._organization = orgs.organization(organization_id)
        wanted = {one.budget_id for one in rows if one.budget_id}
        found = Budget.objects.filter(organization_id=organization_id, id__in=wanted) if wanted else ()
        self._budgets = {one.id: one for one in found}
        ids: dict[str, set[int]] = defaultdict(set)
        for one in rows:
            kind = self._dimension(one)
            if kind in (*OWNERS, "source") and one.subject.isdigit() and one.subject not in _NOBODY:
                ids[kind].add(int(one.subject))
        self._owners = {
            kind: orgs.owner_names(organization_id, kind, frozenset(some))
            for kind, some in ids.items()
            if kind in OWNERS
        }
        self._owners["source"] = dict(
            Source.objects.filter(organization_id=organization_id, id__in=ids["source"]).values_list("id", "name")
            if ids["source"]
            else ()
        )

    def of(self, incident: Incident) -> Called:
        budget = self._budgets.get(incident.budget_id or 0)
        name = budget.name if budget else ""
        return Called(name, self._whose(incident), self._organization.reporting_currency)

    def _dimension(self, incident: Incident) -> str:
        """What the subject is of: as it says, or as its budget has it."""
        budget = self._budgets.get(incident.budget_id or 0)
        return incident.dimension or (budget.each if budget and incident.subject else "")

    def _whose(self, incident: Incident) -> str:
        kind, subject = self._dimension(incident), incident.subject
        if not kind:
            return ""
        if subject in _NOBODY:
            return "nobody" if kind == "person" else f"no {kind}"
        if kind in self._owners and subject.isdigit():
            return self._owners[kind].get(int(subject), f"{kind} #{subject}")
        return f"{kind} {subject}"

    def href(self, incident: Incident) -> str:
        """Its page, where this site's address is known."""
        if not settings.PUBLIC_URL:
            return ""
        given = {"organization": self._organization.slug, "incident_id": incident.id}
        return f"{settings.PUBLIC_URL}{reverse('dashboards:incident', kwargs=given)}"


# --- Deliveries -------------------------------------------------------------------------------------------------------
def deliveries(
    organization_id: int, *, channel_id: int | None = None, incident_id: int | None = None, state: str = ""
) -> QuerySet[Delivery]:
    """Newest first."""
    rows = Delivery.objects.filter(organization_id=organization_id).select_related("channel").order_by("-id")
    if channel_id is not None:
        rows = rows.filter(channel_id=channel_id)
    if incident_id is not None:
        rows = rows.filter(incident_id=incident_id)
    return rows.filter(state=state) if state else rows


def due_channels(at: datetime) -> list[int]:
    """Channels with something that is due."""
    due = Delivery.objects.filter(state__in=[Delivery.State.WAITING, Delivery.State.SENDING], next_try_at__lte=at)
    return sorted(set(due.order_by().values_list("channel_id", flat=True).distinct()))
