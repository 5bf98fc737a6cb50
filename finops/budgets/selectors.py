"""What budgets are, and how they stand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet

from finops.budgets.models import Budget, BudgetsVersion
from finops.budgets.types import Enforcement, Period, Terms
from finops.core.errors import NotFound
from finops.core.money import to_pico
from finops.orgs import selectors as orgs

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
FROM budgets_account AS a WHERE a.organization_id = %s AND {condition} ORDER BY a.id
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


def _accounts(condition: str, parameters: list[Any]) -> list[AccountRow]:
    with connection.cursor() as cursor:
        cursor.execute(_ACCOUNTS.format(condition=condition), parameters)
        return [AccountRow(*row) for row in cursor.fetchall()]
