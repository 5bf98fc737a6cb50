"""Plans of seats over REST, and what they are worth. Who has a seat is told to those who may see people's spend."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from finops.api.idempotency import idempotent
from finops.api.schema import answers, listed
from finops.api.views import Input, Resource, now, paged, valid
from finops.connectors.seats import LONGEST_TERM
from finops.ledger.api.shapes import MoneyField, money
from finops.orgs.authentication import caller
from finops.orgs.rules import Caller, Permission, whole_organization
from finops.seats import selectors, services
from finops.seats.models import SeatPlan
from finops.seats.rules import LONGEST_NAME, MOST_COVERS, MOST_HOLDERS, MOST_SEATS, read_holder, write_holder
from finops.seats.tasks import send
from finops.seats.types import PlanDraft
from finops.seats.worth import Worth, worth_of

_READ_WRITE: Final[Mapping[str, str]] = {"GET": Permission.PRICING_READ, "POST": Permission.PRICING_MANAGE}
_HOLDER: Final = "An e-mail address, or `github:`, `provider_user:` or `key_alias:` and the name there."


class SeatPlanOutput(serializers.ModelSerializer[SeatPlan]):
    """Seats that are paid for whether they are used or not, held `[start, end)`. `price` and `included` are of one seat
    and one term. `holders` is null for whoever may not see people's spend. Days before `booked_until` are in the ledger
    as the plan says; `problem` says why it does not go on, where it does not.
    """

    price = serializers.SerializerMethodField()
    included = serializers.SerializerMethodField()
    holders = serializers.SerializerMethodField(help_text=_HOLDER)
    holder_count = serializers.SerializerMethodField()
    covers = serializers.SerializerMethodField(help_text="Slugs of the sources whose calls by the holders it pays for.")
    follows: Any = serializers.IntegerField(
        source="follows_id", allow_null=True, help_text="The plan that was changed into this one."
    )
    booked_until = serializers.SerializerMethodField()
    problem = serializers.SerializerMethodField()

    class Meta:
        model = SeatPlan
        fields = (
            "id", "name", "provider", "account", "price", "currency", "seats", "start", "end", "anchor", "term_months",
            "prorated", "included", "holders", "holder_count", "covers", "follows", "made_at", "booked_until",
            "problem",
        )  # fmt: skip

    @extend_schema_field(MoneyField())
    def get_price(self, row: SeatPlan) -> str:
        return money(row.price)

    @extend_schema_field(MoneyField(allow_null=True))
    def get_included(self, row: SeatPlan) -> str | None:
        return None if row.included is None else money(row.included)

    @extend_schema_field(serializers.ListField(child=serializers.CharField(), allow_null=True))
    def get_holders(self, row: SeatPlan) -> list[str] | None:
        if not self.context["sees_people"]:
            return None
        return sorted(write_holder(one.kind, one.value) for one in row.holders.all())

    def get_holder_count(self, row: SeatPlan) -> int:
        return len(row.holders.all())

    def get_covers(self, row: SeatPlan) -> list[str]:
        return sorted(one.source.slug for one in row.covers.all())

    @extend_schema_field(serializers.DateField())
    def get_booked_until(self, row: SeatPlan) -> str:
        return str(self.context["books"].made_until.isoformat())

    def get_problem(self, row: SeatPlan) -> str:
        return str(self.context["books"].problem)


class _Terms(Input):
    name = serializers.CharField(max_length=LONGEST_NAME)
    provider = serializers.CharField(max_length=60)
    account = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")
    price = serializers.DecimalField(max_digits=14, decimal_places=6, min_value=0, help_text="Of one seat, one term.")
    currency = serializers.CharField(min_length=3, max_length=3, default="USD")
    seats = serializers.IntegerField(min_value=1, max_value=MOST_SEATS)
    anchor = serializers.DateField(
        required=False, allow_null=True, default=None, help_text="A day on which a term begins; the start if unsaid."
    )
    term_months = serializers.IntegerField(min_value=1, max_value=LONGEST_TERM, default=1)
    prorated = serializers.BooleanField(
        default=True, help_text="Whether a term that is held in part is paid by the day."
    )
    included = serializers.DecimalField(
        max_digits=14, decimal_places=6, min_value=0, required=False, allow_null=True, default=None,
        help_text="What use one seat includes in a term, at list price, where the contract names it.",
    )  # fmt: skip
    holders = serializers.ListField(
        child=serializers.CharField(max_length=220), max_length=MOST_HOLDERS, required=False, default=list,
        help_text=_HOLDER,
    )  # fmt: skip
    covers = serializers.ListField(
        child=serializers.CharField(max_length=80), max_length=MOST_COVERS, required=False, default=list,
        help_text="Slugs of sources: calls of the holders from there cost nothing, for their seats pay for them.",
    )  # fmt: skip
    end = serializers.DateField(
        required=False, allow_null=True, default=None, help_text="The first day it is held no more."
    )


class SeatPlanInput(_Terms):
    start = serializers.DateField()


class SeatPlanCorrection(SeatPlanInput):
    """What is not told stays."""


class SeatPlanChange(_Terms):
    """What is not told goes on as it was."""

    since = serializers.DateField(help_text="The first day it is so.")


class SeatPlans(Resource):
    """Plans of seats: what is paid by the seat and not by the call."""

    permission: ClassVar = _READ_WRITE

    @listed(SeatPlanOutput)
    def get(self, request: Request) -> Response:
        asked = caller(request)
        rows = selectors.plans(asked.organization_id)
        return paged(request, rows, SeatPlanOutput, order=("id",), context=_context(asked))

    @answers(SeatPlanOutput, takes=SeatPlanInput, status=201)
    @idempotent
    def post(self, request: Request) -> Response:
        """Describe a plan. Its charges up to today are booked at once, a day and a holder each; many days as a job."""
        asked, said = caller(request), _read(valid(SeatPlanInput, request.data))
        row = services.begin(organization_id=asked.organization_id, draft=PlanDraft(**said), by=asked.actor, at=now())
        return _answer(asked, row, status=201)


class OneSeatPlan(Resource):
    """One plan of seats."""

    permission: ClassVar = {
        "GET": Permission.PRICING_READ,
        "PATCH": Permission.PRICING_MANAGE,
        "DELETE": Permission.PRICING_MANAGE,
    }

    @answers(SeatPlanOutput)
    def get(self, request: Request, seat_plan_id: int) -> Response:
        asked = caller(request)
        row = selectors.plan(asked.organization_id, seat_plan_id)
        return Response(SeatPlanOutput(row, context=_context(asked)).data)

    @answers(SeatPlanOutput, takes=SeatPlanCorrection)
    def patch(self, request: Request, seat_plan_id: int) -> Response:
        """Say when it ends, or how it should have been entered: charges that were booked are revised or taken back.
        What was agreed otherwise from a day on is a change.
        """
        asked, said = caller(request), _read(valid(SeatPlanCorrection, request.data, partial=True))
        row = services.correct(
            organization_id=asked.organization_id, plan_id=seat_plan_id, changes=said, by=asked.actor, at=now()
        )
        return _answer(asked, row)

    @answers(status=204)
    def delete(self, request: Request, seat_plan_id: int) -> Response:
        """The plan never was: all its charges are taken back. One that is over is given an end instead."""
        asked = caller(request)
        services.withdraw(organization_id=asked.organization_id, plan_id=seat_plan_id, by=asked.actor, at=now())
        send(asked.organization_id)
        return Response(status=204)


class ChangeSeatPlan(Resource):
    """A plan that was agreed otherwise from a day on."""

    permission: ClassVar = {"POST": Permission.PRICING_MANAGE}

    @answers(SeatPlanOutput, takes=SeatPlanChange, status=201)
    @idempotent
    def post(self, request: Request, seat_plan_id: int) -> Response:
        """End it, and begin another from that day on; the answer is the other one."""
        asked, said = caller(request), _read(valid(SeatPlanChange, request.data, partial=True))
        if "since" not in said:
            raise serializers.ValidationError({"since": ["This field is required."]})
        row = services.change(
            organization_id=asked.organization_id, plan_id=seat_plan_id, since=said.pop("since"), changes=said,
            by=asked.actor, at=now(),
        )  # fmt: skip
        return _answer(asked, row, status=201)


class EquivalentOutput(serializers.Serializer[Any]):
    currency = serializers.CharField()
    amount = MoneyField()


class SeatPlanWorthOutput(serializers.Serializer[Any]):
    """`cost` is of this month up to today. `equivalent` is what the holders' calls of this month would have come to at
    list price: it is no money, and in no sum of spend. `idle` are holders without a call in 30 days, `unknown` those
    that nobody here is known by.
    """

    currency = serializers.CharField()
    cost = MoneyField()
    equivalent = EquivalentOutput(many=True)
    calls = serializers.IntegerField(help_text="Of the holders, in 30 days.")
    unassigned_seats = serializers.IntegerField()
    idle = serializers.ListField(child=serializers.CharField())
    unknown = serializers.ListField(child=serializers.CharField())


class SeatPlanWorth(Resource):
    """Whether a plan is worth it: what it costs, what its holders used, and who used nothing."""

    permission: ClassVar = {"GET": Permission.SPEND_READ_PEOPLE}

    @answers(SeatPlanWorthOutput)
    def get(self, request: Request, seat_plan_id: int) -> Response:
        asked = caller(request)
        whole_organization(asked, group_by=["person"])
        row = selectors.plan(asked.organization_id, seat_plan_id)
        [found] = worth_of(asked.organization_id, [row], today=now().date())
        return Response(_worth(found))


def _worth(found: Worth) -> dict[str, Any]:
    return {
        "currency": found.currency,
        "cost": money(found.cost),
        "equivalent": [{"currency": name, "amount": money(amount)} for name, amount in found.equivalent],
        "calls": found.calls,
        "unassigned_seats": found.unassigned,
        "idle": list(found.idle),
        "unknown": list(found.unknown),
    }


def _read(said: dict[str, Any]) -> dict[str, Any]:
    if "holders" in said:
        said["holders"] = tuple(read_holder(one) for one in said["holders"])
    if "covers" in said:
        said["covers"] = tuple(said["covers"])
    return said


def _context(asked: Caller) -> dict[str, Any]:
    sees = asked.sees_people and not asked.reach
    return {"sees_people": sees, "books": selectors.books(asked.organization_id)}


def _answer(asked: Caller, row: SeatPlan, *, status: int = 200) -> Response:
    shown = SeatPlanOutput(row, context=_context(asked)).data
    send(asked.organization_id)
    return Response(shown, status=status)
