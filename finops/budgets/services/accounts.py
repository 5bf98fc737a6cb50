"""Accounts: opened when somebody first spends, told what was observed, and given their limits."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple

from django.db import connection, transaction
from django.db.models import Sum

from finops.budgets import selectors
from finops.budgets.models import BudgetsVersion, Increase, Transfer
from finops.budgets.rules.matching import Matcher, limit_of
from finops.budgets.rules.periods import before, carried_over, window
from finops.budgets.types import Account, Call, Terms
from finops.core.money import from_pico, to_pico
from finops.ledger.services import Spending

Wanted = tuple[Terms, Account]

# Whoever changes what budgets an organization has holds it alone; whoever spends shares it. So what was spent before a
# budget was there is summed when it is made, and what is spent after is observed: each once.
_ALONE: Final = "SELECT pg_advisory_xact_lock(hashtext('budgets'), %s)"
_SHARED: Final = "SELECT pg_advisory_xact_lock_shared(hashtext('budgets'), %s)"
_FIND: Final = """
SELECT a.budget_id, a.subject, a.starts_at, a.id
FROM unnest(%s::int[], %s::text[], %s::timestamptz[]) AS w(budget_id, subject, starts_at)
JOIN budgets_account AS a USING (budget_id, subject, starts_at)
"""
_OPEN: Final = """
INSERT INTO budgets_account (organization_id, budget_id, subject, starts_at, ends_at, limit_amount, ceiling, carried,
    opened_at)
SELECT %s, w.budget_id, w.subject, w.starts_at, w.ends_at, w.amount, w.amount, w.carried, %s
FROM unnest(%s::int[], %s::text[], %s::timestamptz[], %s::timestamptz[], %s::numeric[], %s::numeric[])
    AS w(budget_id, subject, starts_at, ends_at, amount, carried)
ORDER BY w.budget_id, w.subject, w.starts_at
ON CONFLICT DO NOTHING
"""


def change_alone(organization_id: int) -> None:
    """Wait for everybody who is spending, hold off who comes, and mark the budgets as changed; until the end of the
    transaction.
    """
    alone(organization_id)
    BudgetsVersion.objects.update_or_create(organization_id=organization_id, defaults={"token": uuid.uuid4()})


def alone(organization_id: int) -> None:
    """Wait for everybody who spends or changes budgets, and hold off who comes, until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute(_ALONE, [organization_id])


def observe_spending(organization_id: int, spending: Callable[[], Iterable[Spending]], at: datetime) -> None:
    """Tell every account concerned what a transaction spends. The ledger calls it, inside that transaction."""
    with connection.cursor() as cursor:
        cursor.execute(_SHARED, [organization_id])
    snapshot = selectors.load_snapshot(organization_id)
    if not snapshot.terms:
        return
    matcher = Matcher(snapshot.terms, snapshot.above)
    amounts: dict[Wanted, int] = defaultdict(int)
    for one in spending():
        team, person, project, agent, customer, key = one.owners
        call = Call(team, person, project, agent, customer, key, one.provider, one.model, one.session)
        for wanted in matcher.accounts(call, one.occurred_at):
            amounts[wanted] += one.reporting_pico
    observe(organization_id=organization_id, amounts=amounts, at=at)


def observe(*, organization_id: int, amounts: Mapping[Wanted, int], at: datetime) -> None:
    """Append what accounts are to be told was spent, in picodollars; negative where spend was corrected downwards."""
    ids = open_accounts(organization_id=organization_id, wanted=list(amounts), at=at)
    told = [(ids[account], from_pico(amount)) for (_, account), amount in amounts.items() if amount]
    if told:
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO budgets_observed (organization_id, account_id, amount)"
                " SELECT %s, * FROM unnest(%s::bigint[], %s::numeric[])",
                [organization_id, [account_id for account_id, _ in told], [amount for _, amount in told]],
            )


def open_accounts(*, organization_id: int, wanted: Iterable[Wanted], at: datetime) -> dict[Account, int]:
    """Ids of accounts, opened where they are not. Opening one twice at once opens it once."""
    by_account = {account: terms for terms, account in wanted}
    found = _find(by_account)
    missing = sorted(account for account in by_account if account not in found)
    if missing:
        _open(organization_id, [(by_account[account], account) for account in missing], at)
        found |= _find(missing)
    return found


