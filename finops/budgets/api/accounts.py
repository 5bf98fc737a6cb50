"""How the accounts of a budget stand, the exceptions of its subjects, and one's own headroom, over REST."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from finops.api import paging
from finops.api.idempotency import idempotent
from finops.api.paging import CursorInvalid
from finops.api.schema import answers, listed
from finops.api.views import Input, Resource, now, valid
from finops.budgets import selectors
from finops.budgets.api.budgets import AmountField, BudgetDetailOutput, SubjectOutput, detail
from finops.budgets.api.references import Called, read_subject
from finops.budgets.rules.drafts import LONGEST_WORD
from finops.budgets.rules.sight import subjects_seen
from finops.budgets.selectors import AccountRow
from finops.budgets.services import budgets as services
from finops.budgets.services.headroom import headroom
from finops.ledger.api.shapes import MoneyField, money
from finops.orgs.authentication import caller
from finops.orgs.rules import Permission

_AMOUNTS = ("carried", "authorised", "leased", "observed", "spent", "left")


class SubjectInput(Input):
    subject = serializers.CharField(
        max_length=LONGEST_WORD,
        required=False,
        allow_null=True,
        trim_whitespace=False,
        help_text="Whose account: by slug, key prefix or word, null for nobody; unsaid where there is one for all.",
    )


class ExceptionInput(SubjectInput):
    limit = AmountField(allow_null=True, help_text="Its own limit; null: the budget does not concern it.")
    note = serializers.CharField(max_length=2_000, required=False, allow_blank=True, default="")


class BudgetAccountOutput(SubjectOutput):
    """How an account stands in its present period. `left` is neither spent nor in a gateway's hands."""

    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField(allow_null=True)
    limit = MoneyField()
    carried = MoneyField()
    authorised = MoneyField()
    leased = MoneyField()
    observed = MoneyField()
    spent = MoneyField()
    left = MoneyField()


class OwnAccountOutput(SubjectOutput):
    budget_id = serializers.IntegerField()
    budget = serializers.CharField()
    each = serializers.CharField(allow_null=True)
    period = serializers.CharField()
    enforcement = serializers.CharField()
    limit = MoneyField()
    spent = MoneyField()
    left = MoneyField()
    resets_at = serializers.DateTimeField(allow_null=True)


class HeadroomOutput(serializers.Serializer[Any]):
    items = OwnAccountOutput(many=True)


def _standing(row: AccountRow) -> dict[str, Any]:
    return {
        "starts_at": row.starts_at,
        "ends_at": row.ends_at,
        "limit": money(row.limit_amount),
        **{name: money(getattr(row, name)) for name in _AMOUNTS},
    }


class BudgetAccounts(Resource):
    """A budget's accounts in their present period, in the order they were opened: those the caller may see."""

    permission: ClassVar = {"GET": Permission.BUDGETS_READ}

    @listed(BudgetAccountOutput)
    def get(self, request: Request, budget_id: int) -> Response:
        asked = caller(request)
        budget = selectors.budget_seen(asked, budget_id)
        cursor, limit = paging.asked(request)
        after = paging.decode(cursor, count=1)[0] if cursor else 0
        if not isinstance(after, int):
            raise CursorInvalid("this cursor is not one of this list's", field="cursor")
        rows = selectors.accounts_seen(
            asked.organization_id,
            budget.id,
            now(),
            subjects=subjects_seen(selectors.sight_of(asked), budget.scope, budget.each),
            after=after,
            limit=limit + 1,
        )
        more, rows = len(rows) > limit, rows[:limit]
        called = Called(asked.organization_id, subjects=[(budget.each, row.subject) for row in rows])
        items = [
            BudgetAccountOutput({**called.subject(budget.each, row.subject), **_standing(row)}).data for row in rows
        ]
        return Response(paging.answer(items, paging.encode([rows[-1].id]) if more else ""))


class BudgetExceptions(Resource):
    """A limit of its own for a subject, or none at all. Said again, it replaces what was said."""

    permission: ClassVar = {"POST": Permission.BUDGETS_MANAGE}

    @answers(BudgetDetailOutput, takes=ExceptionInput)
    @idempotent
    def post(self, request: Request, budget_id: int) -> Response:
        asked, said = caller(request), valid(ExceptionInput, request.data)
        budget = selectors.budget_seen(asked, budget_id)
        services.set_exception(
            organization_id=asked.organization_id,
            budget_id=budget_id,
            subject=read_subject(budget, said),
            limit_amount=said["limit"],
            note=said["note"],
            by=asked.actor,
            at=now(),
        )
        return Response(detail(asked, budget))


class RemoveBudgetException(Resource):
    """The subject is as all others again."""

    permission: ClassVar = {"POST": Permission.BUDGETS_MANAGE}

    @answers(BudgetDetailOutput, takes=SubjectInput)
    @idempotent
    def post(self, request: Request, budget_id: int) -> Response:
        asked, said = caller(request), valid(SubjectInput, request.data)
        budget = selectors.budget_seen(asked, budget_id)
        services.remove_exception(
            organization_id=asked.organization_id,
            budget_id=budget_id,
            subject=read_subject(budget, said),
            by=asked.actor,
            at=now(),
        )
        return Response(detail(asked, budget))


class OwnHeadroom(Resource):
    """What is left to the caller's own person: every account that their calls are charged to, those of budgets for
    their team or everybody included. 409 `budgets.nobody` for a caller that is no person."""

    permission: ClassVar = {"GET": Permission.BUDGETS_READ}

    @answers(HeadroomOutput)
    def get(self, request: Request) -> Response:
        asked = caller(request)
        found = headroom(asked, now())
        called = Called(asked.organization_id, subjects=[(one.budget.each, one.account.subject) for one in found])
        items = [
            {
                **called.subject(one.budget.each, one.account.subject),
                "budget_id": one.budget.id,
                "budget": one.budget.name,
                "each": one.budget.each or None,
                "period": one.budget.period,
                "enforcement": one.budget.enforcement,
                "limit": money(one.account.limit_amount),
                "spent": money(one.account.spent),
                "left": money(one.account.left),
                "resets_at": one.account.ends_at,
            }
            for one in found
        ]
        return Response(HeadroomOutput({"items": items}).data)
