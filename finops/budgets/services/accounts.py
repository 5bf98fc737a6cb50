"""Accounts: opened when somebody first spends, told what was observed, and given their limits."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import Sum

from finops.budgets import selectors
from finops.budgets.bank import MOST_NAMED, RECALL
from finops.budgets.models import BudgetsVersion, Increase
from finops.budgets.rules import opening
from finops.budgets.rules.matching import Matcher, limit_of
from finops.budgets.rules.periods import window
from finops.budgets.types import Account, Call, Terms
from finops.core.money import from_pico
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
        append_observed(organization_id, told)


def append_observed(organization_id: int, told: Sequence[tuple[int, Decimal]]) -> None:
    """Tell accounts, by id, what was spent."""
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
        wanted = [(by_account[account], account) for account in missing]
        _asked("SELECT budgets_open", (organization_id,), wanted, at)
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
    if missing:
        nothing = Decimal(0)
        for *account, ends_at, limit, carried in _asked("SELECT * FROM budgets_opening", (), missing, at):
            which = Account(*account)
            found[which] = selectors.AccountRow(0, *which, ends_at, limit, carried, nothing, nothing, nothing)
    return found


def _asked(function: str, before: Sequence[int], wanted: Iterable[Wanted], at: datetime) -> list[tuple[Any, ...]]:
    """What a function of `sql/0004_gateways.sql` answers for accounts."""
    marks = "%s, " * len(before) + opening.ARGUMENTS
    with connection.cursor() as cursor:
        cursor.execute(f"{function}({marks}, %s)", [*before, *opening.columns(wanted), at])
        return list(cursor.fetchall())


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
    rows = Increase.objects.filter(
        budget_id=budget_id, subject=subject, state=Increase.State.APPROVED, decided_at__lte=at, expires_at__gt=at
    )
    return Decimal(rows.aggregate(amount=Sum("amount", default=Decimal(0)))["amount"])


def set_limits(*, organization_id: int, budget_id: int, at: datetime) -> None:
    """Give the open accounts of a budget the limits that hold now. What was spent stays; a limit below what was given
    out already leaves that as the ceiling, which falls as it comes back.
    """
    terms = selectors.terms_of(selectors.budget(organization_id, budget_id))
    rows = selectors.open_accounts_of(organization_id, budget_id, at)
    own = [from_pico(limit_of(terms, row.subject)) for row in rows]
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE budgets_account AS a SET limit_amount = w.amount,"
            " ceiling = greatest(w.amount, a.authorised + a.leased) FROM ("
            "SELECT a.id, budgets_limit(a.budget_id, a.subject, a.starts_at, w.own, a.carried, %s) AS amount"
            " FROM unnest(%s::bigint[], %s::numeric[]) AS w(id, own)"
            " JOIN budgets_account AS a USING (id) ORDER BY a.id FOR UPDATE OF a) AS w WHERE a.id = w.id",
            [at, [row.id for row in rows], own],
        )
        # What gateways have in hand beyond a lower limit comes home once this is committed.
        cursor.execute(
            "SELECT pg_notify(%s, string_agg(id::text, ',')) FROM (SELECT id, row_number() OVER (ORDER BY id) AS n"
            " FROM budgets_account AS a WHERE id = ANY(%s) AND leased > 0 AND authorised + leased + observed"
            " + (SELECT coalesce(sum(amount), 0) FROM budgets_observed WHERE account_id = a.id) > limit_amount)"
            " AS over GROUP BY n / %s",
            [RECALL, [row.id for row in rows], MOST_NAMED],
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
