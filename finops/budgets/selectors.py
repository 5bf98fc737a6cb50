"""What budgets are, and how they stand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db import connection
from django.db.models import Q, QuerySet

from finops.budgets.models import Budget, BudgetsVersion, Increase
from finops.budgets.rules.envelope import Envelope
from finops.budgets.rules.sight import Sight, subjects_seen
from finops.budgets.types import Enforcement, Period, Terms
from finops.core.errors import NotFound
from finops.core.money import to_pico
from finops.orgs import selectors as orgs
from finops.orgs.models import Agent, Person, Project, VirtualKey
from finops.orgs.rules import Caller, Permission

# Snapshots of this many organizations are kept by a process; the least recently made goes first.
_KEPT: Final = 200


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An organization's budgets at one moment, and its teams with all that are above each. Immutable."""

    token: UUID | None
    terms: tuple[Terms, ...]
    above: Mapping[int, frozenset[int]]


class AccountRow(NamedTuple):
    """One account as it stands, what was observed and not yet added included. Amounts are of the reporting currency."""

    id: int
    budget_id: int
    subject: str
    starts_at: datetime
    ends_at: datetime | None
    limit_amount: Decimal
    carried: Decimal
    authorised: Decimal
    leased: Decimal
    observed: Decimal

    @property
    def spent(self) -> Decimal:
        return self.authorised + self.observed

    @property
    def left(self) -> Decimal:
        """What is neither spent nor in a gateway's hands; less than nothing where more was observed than allowed."""
        return self.limit_amount - self.spent - self.leased


_kept: dict[int, Snapshot] = {}


def load_snapshot(organization_id: int) -> Snapshot:
    """The budgets in force or to come. One small query when nothing changed since this process last asked."""
    token = BudgetsVersion.objects.filter(organization_id=organization_id).values_list("token", flat=True).first()
    kept = _kept.get(organization_id)
    if kept is not None and kept.token == token:
        return kept
    made = Snapshot(token, (), {}) if token is None else _read(organization_id, token)
    _kept.pop(organization_id, None)
    _kept[organization_id] = made
    while len(_kept) > _KEPT:
        _kept.pop(next(iter(_kept)), None)
    return made


def _read(organization_id: int, token: UUID) -> Snapshot:
    rows = budgets(organization_id).prefetch_related("exceptions")
    return Snapshot(token, tuple(terms_of(row) for row in rows), teams_above(organization_id))


def teams_above(organization_id: int) -> dict[int, frozenset[int]]:
    """Each team with every team above it, itself included."""
    parents = orgs.team_parents(organization_id)
    return {team: _chain(parents, team) for team in parents}


def _chain(parents: Mapping[int, int | None], team: int) -> frozenset[int]:
    found: set[int] = set()
    here: int | None = team
    while here is not None and here not in found:
        found.add(here)
        here = parents.get(here)
    return frozenset(found)


def terms_of(row: Budget) -> Terms:
    """A budget as the rules read it; one that is only tried has no id and no exceptions yet."""
    exceptions = list(row.exceptions.all()) if row.id else []
    return Terms(
        budget_id=row.id or 0,
        organization_id=row.organization_id,
        limit_pico=to_pico(row.limit_amount),
        period=Period(row.period),
        enforcement=Enforcement(row.enforcement),
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        zone=row.timezone,
        scope={dimension: frozenset(values) for dimension, values in row.scope.items()},
        each=row.each,
        limits={one.subject: to_pico(one.limit_amount) for one in exceptions if one.limit_amount is not None},
        exempt=frozenset(one.subject for one in exceptions if one.limit_amount is None),
        rollover_pico=to_pico(row.rollover_amount),
        fail_open=row.fail_open,
        downgrade_to=tuple((one["provider"], one["model"]) for one in row.downgrade_to),
        downgrade_at=row.downgrade_at,
    )


def budgets(organization_id: int, *, archived: bool = False) -> QuerySet[Budget]:
    """By id; without those that are archived, unless they are asked for."""
    rows = Budget.objects.filter(organization_id=organization_id)
    return (rows if archived else rows.filter(archived_at__isnull=True)).order_by("id")


def budget(organization_id: int, budget_id: int, *, lock: bool = False) -> Budget:
    """Raises NotFound."""
    rows = Budget.objects.filter(organization_id=organization_id, id=budget_id)
    found = (rows.select_for_update() if lock else rows).first()
    if found is None:
        raise NotFound("there is no such budget")
    return found


_ACCOUNTS: Final = """
SELECT a.id, a.budget_id, a.subject, a.starts_at, a.ends_at, a.limit_amount, a.carried, a.authorised, a.leased,
    a.observed + coalesce((SELECT sum(o.amount) FROM budgets_observed AS o WHERE o.account_id = a.id), 0)
FROM budgets_account AS a WHERE a.organization_id = %s AND {condition} ORDER BY a.id LIMIT %s
"""


def open_accounts_of(organization_id: int, budget_id: int, at: datetime) -> list[AccountRow]:
    """Accounts of a budget whose period holds an instant, by id."""
    return _accounts(
        "a.budget_id = %s AND a.starts_at <= %s AND (a.ends_at IS NULL OR a.ends_at > %s)",
        [organization_id, budget_id, at, at],
    )


def accounts(organization_id: int, ids: Iterable[int]) -> list[AccountRow]:
    """Accounts by their ids, in that order."""
    return _accounts("a.id = ANY(%s)", [organization_id, list(ids)])


