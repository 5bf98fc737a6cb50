"""More for a while, and money moved between budgets, over REST."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from finops.api import paging
from finops.api.idempotency import idempotent
from finops.api.schema import answers, listed
from finops.api.views import Input, Resource, now, valid
from finops.budgets import selectors
from finops.budgets.api.accounts import SubjectInput
from finops.budgets.api.budgets import AmountField, SubjectOutput
from finops.budgets.api.references import Called, read_subject
from finops.budgets.models import Increase
from finops.budgets.rules.envelope import NotYours
from finops.budgets.rules.sight import sees
from finops.budgets.services import increases as services
from finops.core.errors import NotFound
from finops.ledger.api.shapes import MoneyField, money
from finops.orgs.authentication import caller
from finops.orgs.rules import Caller, OutOfReach, Permission

_LARGEST_ID = 2**31 - 1
_STATES = [state.value for state in Increase.State]


class IncreaseInput(SubjectInput):
    budget_id = serializers.IntegerField(min_value=1, max_value=_LARGEST_ID)
    amount = AmountField(help_text="On top of the limit, in the reporting currency.")
    reason = serializers.CharField(max_length=2_000, required=False, allow_blank=True, default="")
    expires_at = serializers.DateTimeField(
        required=False, allow_null=True, help_text="At the latest, and when unsaid, with the present period."
    )


class DecisionInput(Input):
    note = serializers.CharField(max_length=2_000, required=False, allow_blank=True, default="")


class IncreaseFilter(serializers.Serializer[Any]):
    state = serializers.ChoiceField(choices=_STATES, required=False, default="")


class IncreaseOutput(SubjectOutput):
    """It counts from `decided_at` to `expires_at` once approved."""

    id = serializers.IntegerField()
    budget_id = serializers.IntegerField()
    budget = serializers.CharField()
    amount = MoneyField()
    reason = serializers.CharField(allow_blank=True)
    state = serializers.ChoiceField(choices=_STATES)
    asked_by = serializers.CharField()
    asked_at = serializers.DateTimeField()
    decided_by = serializers.CharField(allow_blank=True)
    decided_at = serializers.DateTimeField(allow_null=True)
    note = serializers.CharField(allow_blank=True)
    expires_at = serializers.DateTimeField()


class EndInput(SubjectInput):
    budget_id = serializers.IntegerField(min_value=1, max_value=_LARGEST_ID)


class TransferInput(Input):
    source = EndInput()  # type: ignore[assignment]  # a field of the body, not DRF's own
    target = EndInput()
    amount = AmountField()
    reason = serializers.CharField(max_length=2_000, required=False, allow_blank=True, default="")


class EndOutput(SubjectOutput):
    budget_id = serializers.IntegerField()
    starts_at = serializers.DateTimeField()


class TransferOutput(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    source = EndOutput()  # type: ignore[assignment]
    target = EndOutput()
    amount = MoneyField()
    reason = serializers.CharField(allow_blank=True)
    by = serializers.CharField()
    at = serializers.DateTimeField()


def shown(organization_id: int, rows: Iterable[Increase]) -> list[dict[str, Any]]:
    """Requests as answers show them; with their budgets read."""
    told = list(rows)
    called = Called(organization_id, subjects=[(row.budget.each, row.subject) for row in told])
    same = (
        "id", "budget_id", "reason", "state", "asked_by", "asked_at", "decided_by", "decided_at", "note",
        "expires_at",
    )  # fmt: skip
    return [
        dict(
            IncreaseOutput(
                {
                    **{name: getattr(row, name) for name in same},
                    **called.subject(row.budget.each, row.subject),
                    "budget": row.budget.name,
                    "amount": money(row.amount),
                }
            ).data
        )
        for row in told
    ]


class Increases(Resource):
    """Requests for more for a while, newest first: one's own, those about accounts one may see, and every one for who
    manages budgets."""

    permission: ClassVar = {"GET": Permission.BUDGETS_READ, "POST": Permission.BUDGETS_ASK}

    @listed(IncreaseOutput, OpenApiParameter("state", str, enum=_STATES))
    def get(self, request: Request) -> Response:
        asked = caller(request)
        state = valid(IncreaseFilter, request.query_params.dict())["state"]
        found = paging.page(selectors.increases_seen(asked, state=state), request, order=("-id",))
        return Response(paging.answer(shown(asked.organization_id, found.rows), found.next_cursor))

    @answers(IncreaseOutput, takes=IncreaseInput, status=201)
    @idempotent
    def post(self, request: Request) -> Response:
        """Ask for more on an account that concerns oneself: of one's person, teams, or what belongs to those teams."""
        asked, said = caller(request), valid(IncreaseInput, request.data)
        budget = selectors.budget_seen(asked, said["budget_id"])
        subject = read_subject(budget, said)
        # Whether the budget can have such an account at all is the service's question.
        if not asked.can(Permission.BUDGETS_MANAGE) and not sees(
            selectors.sight_of(asked), budget.scope, budget.each, subject
        ):
            raise OutOfReach("Ask for more on accounts of yours and your teams'.", field="subject")
        made = services.ask_increase(
            organization_id=asked.organization_id,
            budget_id=budget.id,
            subject=subject,
            amount=said["amount"],
            reason=said["reason"],
            expires_at=said.get("expires_at"),
            by=asked.actor,
            at=now(),
        )
        return Response(shown(asked.organization_id, [made])[0], status=201)


