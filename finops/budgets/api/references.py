"""Scopes and subjects by slug in requests and answers, by id inside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from finops.attribution.api.references import ids
from finops.budgets.models import Budget
from finops.budgets.rules.drafts import BudgetInvalid
from finops.budgets.types import OWNERS
from finops.ledger import selectors as ledger


def read_scope(organization_id: int, said: Mapping[str, list[str | None]]) -> dict[str, tuple[str, ...]]:
    """A scope as budgets keep it. Raises OwnerUnknown and BudgetInvalid; the rest is asked with the draft."""
    scope: dict[str, tuple[str, ...]] = {}
    for name, values in said.items():
        words = [value for value in values if value is not None]
        nobody = ["0"] if len(words) < len(values) else []
        if name in OWNERS:
            found = ids(organization_id, name, words, field=f"scope.{name}")
            scope[name] = (*nobody, *(str(one) for one in found))
        elif nobody:
            raise BudgetInvalid("only owners and keys can be nobody", field=f"scope.{name[:40]}")
        else:
            scope[name] = tuple(words)
    return scope


def read_subject(budget: Budget, said: Mapping[str, Any], *, field: str = "subject") -> str:
    """The subject a request names, as accounts keep it. Raises OwnerUnknown and BudgetInvalid."""
    word: str | None = said.get("subject")
    if not budget.each:
        return word or ""
    if "subject" not in said or (word is None and budget.each == "session"):
        raise BudgetInvalid(f"say which {budget.each}; null is nobody, except for sessions", field=field)
    if budget.each in OWNERS:
        return "0" if word is None else str(ids(budget.organization_id, budget.each, [word], field=field)[0])
    return "-" if word is None else word


class Called:
    """What the owners of scopes and subjects are called, for one answer: read at once, not row by row."""

    def __init__(
        self,
        organization_id: int,
        *,
        scopes: Iterable[Mapping[str, Iterable[str]]] = (),
        subjects: Iterable[tuple[str, str]] = (),
    ) -> None:
        wanted: dict[str, set[int]] = {}
        for scope in scopes:
            for name, values in scope.items():
                if name in OWNERS:
                    wanted.setdefault(name, set()).update(int(value) for value in values)
        for each, subject in subjects:
            if each in OWNERS:
                wanted.setdefault(each, set()).add(int(subject))
        self._named = ledger.named(organization_id, wanted)

    def scope(self, scope: Mapping[str, Iterable[str]]) -> dict[str, list[str | None]]:
        return {
            name: [self._named[name][int(one)].value if one != "0" else None for one in values]
            if name in OWNERS
            else list(values)
            for name, values in scope.items()
        }

    def subject(self, each: str, subject: str) -> dict[str, str | None]:
        """`subject` is null where the budget has one account for all, and for nobody's."""
        if not each or subject == ("0" if each in OWNERS else "-"):
            return {"subject": None, "subject_name": "Nobody" if each else ""}
        if each in OWNERS:
            found = self._named[each][int(subject)]
            return {"subject": found.value, "subject_name": found.name}
        return {"subject": subject, "subject_name": subject}
