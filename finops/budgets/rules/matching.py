"""Which budgets a call concerns, and which account of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from finops.budgets.rules.periods import window
from finops.budgets.types import OWNERS, Account, Call, Terms, Window

# A team and every team above it.
Above = Mapping[int, frozenset[int]]


def subject_of(terms: Terms, call: Call, above: Above) -> str | None:
    """The subject of the budget that a call concerns ('' where it has one for all), or None when it concerns none.

    Calls that do not say the value a budget is `each` of share the account of nobody ('0', or '-' for a word): leaving
    out one's name is no way round a cap. Without a session there is none to cap.
    """
    for dimension, allowed in terms.scope.items():
        if not _among(dimension, call, allowed, above):
            return None
    if not terms.each:
        return ""
    if terms.each == "session":
        return call.session or None
    subject = str(getattr(call, terms.each)) or "-"
    return None if subject in terms.exempt else subject


class Matcher:
    """Finds the accounts of many calls; what was worked out for one is known for the next like it."""

    def __init__(self, budgets: Iterable[Terms], above: Above) -> None:
        self._budgets = tuple(budgets)
        self._above = above
        self._by_session = any(terms.each == "session" for terms in self._budgets)
        self._subjects: dict[Call, list[tuple[Terms, str]]] = {}
        self._windows: dict[int, Window | None] = {}

    def accounts(self, call: Call, at: datetime) -> list[tuple[Terms, Account]]:
        """Every account a call is charged to, in the order of the budgets."""
        key = call if self._by_session else call._replace(session="")
        subjects = self._subjects.get(key)
        if subjects is None:
            said = ((terms, subject_of(terms, call, self._above)) for terms in self._budgets)
            subjects = self._subjects[key] = [(terms, subject) for terms, subject in said if subject is not None]
        found = []
        for terms, subject in subjects:
            held = self._windows.get(terms.budget_id)
            if held is None or at not in held:
                held = self._windows[terms.budget_id] = window(terms, at)
            if held is not None:
                found.append((terms, Account(terms.budget_id, subject, held.start)))
        return found


def limit_of(terms: Terms, subject: str) -> int:
    """The limit of a subject before increases, transfers and what is carried over, in picodollars."""
    return terms.limits.get(subject, terms.limit_pico)


def _among(dimension: str, call: Call, allowed: frozenset[str], above: Above) -> bool:
    value = getattr(call, dimension)
    if dimension == "team":
        return any(str(team) in allowed for team in above.get(value, frozenset({value})))
    return (str(value) if dimension in OWNERS else value) in allowed
