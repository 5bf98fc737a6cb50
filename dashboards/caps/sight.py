"""Which accounts of which budgets a caller may see: those within the reach that spend has too, and those that decide
about their own calls. A cap that refuses somebody says so to them, whatever else they may see.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from dashboards.access import Here
from finops.budgets import selectors
from finops.budgets.rules import Matcher
from finops.budgets.types import Account, Call, Terms
from finops.core.errors import NotFound
from finops.orgs import selectors as orgs
from finops.orgs.rules import PEOPLE_DIMENSIONS, Caller, Permission

# Whose accounts or scopes tell what one person spent.
_OF_PEOPLE: Final = PEOPLE_DIMENSIONS | {"session"}
# Accounts that follow from who somebody is. What their calls are for (project, model) nobody knows before the call.
_OF_WHO: Final = frozenset({"", "team", "person"})


class Sight:
    """What one caller sees of an organization's budgets. Two small questions, one more for who is a person."""

    def __init__(self, here: Here) -> None:
        snapshot = selectors.load_snapshot(here.id)
        self._caller = here.caller
        self.terms = {terms.budget_id: terms for terms in snapshot.terms}
        self.own = self._own(here, snapshot)

    def subjects(self, terms: Terms) -> frozenset[str] | None:
        """The subjects whose accounts may be seen; None is all of them, an empty set none."""
        if _whole(self._caller, terms):
            return None
        mine = frozenset(account.subject for account in self.own if account.budget_id == terms.budget_id)
        reach = self._caller.reach
        if set(reach) == {"team"} and terms.each == "team" and not set(terms.scope) & _OF_PEOPLE:
            return mine | {str(team) for team in reach["team"]}
        return mine

    def seen(self) -> dict[int, frozenset[str] | None]:
        """Every budget the caller sees anything of, with the subjects."""
        found = {budget_id: self.subjects(terms) for budget_id, terms in self.terms.items()}
        return {budget_id: some for budget_id, some in found.items() if some is None or some}

    def required(self, budget_id: int) -> tuple[Terms, frozenset[str] | None]:
        """One budget in force. Raises NotFound for one that is not to be seen: the same answer as for none."""
        terms = self.terms.get(budget_id)
        some = self.subjects(terms) if terms else frozenset()
        if terms is None or (some is not None and not some):
            raise NotFound("there is no such budget")
        return terms, some

    def _own(self, here: Here, snapshot: selectors.Snapshot) -> dict[Account, Terms]:
        """The accounts that decide about the caller's own calls."""
        if here.caller.person_id is None or not snapshot.terms:
            return {}
        person = orgs.owner(here.id, "person", here.caller.person_id)
        call = Call(team=person.team_id or 0, person=person.id)
        return _accounts(snapshot, call, here.now)


def _accounts(snapshot: selectors.Snapshot, call: Call, at: datetime) -> dict[Account, Terms]:
    about_who: Iterable[Terms] = (terms for terms in snapshot.terms if terms.each in _OF_WHO)
    return {account: terms for terms, account in Matcher(about_who, snapshot.above).accounts(call, at)}


def _whole(caller: Caller, terms: Terms) -> bool:
    """Whether every account of a budget is spend the caller may see."""
    if (terms.each in _OF_PEOPLE or set(terms.scope) & _OF_PEOPLE) and not caller.sees_people:
        return False
    return caller.can(Permission.SPEND_READ) and all(
        name in terms.scope and terms.scope[name] <= {str(one) for one in ids} for name, ids in caller.reach.items()
    )