def _find(accounts: Iterable[Account]) -> dict[Account, int]:
    wanted = list(accounts)
    with connection.cursor() as cursor:
        cursor.execute(
            _FIND,
            [[one.budget_id for one in wanted], [one.subject for one in wanted], [one.start for one in wanted]],
        )
        return {Account(*row[:3]): row[3] for row in cursor.fetchall()}


def standing(*, organization_id: int, wanted: Iterable[Wanted], at: datetime) -> dict[Account, selectors.AccountRow]:
    """How accounts stand; one that nobody opened yet as it would be opened, with id 0. Opens none."""
    by_account = {account: terms for terms, account in wanted}
    ids = _find(by_account)
    rows = {row.id: row for row in selectors.accounts(organization_id, ids.values())}
    found = {account: rows[account_id] for account, account_id in ids.items()}
    missing = [(terms, account) for account, terms in by_account.items() if account not in ids]
    nothing = Decimal(0)
    for new in _unopened(organization_id, missing, at) if missing else ():
        found[new.account] = selectors.AccountRow(
            0, *new.account, new.ends_at, new.limit, new.carried, nothing, nothing, nothing
        )
    return found


class _New(NamedTuple):
    account: Account
    ends_at: datetime | None
    limit: Decimal
    carried: Decimal


def _unopened(organization_id: int, wanted: list[Wanted], at: datetime) -> list[_New]:
    """What accounts are opened with."""
    extras = _extras({terms.budget_id for terms, _ in wanted}, at)
    carried = _carried(organization_id, [one for one in wanted if one[0].rollover_pico])
    rows = []
    for terms, account in wanted:
        period = window(terms, account.start)
        if period is None:
            raise ValueError(f"budget {terms.budget_id} has no period at {account.start}")
        more = carried.get(account, Decimal(0))
        rows.append(_New(account, period.end, _limit(terms, account, extras, more), more))
    return rows


def _open(organization_id: int, wanted: list[Wanted], at: datetime) -> None:
    rows = [(*new.account, *new[1:]) for new in _unopened(organization_id, wanted, at)]
    columns = [list(column) for column in zip(*rows, strict=True)]
    with connection.cursor() as cursor:
        cursor.execute(_OPEN, [organization_id, at, *columns])


def _carried(organization_id: int, wanted: list[Wanted]) -> dict[Account, Decimal]:
    """What the periods before hand on. An account that was never opened has its whole limit left."""
    earlier: dict[Account, tuple[Terms, Account]] = {}
    for terms, account in wanted:
        period = window(terms, account.start)
        ended = before(terms, period) if period else None
        if ended is not None:
            earlier[account] = (terms, account._replace(start=ended.start))
    ids = _find(last for _, last in earlier.values())
    rows = {row.id: row for row in selectors.accounts(organization_id, ids.values())}
    found = {}
    for account, (terms, last) in earlier.items():
        row = rows.get(ids.get(last, 0))
        limit = to_pico(row.limit_amount) if row else limit_of(terms, account.subject)
        spent = to_pico(row.spent + row.leased) if row else 0
        found[account] = from_pico(carried_over(terms, limit_pico=limit, spent_pico=spent))
    return found


class _Extras(NamedTuple):
    """What comes on top of limits now: approved increases by (budget, subject), and transfers by account."""

    approved: Mapping[tuple[int, str], Decimal]
    moved: Mapping[Account, Decimal]


def _extras(budget_ids: Iterable[int], at: datetime) -> _Extras:
    wanted = list(budget_ids)
    approved = Increase.objects.filter(
        budget_id__in=wanted, state=Increase.State.APPROVED, decided_at__lte=at, expires_at__gt=at
    )
    moved: dict[Account, Decimal] = defaultdict(Decimal)
    for end, sign in (("target", 1), ("source", -1)):
        rows = Transfer.objects.filter(**{f"{end}_id__in": wanted}).values_list(
            f"{end}_id", f"{end}_subject", f"{end}_start", "amount"
        )
        for *account, amount in rows:
            moved[Account(*account)] += sign * amount
    sums = approved.values_list("budget_id", "subject").annotate(amount=Sum("amount"))
    return _Extras({(budget_id, subject): amount for budget_id, subject, amount in sums}, moved)


