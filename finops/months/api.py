"""Months over REST: how they stand, what is open, closing them and taking that back, and statements."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, ClassVar, Final

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from finops.api.idempotency import idempotent
from finops.api.schema import answers
from finops.api.views import Resource, now, valid
from finops.core.errors import NotFound
from finops.ledger import selectors as ledger
from finops.ledger.api import questions, shapes
from finops.ledger.rules.questions import QuestionUnclear
from finops.months import rules, selectors, services, sheet
from finops.months.api_shapes import CloseInput, MonthsOutput, OneMonthOutput, ReopenInput, StatementOutput
from finops.months.checklist import checklist
from finops.months.models import Closing
from finops.months.types import Change, Item, Month, StatementRow
from finops.orgs import selectors as orgs
from finops.orgs.authentication import caller
from finops.orgs.rules import Caller, Permission, whole_organization

_READ: Final = Permission.AUDIT_READ
# Rows of an answer, the largest first; the CSV has them all.
MOST_ROWS: Final = 500
_MONTH: Final = OpenApiParameter("month", {"type": "string", "examples": ["2026-10"]}, OpenApiParameter.PATH)
_BY: Final = OpenApiParameter("by", str, enum=list(selectors.OWNERS), description="team where unsaid.")


class Months(Resource):
    """How months stand, newest first: from the first with spend, or the last ten years."""

    permission: ClassVar = {"GET": _READ}

    @answers(MonthsOutput)
    def get(self, request: Request) -> Response:
        asked = caller(request)
        whole_organization(asked)
        questions.only(request.query_params, ())
        currency = orgs.organization(asked.organization_id).reporting_currency
        found = selectors.listed(asked.organization_id, at=now())
        return Response({"months": [_month(one, currency) for one in found]})


class OneMonth(Resource):
    """One month: how it stands, what is open, what came since it was closed."""

    permission: ClassVar = {"GET": _READ}

    @answers(OneMonthOutput, parameters=(_MONTH,))
    def get(self, request: Request, month: str) -> Response:
        asked = caller(request)
        whole_organization(asked)
        questions.only(request.query_params, ())
        return Response(_told(asked, rules.month_told(month)))


class CloseMonth(Resource):
    """Close a month with what is known of it now. Charges that come later are booked as ever, and carried by the
    statement of the next month.
    """

    permission: ClassVar = {"POST": Permission.MONTHS_CLOSE}

    @answers(OneMonthOutput, takes=CloseInput, parameters=(_MONTH,))
    @idempotent
    def post(self, request: Request, month: str) -> Response:
        asked, said = caller(request), valid(CloseInput, request.data)
        whole_organization(asked)
        day = rules.month_told(month)
        services.close_month(
            organization_id=asked.organization_id, month=day, reason=said["reason"], by=asked.actor, at=now()
        )
        return Response(_told(asked, day))


class ReopenMonth(Resource):
    """Take back the last closing. Its statement stays readable and counts no more."""

    permission: ClassVar = {"POST": Permission.MONTHS_CLOSE}

    @answers(OneMonthOutput, takes=ReopenInput, parameters=(_MONTH,))
    @idempotent
    def post(self, request: Request, month: str) -> Response:
        asked, said = caller(request), valid(ReopenInput, request.data)
        whole_organization(asked)
        day = rules.month_told(month)
        services.reopen_month(
            organization_id=asked.organization_id, month=day, reason=said["reason"], by=asked.actor, at=now()
        )
        return Response(_told(asked, day))


class _CSV(BaseRenderer):
    """A table as CSV; a problem is JSON all the same."""

    media_type = "text/csv"
    format = "csv"
    charset = "utf-8"

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> bytes:
        return data.encode() if isinstance(data, str) else JSONRenderer().render(data)


class StatementOfMonth(Resource):
    """What a closed month charges to whom, the largest first; late changes of earlier months after it. With
    `format=csv` all of it, by team, project, person, category and currency.
    """

    permission: ClassVar = {"GET": _READ}
    renderer_classes = (JSONRenderer, _CSV)

    @extend_schema(
        parameters=[_MONTH, _BY, OpenApiParameter("format", str, enum=["json", "csv"])],
        responses={(200, "application/json"): StatementOutput, (200, "text/csv"): OpenApiTypes.STR},
    )
    def get(self, request: Request, month: str) -> Response:
        asked = caller(request)
        questions.only(request.query_params, ("by", "format"))
        by = questions.text(request.query_params, "by") or "team"
        if by not in selectors.OWNERS:
            raise QuestionUnclear(f"by is one of {', '.join(selectors.OWNERS)}.", field="by")
        if request.accepted_renderer.format == "csv":
            asked.require(Permission.EXPORT)
            whole_organization(asked, group_by=("person",))
            return _attached(asked, selectors.closing(asked.organization_id, rules.month_told(month)))
        whole_organization(asked, group_by=(by,))
        return Response(_statement(selectors.closing(asked.organization_id, rules.month_told(month)), by))


def _attached(asked: Caller, row: Closing) -> Response:
    file = io.StringIO()
    csv.writer(file).writerows(sheet.table(row))
    name = sheet.filename(row, asked.organization_slug)
    return Response(file.getvalue(), headers={"Content-Disposition": f'attachment; filename="{name}"'})


def _told(asked: Caller, month: date) -> dict[str, Any]:
    house, at = asked.organization_id, now()
    if month > at.date():
        raise NotFound(f"{rules.written(month)} has not begun.", field="month")
    [found] = selectors.listed(house, at=at, only=month)
    currency = orgs.organization(house).reporting_currency
    row = selectors.closings(house).filter(month=month).first()
    late = selectors.unsaid(house, rules.days_of(month)) if row else []
    return {
        **_month(found, currency),
        "checklist": [_check(item) for item in checklist(house, month, at=at)],
        "closing": None if row is None else _closing(row),
        "taken_back": [_closing(one) for one in selectors.taken_back(house, month)],
        "late_changes": _late(asked, late),
        "carried_by": [
            {"month": rules.written(one.month), "charges": charges, "amount": shapes.money(cost)}
            for one, cost, charges in selectors.carried_on(house, month)
        ],
        "to_carry": _late(asked, selectors.late(house) if selectors.is_next(house, month) else []),
    }


def _month(one: Month, currency: str) -> dict[str, Any]:
    amounts = {name: getattr(one, name) for name in ("spent", "stated", "later", "late", "carried_in")}
    return {
        "month": rules.written(one.month),
        "state": one.state.value,
        "currency": currency,
        **{name: shapes.money(amount) for name, amount in amounts.items()},
        "may_close": one.may_close,
        "may_reopen": one.may_reopen,
    }


def _check(item: Item) -> dict[str, Any]:
    amount = None if item.amount is None else shapes.money(item.amount)
    return {"check": item.check.value, "count": item.count, "amount": amount, "about": list(item.about)}


def _closing(row: Closing) -> dict[str, Any]:
    names = ("closed_at", "closed_by", "reason", "charges", "carried_charges", "reopened_at", "reopened_by")
    return {
        **{name: getattr(row, name) for name in names},
        "reopened_why": row.reopened_why,
        "still_open": [_check(item) for item in selectors.was_open(row)],
        "amount": shapes.money(row.amount),
        "carried": shapes.money(row.carried),
    }


def _late(asked: Caller, changes: Sequence[Change]) -> dict[str, Any]:
    total = rules.summed(changes)
    people = asked.sees_people
    owners = rules.summed_by(changes, lambda one: (one.team_id, one.project_id, one.person_id if people else 0))
    sources = rules.summed_by(changes, lambda one: one.source_id)
    listed = dict(list(owners.items())[:MOST_ROWS])
    wanted = {name: {ids[place] for ids in listed} for place, name in enumerate(selectors.OWNERS)}
    called = ledger.named(asked.organization_id, {**wanted, "source": set(sources)})
    return {
        "charges": total.charges,
        "amount": shapes.money(total.amount),
        "moved": shapes.money(rules.moved(changes)),
        "by_source": [
            {
                "source": shapes.named(called["source"][one]),
                "charges": sum_.charges,
                "amount": shapes.money(sum_.amount),
            }
            for one, sum_ in sources.items()
        ],
        "by_owner": [
            {
                "team": shapes.named(called["team"][team]),
                "project": shapes.named(called["project"][project]),
                "person": shapes.named(called["person"][person]) if people else None,
                "charges": sum_.charges,
                "amount": shapes.money(sum_.amount),
            }
            for (team, project, person), sum_ in listed.items()
        ],
        "more_owners": len(owners) - len(listed),
    }


def _statement(row: Closing, by: str) -> dict[str, Any]:
    rows = list(selectors.statement(row, by=(by,)))
    shown = rows[:MOST_ROWS]
    called = ledger.named(
        row.organization_id,
        {by: {getattr(one, f"{by}_id") for one in shown}, "category": {one.category_id for one in shown}},
    )
    return {
        "month": rules.written(row.month),
        "currency": row.currency,
        "amount": shapes.money(row.amount),
        "carried": shapes.money(row.carried),
        "by": by,
        "rows": [_row(one, by, called) for one in shown],
        "more_rows": len(rows) - len(shown),
    }


def _row(one: StatementRow, by: str, called: Mapping[str, Mapping[int, ledger.Named]]) -> dict[str, Any]:
    return {
        "of_month": rules.written(one.of_month),
        "owner": shapes.named(called[by][getattr(one, f"{by}_id")]),
        "category": called["category"][one.category_id].value,
        "charges": one.charges,
        "calls": one.calls,
        "currency": one.currency,
        "effective_cost": shapes.money(one.effective_cost),
        "reporting_cost": shapes.money(one.reporting_cost),
    }
