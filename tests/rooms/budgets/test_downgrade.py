"""A budget that sends its calls to a cheaper model: which, from when on, and what is not cheaper is refused."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from finops.budgets import selectors
from finops.budgets.models import Budget
from finops.budgets.rules.drafts import BudgetInvalid
from finops.budgets.services.budgets import change_budget, draft_terms
from finops.budgets.types import Enforcement
from tests.factories.budgets import budget, draft
from tests.factories.ledger import AT, Book
from tests.factories.orgs import HOUSE

DEAR, CHEAP = ("openai", "gpt"), ("openai", "gpt-mini")
GOES_DOWN: dict[str, Any] = {"enforcement": Enforcement.DOWNGRADE, "downgrade_to": (CHEAP,)}


def made(book: Book, **given: Any) -> Budget:
    return budget(book.organization.id, "10", at=AT, **GOES_DOWN | given)


def change(row: Budget, **said: Any) -> Budget:
    return change_budget(organization_id=row.organization_id, budget_id=row.id, by=HOUSE, at=AT, **said)


def test_its_terms_say_where_calls_go_and_from_when_on(book: Book) -> None:
    row = made(book, downgrade_at=60)
    (terms,) = selectors.load_snapshot(book.organization.id).terms
    assert (terms.downgrade_to, terms.downgrade_at, terms.enforcement) == ((CHEAP,), 60, Enforcement.DOWNGRADE)
    change(row, downgrade_to=(DEAR, CHEAP), downgrade_at=90)
    (terms,) = selectors.load_snapshot(book.organization.id).terms
    assert (terms.downgrade_to, terms.downgrade_at) == ((DEAR, CHEAP), 90)


def test_names_are_kept_as_prices_know_them(book: Book) -> None:
    assert made(book, downgrade_to=(("azure", "gpt-mini"),)).downgrade_to == [
        {"provider": "azure", "model": "gpt-mini"},
    ]


@pytest.mark.parametrize(
    ("steps", "field"),
    [
        ((), "downgrade_to"),
        ((("openai", "gpt-nobody-knows"),), "downgrade_to[0]"),
        ((CHEAP, DEAR), "downgrade_to[1]"),
        ((CHEAP, CHEAP), "downgrade_to"),
        ((("", "gpt-mini"),), "downgrade_to[0]"),
        ((("openai", "gpt\0mini"),), "downgrade_to[0]"),
        (tuple(("openai", f"gpt-{n}") for n in range(11)), "downgrade_to"),
    ],
)
def test_what_is_not_priced_or_not_cheaper_is_refused(
    book: Book, steps: tuple[tuple[str, str], ...], field: str
) -> None:
    for tried in (False, True):
        with pytest.raises(BudgetInvalid) as refused:
            if tried:
                says = draft("10", **GOES_DOWN | {"downgrade_to": steps})
                draft_terms(organization_id=book.organization.id, draft=says, at=AT)
            else:
                made(book, downgrade_to=steps)
        assert refused.value.field == field
    assert not Budget.objects.exists()


def test_it_is_no_dearer_than_the_models_the_budget_is_about(book: Book) -> None:
    about: dict[str, Any] = {"scope": {"provider": ("openai",), "model": ("gpt-mini",)}}
    with pytest.raises(BudgetInvalid, match="gpt is dearer than gpt-mini"):
        made(book, downgrade_to=(DEAR,), **about)
    made(book, **about)


@pytest.mark.parametrize("percent", [0, 101, -5])
def test_a_percentage_is_one(book: Book, percent: int) -> None:
    with pytest.raises(BudgetInvalid) as refused:
        made(book, downgrade_at=percent)
    assert refused.value.field == "downgrade_at"


def test_another_budget_becomes_one_when_it_says_where_to(book: Book) -> None:
    row = budget(book.organization.id, "10", at=AT)
    with pytest.raises(BudgetInvalid):
        change(row, enforcement=Enforcement.DOWNGRADE)
    changed = change(row, **GOES_DOWN)
    assert changed.downgrade_to == [{"provider": "openai", "model": "gpt-mini"}]
    # A price that rises later refuses nothing else.
    assert change(row, limit_amount=Decimal(20)).limit_amount == 20