def _accounts(condition: str, parameters: list[Any], limit: int | None = None) -> list[AccountRow]:
    with connection.cursor() as cursor:
        cursor.execute(_ACCOUNTS.format(condition=condition), [*parameters, limit])
        return [AccountRow(*row) for row in cursor.fetchall()]


def accounts_seen(
    organization_id: int, budget_id: int, at: datetime, *, subjects: frozenset[str] | None, after: int, limit: int
) -> list[AccountRow]:
    """A page of the accounts whose period holds an instant, by id: those behind `after`; None is every subject."""
    condition = "a.budget_id = %s AND a.starts_at <= %s AND (a.ends_at IS NULL OR a.ends_at > %s) AND a.id > %s"
    parameters: list[Any] = [organization_id, budget_id, at, at, after]
    if subjects is not None:
        condition += " AND a.subject = ANY(%s)"
        parameters.append(sorted(subjects))
    return _accounts(condition, parameters, limit=limit)


def envelopes(organization_id: int, at: datetime) -> list[Envelope]:
    """Managers' budgets in force that are about teams and nothing else."""
    rows = budgets(organization_id).filter(by_lead=False, scope__has_key="team", starts_at__lte=at)
    return [
        Envelope(frozenset(row.scope["team"]), Period(row.period), row.limit_amount)
        for row in rows.exclude(ends_at__lte=at)
        if set(row.scope) == {"team"}
    ]


# --- What a caller may see --------------------------------------------------------------------------------------------
def sight_of(caller: Caller) -> Sight:
    """What of accounts a caller may see. For a login that reaches teams, with what belongs to those teams."""
    mine = {"organization_id": caller.organization_id}
    own: dict[str, frozenset[int]] = {}
    belongs: dict[str, frozenset[int]] = {}
    if caller.person_id is not None:
        own["person"] = frozenset({caller.person_id})
    if caller.user_id is not None and caller.person_id is not None:
        own["key"] = _ids(VirtualKey.objects.filter(**mine, person_id=caller.person_id))
    if caller.user_id is not None and caller.reach:
        teams = caller.reach.get("team", frozenset())
        belongs["project"] = _ids(Project.objects.filter(**mine, team_id__in=teams))
        theirs = Q(project_id__in=belongs["project"]) | Q(owner_id__isnull=False, owner_id=caller.person_id)
        belongs["agent"] = _ids(Agent.objects.filter(theirs, **mine))
        if caller.sees_people:
            belongs["person"] = _ids(Person.objects.filter(**mine, team_id__in=teams))
            belongs["key"] = _ids(VirtualKey.objects.filter(**mine, team_id__in=teams))
    return Sight(
        people=caller.sees_people,
        reach=caller.reach,
        own=own,
        belongs=belongs,
        own_anywhere=caller.user_id is not None,
    )


def _ids(rows: QuerySet[Any]) -> frozenset[int]:
    return frozenset(rows.values_list("id", flat=True))


def budgets_seen(caller: Caller, *, archived: bool = False) -> QuerySet[Budget]:
    """The budgets whose terms a caller may read, by id: every one for who manages them. For others not those about
    teams and owners beyond their reach, nor those about people they may not see.
    """
    rows = budgets(caller.organization_id, archived=archived)
    if caller.can(Permission.BUDGETS_MANAGE):
        return rows
    for name, ids in caller.reach.items():
        reached = set(ids)
        if name == "team":
            above = teams_above(caller.organization_id)
            reached |= {one for team in ids for one in above.get(team, ())}
        rows = rows.filter(
            ~Q(scope__has_key=name) | Q(**{f"scope__{name}__has_any_keys": sorted(str(one) for one in reached)})
        )
    if not caller.sees_people:
        me = Q(scope__person=[str(caller.person_id)])
        rows = rows.filter(~Q(scope__has_key="person") | me, ~Q(scope__has_key="key"))
    return rows


def budget_seen(caller: Caller, budget_id: int) -> Budget:
    """Raises NotFound, also for one the caller may not read."""
    found = budgets_seen(caller, archived=True).filter(id=budget_id).first()
    if found is None:
        raise NotFound("there is no such budget")
    return found


def increases_seen(caller: Caller, *, state: str = "") -> QuerySet[Increase]:
    """Requests for more, newest first: every one for who manages budgets, for others their own and those about accounts
    they may see.
    """
    rows = Increase.objects.filter(organization_id=caller.organization_id).select_related("budget")
    if state:
        rows = rows.filter(state=state)
    if not caller.can(Permission.BUDGETS_MANAGE):
        rows = rows.filter(_concerning(caller) | Q(asked_by=caller.actor.reference))
    return rows.order_by("-id")


def _concerning(caller: Caller) -> Q:
    sight = sight_of(caller)
    by_subjects: dict[frozenset[str] | None, list[int]] = defaultdict(list)
    rows = Budget.objects.filter(organization_id=caller.organization_id, increases__isnull=False).distinct()
    for budget_id, scope, each in rows.values_list("id", "scope", "each"):
        by_subjects[subjects_seen(sight, scope, each)].append(budget_id)
    found = Q(pk__in=[])
    for subjects, ids in by_subjects.items():
        found |= Q(budget_id__in=ids) if subjects is None else Q(budget_id__in=ids, subject__in=subjects)
    return found
