"""What is left to one person: every account their calls are charged to."""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple

from finops.budgets import selectors
from finops.budgets.models import Budget
from finops.budgets.rules.matching import Matcher
from finops.budgets.selectors import AccountRow
from finops.budgets.services import accounts
from finops.budgets.types import Account, Call, Terms
from finops.core.errors import FinopsError
from finops.orgs.models import Person, VirtualKey
from finops.orgs.rules import Caller

MOST_KEYS: Final = 100
# What everybody's calls say; of the rest only what the person's keys are bound to is known.
_ALWAYS: Final = frozenset({"", "person", "team"})


class Nobody(FinopsError):
    """Headroom is a person's, and this caller is none."""

    code = "budgets.nobody"
    status = 409


class Headroom(NamedTuple):
    budget: Budget
    account: AccountRow


def headroom(caller: Caller, at: datetime) -> list[Headroom]:
    """The open accounts that a caller's own calls are charged to, in the order of the budgets. An account nobody spent
    from yet is there with all that is left. Raises Nobody.
    """
    snapshot = selectors.load_snapshot(caller.organization_id)
    matcher = Matcher(snapshot.terms, snapshot.above)
    wanted: dict[Account, Terms] = {
        account: terms
        for call in _calls(caller)
        for terms, account in matcher.accounts(call, at)
        if terms.each in _ALWAYS or getattr(call, terms.each)
    }
    found = accounts.standing(
        organization_id=caller.organization_id, wanted=[(terms, account) for account, terms in wanted.items()], at=at
    )
    # One that was archived since the snapshot was taken is in it still.
    rows = selectors.budgets(caller.organization_id, archived=True).in_bulk({account.budget_id for account in found})
    return [Headroom(rows[account.budget_id], found[account]) for account in sorted(found)]


def _calls(caller: Caller) -> list[Call]:
    """The calls a caller makes: a key's own, or a login's with each key of theirs and with none."""
    if caller.person_id is None:
        raise Nobody("This caller is no person here; ask an admin to link the login, or bind the key, to one.")
    person = Person.objects.get(organization_id=caller.organization_id, id=caller.person_id)
    keys = VirtualKey.objects.filter(organization_id=caller.organization_id, person_id=person.id)
    if caller.user_id is None:
        keys = keys.filter(prefix=caller.actor.reference.removeprefix("key:"))
    live = keys.filter(revoked_at__isnull=True, archived_at__isnull=True).order_by("-id")[:MOST_KEYS]
    calls = [
        Call(
            team=key.team_id or person.team_id or 0,
            person=person.id,
            project=key.project_id or 0,
            agent=key.agent_id or 0,
            customer=key.customer_id or 0,
            key=key.id,
        )
        for key in live
    ]
    return calls if caller.user_id is None else [Call(team=person.team_id or 0, person=person.id), *calls]
