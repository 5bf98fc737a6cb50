"""Bills over REST: where a month went and what frontier was needed for, and what it would have come to otherwise."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar, Final

from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from finops.api.schema import answers
from finops.api.views import Input, Resource, now, valid
from finops.orgs import selectors as orgs
from finops.orgs.authentication import caller
from finops.orgs.rules import Permission
from routing.bills import rules, selectors
from routing.bills.rules import QuestionInvalid
from routing.bills.types import Basis, Bill, Change, Drop, Move, Need, Offer, Plan, Reprice
from routing.tiers.api import KnownModelOutput

NEEDS: Final = [one.value for one in Need]
BASES: Final = [one.value for one in Basis]
_KINDS: Final = ("move", "price", "drop", "plan")
_MONTH: Final = "A calendar month (UTC) as 2026-10; unless said, the last one that is over."


class SliceOutput(serializers.Serializer[Any]):
    """A part of the whole. Shares have four places; those of a list add up to 1, or are 0 where there is nothing."""

    key = serializers.CharField(allow_blank=True)
    title = serializers.CharField()
    calls = serializers.IntegerField()
    spend = serializers.CharField()
    call_share = serializers.CharField()
    spend_share = serializers.CharField()


class NeededOutput(serializers.Serializer[Any]):
    """A frontier model on a task type. `needs`: every model of a cheaper tier that was measured there is worse by more
    than the margin. `does_not`: one of them is as good. `unknown` is anything else: `tasks` more at both models would
    tell, for `cost` dollars, null where nobody knows that either.
    """

    task_type = serializers.CharField(allow_blank=True)
    model = serializers.CharField()
    calls = serializers.IntegerField()
    spend = serializers.CharField()
    need = serializers.ChoiceField(choices=NEEDS, source="told.need")
    why = serializers.CharField(source="told.why")
    tasks = serializers.IntegerField(source="told.tasks", allow_null=True)
    cost = serializers.CharField(source="told.cost", allow_null=True)
    candidates = serializers.ListField(source="told.candidates", child=serializers.CharField())


class TypeOfTiersOutput(serializers.Serializer[Any]):
    task_type = serializers.CharField(allow_blank=True)
    calls = serializers.IntegerField()
    spend = serializers.CharField()
    tiers = SliceOutput(many=True)


class UsedModelOutput(serializers.Serializer[Any]):
    known = KnownModelOutput()
    provider = serializers.CharField(allow_blank=True)
    calls = serializers.IntegerField()
    spend = serializers.CharField()


class ComparedOutput(serializers.Serializer[Any]):
    """One model's calls, and where they would be. `after` is null where nobody can tell; `unpriced` is as much of
    `before` as that holds for. `unpriced_calls` had no price to begin with. `basis`: `same` where nothing changes,
    `prices`, or `measured` where both models did the same tasks.
    """

    provider = serializers.CharField(allow_blank=True)
    model = serializers.CharField(allow_blank=True)
    to_provider = serializers.CharField(allow_blank=True)
    to_model = serializers.CharField(allow_blank=True)
    basis = serializers.ChoiceField(choices=BASES)
    calls = serializers.IntegerField()
    before = serializers.CharField()
    after = serializers.CharField(allow_null=True)
    unpriced = serializers.CharField()
    unpriced_calls = serializers.IntegerField()
    why = serializers.CharField(allow_blank=True)


class BillOutput(serializers.Serializer[Any]):
    """A month beside what it would have come to, in the reporting currency. `difference` is `after` less what of
    `before` can be compared, `before` less `unpriced`; `after` has the `fees` of plans in it. At most 200 rows, those
    that change most first; `more_rows` are left out, and in every total.
    """

    month = serializers.CharField()
    currency = serializers.CharField()
    before = serializers.CharField()
    after = serializers.CharField()
    difference = serializers.CharField()
    unpriced = serializers.CharField()
    unpriced_calls = serializers.IntegerField()
    fees = serializers.CharField()
    rows = ComparedOutput(many=True)
    more_rows = serializers.IntegerField()
    notes = serializers.ListField(child=serializers.CharField())


class FrontierBillOutput(BillOutput):
    """The month with every call at one frontier model."""

    model = serializers.CharField()
    provider = serializers.CharField(allow_blank=True)


class TiersOutput(serializers.Serializer[Any]):
    """Where a month went. `needs` are shares of what went to frontier. `guessed_spend` is of models whose tier is a
    guess by their name. Lists of rows have at most 200, the dearest first.
    """

    month = serializers.CharField()
    currency = serializers.CharField()
    calls = serializers.IntegerField()
    spend = serializers.CharField()
    unpriced_calls = serializers.IntegerField()
    guessed_spend = serializers.CharField()
    tiers = SliceOutput(many=True)
    vendors = SliceOutput(many=True)
    origins = SliceOutput(many=True)
    needs = SliceOutput(many=True)
    frontier = NeededOutput(many=True)
    types = TypeOfTiersOutput(many=True)
    models = UsedModelOutput(many=True)
    all_frontier = FrontierBillOutput(allow_null=True)


class TiersFilter(serializers.Serializer[Any]):
    month = serializers.CharField(max_length=7, required=False, default="")
    frontier = serializers.CharField(max_length=rules.LONGEST_NAME, required=False)
    provider = serializers.CharField(max_length=rules.LONGEST_WORD, required=False, default="")


class Tiers(Resource):
    """What calls and money went to by tier, maker and origin; what of frontier is needed; and the same month with every
    call at one frontier model.
    """

    permission: ClassVar = {"GET": Permission.ROUTING_READ}

    @answers(
        TiersOutput,
        parameters=(
            OpenApiParameter("month", str, description=_MONTH),
            OpenApiParameter("frontier", str, description="A model; unless said, the frontier one most was spent on."),
            OpenApiParameter("provider", str, description="Who sells it; unless said, whoever made it."),
        ),
    )
    def get(self, request: Request) -> Response:
        """Of what the caller may see of spend; needs `spend.read` besides."""
        asked, at = caller(request), now()
        said = valid(TiersFilter, request.query_params.dict())
        named = Offer(model=said["frontier"], provider=said["provider"]) if said.get("frontier") else None
        found = selectors.report(asked, rules.month_of(said["month"], at.date()), at, frontier=named)
        shares, most = found.shares, rules.MOST_ROWS
        told = {
            name: getattr(shares, name)
            for name in ("calls", "spend", "unpriced_calls", "guessed_spend", "tiers", "vendors", "origins", "needs")
        }
        told |= {name: getattr(shares, name)[:most] for name in ("frontier", "types", "models")}
        bill = None
        if found.all_frontier is not None and found.frontier is not None:
            bill = told_of(found.all_frontier) | {"model": found.frontier.model, "provider": found.frontier.provider}
        told |= {"month": f"{found.month:%Y-%m}", "currency": found.currency, "all_frontier": bill}
        return Response(TiersOutput(told).data)


class SubstituteInput(Input):
    model = serializers.CharField(max_length=rules.LONGEST_NAME)
    to = serializers.CharField(max_length=rules.LONGEST_NAME)
    to_provider = serializers.CharField(max_length=rules.LONGEST_WORD, required=False, default="")


def _percent(most: Decimal, least: Decimal, words: str) -> serializers.DecimalField:
    return serializers.DecimalField(
        max_digits=4 + rules.PERCENT_PLACES, decimal_places=rules.PERCENT_PLACES, min_value=least, max_value=most,
        required=False, help_text=words,
    )  # fmt: skip


class ChangeInput(Input):
    """`move`: calls of `model` go `to` another one, all or those of a `task_type` or `project`. `price`: prices of
    `model` change by percents. `drop`: a `vendor` is gone, and its models' calls go where `instead` and `otherwise`
    say. `plan`: a `fee` for the month, and `percent` off what a `vendor` or a `model` costs.
    """

    kind = serializers.ChoiceField(choices=_KINDS)
    model = serializers.CharField(max_length=rules.LONGEST_NAME, required=False)
    provider = serializers.CharField(
        max_length=rules.LONGEST_WORD, required=False, help_text="Only what was had there."
    )
    to = serializers.CharField(max_length=rules.LONGEST_NAME, required=False)
    to_provider = serializers.CharField(max_length=rules.LONGEST_WORD, required=False)
    task_type = serializers.CharField(
        max_length=rules.LONGEST_NAME, required=False, allow_blank=True, help_text="Empty: of no task type."
    )
    project = serializers.SlugField(max_length=80, required=False)
    read = _percent(rules.MOST_PERCENT, rules.LEAST_PERCENT, "Of the price of tokens that are read.")
    cached = _percent(rules.MOST_PERCENT, rules.LEAST_PERCENT, "Of the price of tokens read from a cache.")
    written = _percent(rules.MOST_PERCENT, rules.LEAST_PERCENT, "Of the price of tokens that are written.")
    vendor = serializers.CharField(max_length=rules.LONGEST_WORD, required=False)
    instead = SubstituteInput(many=True, required=False)
    otherwise = serializers.CharField(max_length=rules.LONGEST_NAME, required=False)
    otherwise_provider = serializers.CharField(max_length=rules.LONGEST_WORD, required=False)
    fee = serializers.DecimalField(max_digits=16, decimal_places=6, min_value=0, required=False)
    percent = _percent(rules.MOST_DISCOUNT, Decimal(0), "Off.")

    # What each kind needs, and what it may say beside that.
    _SAYS: ClassVar = {
        "move": ({"model", "to"}, {"provider", "to_provider", "task_type", "project"}),
        "price": ({"model"}, {"provider", "read", "cached", "written"}),
        "drop": ({"vendor"}, {"instead", "otherwise", "otherwise_provider"}),
        "plan": ({"fee", "percent"}, {"vendor", "model"}),
    }

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        needed, also = self._SAYS[attrs["kind"]]
        given = set(attrs) - {"kind"}
        problems = {name: ["This kind of change needs it."] for name in sorted(needed - given)}
        problems |= {name: ["This kind of change does not have it."] for name in sorted(given - needed - also)}
        if problems:
            raise serializers.ValidationError(problems)
        return attrs


class WhatIfInput(Input):
    month = serializers.CharField(max_length=7, required=False, default="", allow_blank=True, help_text=_MONTH)
    changes = serializers.ListField(child=ChangeInput(), min_length=1, max_length=rules.MOST_CHANGES)


class WhatIf(Resource):
    """What a month would have come to. Nothing is changed by asking."""

    permission: ClassVar = {"POST": Permission.ROUTING_READ}

    @answers(BillOutput, takes=WhatIfInput)
    def post(self, request: Request) -> Response:
        """Each call goes where the first move that fits says; then prices of where it is change; then the first plan
        that is about it takes off its percents. Needs `spend.read` besides, and tells of what the caller may see.
        """
        asked, at = caller(request), now()
        said = valid(WhatIfInput, request.data)
        changes = [
            change_of(one, asked.organization_id, field=f"changes[{place}]")
            for place, one in enumerate(said["changes"])
        ]
        bill = selectors.what_if(asked, rules.month_of(said["month"], at.date()), changes, at)
        return Response(BillOutput(told_of(bill)).data)


def told_of(bill: Bill) -> dict[str, Any]:
    """A bill as it is shown."""
    names = ("currency", "before", "after", "difference", "unpriced", "unpriced_calls", "fees", "notes")
    most = rules.MOST_ROWS
    told = {name: getattr(bill, name) for name in names}
    return told | {
        "month": f"{bill.month:%Y-%m}", "rows": bill.rows[:most], "more_rows": max(len(bill.rows) - most, 0),
    }  # fmt: skip


def change_of(said: dict[str, Any], organization_id: int, *, field: str) -> Change:
    """A change as it was said. Raises QuestionInvalid for a project there is not."""
    kind = said["kind"]
    if kind == "move":
        return Move(
            model=said["model"],
            to=Offer(model=said["to"], provider=said.get("to_provider", "")),
            provider=said.get("provider", ""),
            task_type=said.get("task_type"),
            project_id=_project(organization_id, said["project"], field) if "project" in said else None,
        )
    if kind == "price":
        percents = {name: said.get(name, Decimal(0)) for name in ("read", "cached", "written")}
        return Reprice(model=said["model"], provider=said.get("provider", ""), **percents)
    if kind == "drop":
        other = said.get("otherwise")
        return Drop(
            vendor=said["vendor"].strip().lower(),
            instead={
                one["model"]: Offer(model=one["to"], provider=one["to_provider"]) for one in said.get("instead", ())
            },
            otherwise=None if other is None else Offer(model=other, provider=said.get("otherwise_provider", "")),
        )
    return Plan(
        fee=said["fee"], percent=said["percent"], vendor=said.get("vendor", "").strip().lower(),
        model=said.get("model", ""),
    )  # fmt: skip


def _project(organization_id: int, slug: str, field: str) -> int:
    found: int | None = orgs.projects(organization_id).filter(slug=slug).values_list("id", flat=True).first()
    if found is None:
        raise QuestionInvalid("there is no such project", field=f"{field}.project")
    return found