def _limit(terms: Terms, account: Account, extras: _Extras, carried: Decimal) -> Decimal:
    """The limit in force: the subject's own, what was approved and moved, and what was carried over."""
    own = from_pico(limit_of(terms, account.subject))
    approved = extras.approved.get((terms.budget_id, account.subject), Decimal(0))
    return max(own + approved + extras.moved.get(account, Decimal(0)) + carried, Decimal(0))


def lock(ids: Iterable[int]) -> None:
    """Hold off grants on accounts until the transaction ends; in the order of their ids, as everybody does."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT FROM budgets_account WHERE id = ANY(%s) ORDER BY id FOR UPDATE", [list(ids)])


def set_ends(*, organization_id: int, budget_id: int, was: datetime | None, at: datetime) -> None:
    """Let accounts end when their periods do now, after the budget's own end was changed: those that are not over, and
    those that ended with the budget, as it `was`.
    """
    terms = selectors.terms_of(selectors.budget(organization_id, budget_id))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT starts_at FROM budgets_account WHERE organization_id = %s AND budget_id = %s"
            " AND (ends_at IS NULL OR ends_at > %s OR ends_at = %s)",
            [organization_id, budget_id, at, was],
        )
        periods = [window(terms, start) for (start,) in cursor.fetchall()]
        held = [one for one in periods if one is not None]
        cursor.execute(
            "UPDATE budgets_account AS a SET ends_at = w.ends_at"
            " FROM (SELECT a.id, p.ends_at FROM unnest(%s::timestamptz[], %s::timestamptz[]) AS p(starts_at, ends_at)"
            " JOIN budgets_account AS a USING (starts_at) WHERE a.budget_id = %s ORDER BY a.id FOR UPDATE OF a) AS w"
            " WHERE a.id = w.id",
            [[one.start for one in held], [one.end for one in held], budget_id],
        )


def lock_open(organization_id: int, budget_ids: Iterable[int], at: datetime) -> None:
    """Hold off grants on all open accounts of budgets at once, in the order of their ids."""
    rows = [row for one in budget_ids for row in selectors.open_accounts_of(organization_id, one, at)]
    lock(sorted(row.id for row in rows))


def approved_now(budget_id: int, subject: str, at: datetime) -> Decimal:
    """What approved increases add to a subject's limit now."""
    return _extras([budget_id], at).approved.get((budget_id, subject), Decimal(0))


def set_limits(*, organization_id: int, budget_id: int, at: datetime) -> None:
    """Give the open accounts of a budget the limits that hold now. What was spent stays; a limit below what was given
    out already leaves that as the ceiling, which falls as it comes back.
    """
    terms = selectors.terms_of(selectors.budget(organization_id, budget_id))
    rows = selectors.open_accounts_of(organization_id, budget_id, at)
    extras = _extras([budget_id], at)
    limits = [_limit(terms, Account(budget_id, row.subject, row.starts_at), extras, row.carried) for row in rows]
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE budgets_account AS a SET limit_amount = w.amount,"
            " ceiling = greatest(w.amount, a.authorised + a.leased)"
            " FROM (SELECT a.id, w.amount FROM unnest(%s::bigint[], %s::numeric[]) AS w(id, amount)"
            " JOIN budgets_account AS a USING (id) ORDER BY a.id FOR UPDATE OF a) AS w WHERE a.id = w.id",
            [[row.id for row in rows], limits],
        )


def follow_increases(*, since: datetime, at: datetime) -> int:
    """Give accounts the limits that hold now, of every budget with an increase that ended in `(since, at]`; gives how
    many budgets there were. Doing it again changes nothing.
    """
    ended = Increase.objects.filter(
        state=Increase.State.APPROVED, expires_at__gt=since, expires_at__lte=at, budget__archived_at__isnull=True
    )
    found = sorted(set(ended.values_list("organization_id", "budget_id")))
    for organization_id, budget_id in found:
        with transaction.atomic():
            alone(organization_id)
            set_limits(organization_id=organization_id, budget_id=budget_id, at=at)
    return len(found)