def _decide(request: Request, increase_id: int, *, approve: bool) -> Response:
    asked, said = caller(request), valid(DecisionInput, request.data)
    made = services.decide_increase(
        organization_id=asked.organization_id,
        increase_id=increase_id,
        approve=approve,
        note=said["note"],
        by=asked.actor,
        at=now(),
    )
    return Response(shown(asked.organization_id, [made])[0])


class ApproveIncrease(Resource):
    """Grant what was asked for, from now until it expires."""

    permission: ClassVar = {"POST": Permission.BUDGETS_MANAGE}

    @answers(IncreaseOutput, takes=DecisionInput)
    @idempotent
    def post(self, request: Request, increase_id: int) -> Response:
        return _decide(request, increase_id, approve=True)


class RefuseIncrease(Resource):
    """Refuse what was asked for; the note says why."""

    permission: ClassVar = {"POST": Permission.BUDGETS_MANAGE}

    @answers(IncreaseOutput, takes=DecisionInput)
    @idempotent
    def post(self, request: Request, increase_id: int) -> Response:
        return _decide(request, increase_id, approve=False)


class WithdrawIncrease(Resource):
    """It is not needed any more: whoever asked says so, or who manages budgets."""

    permission: ClassVar = {"POST": Permission.BUDGETS_ASK}

    @answers(IncreaseOutput, takes=Input)
    @idempotent
    def post(self, request: Request, increase_id: int) -> Response:
        asked = caller(request)
        valid(Input, request.data)
        _check_theirs(asked, increase_id)
        made = services.withdraw_increase(
            organization_id=asked.organization_id, increase_id=increase_id, by=asked.actor, at=now()
        )
        return Response(shown(asked.organization_id, [made])[0])


def _check_theirs(asked: Caller, increase_id: int) -> None:
    found = selectors.increases_seen(asked).filter(id=increase_id).first()
    if found is None:
        raise NotFound("there is no such request")
    if found.asked_by != asked.actor.reference and not asked.can(Permission.BUDGETS_MANAGE):
        raise NotYours("whoever asked withdraws a request, or who manages budgets")


class Transfers(Resource):
    """Move part of what is left from one account to another, for their present periods; their sum stays."""

    permission: ClassVar = {"POST": Permission.BUDGETS_MANAGE}

    @answers(TransferOutput, takes=TransferInput, status=201)
    @idempotent
    def post(self, request: Request) -> Response:
        asked, said = caller(request), valid(TransferInput, request.data)
        budgets = {name: selectors.budget_seen(asked, said[name]["budget_id"]) for name in ("source", "target")}
        ends = {name: (row.id, read_subject(row, said[name], field=f"{name}.subject")) for name, row in budgets.items()}
        made = services.transfer(
            organization_id=asked.organization_id,
            **ends,
            amount=said["amount"],
            reason=said["reason"],
            by=asked.actor,
            at=now(),
        )
        named = {name: (budgets[name].each, subject) for name, (_, subject) in ends.items()}
        called = Called(asked.organization_id, subjects=named.values())
        told: dict[str, Any] = {
            "id": made.id, "amount": money(made.amount), "reason": made.reason, "by": made.by, "at": made.at,
        }  # fmt: skip
        for name, start in (("source", made.source_start), ("target", made.target_start)):
            told[name] = {**called.subject(*named[name]), "budget_id": ends[name][0], "starts_at": start}
        return Response(TransferOutput(told).data, status=201)
