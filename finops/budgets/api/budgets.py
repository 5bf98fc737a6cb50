"""Budgets over REST."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final

from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from finops.api import paging
from finops.api.idempotency import idempotent
from finops.api.schema import answers, listed
from finops.api.views import Input, Resource, now, valid
from finops.budgets import selectors
from finops.budgets.api.references import Called, read_scope
from finops.budgets.models import Budget
from finops.budgets.rules.drafts import LONGEST_WORD, MOST_STEPS, MOST_THRESHOLDS, MOST_VALUES
from finops.budgets.rules.sight import subjects_seen
from finops.budgets.services import budgets as services
from finops.budgets.services import history, teams
from finops.budgets.types import EACH, OWNERS, Draft, Enforcement, Period
from finops.ledger.api.shapes import MoneyField, money
from finops.orgs.authentication import caller
from finops.orgs.rules import Caller, OutOfReach, Permission, PermissionMissing, spend_filters

MOST_DAYS: Final = 90
READ_OR_TEAM: Final = {
    "GET": Permission.BUDGETS_READ,
    "POST": Permission.BUDGETS_TEAM,
    "PATCH": Permission.BUDGETS_TEAM,
}
_ARCHIVED: Final = OpenApiParameter("archived", bool, description="`true`: those that were archived as well.")
_SCOPE_HELP: Final = (
    "What it concerns; all must match, {} is everything. team (with those below it), person, project, agent and "
    "customer by slug, key by its prefix, null for nobody; provider and model by word."
)


class _Scope(serializers.DictField):
    child = serializers.ListField(
        child=serializers.CharField(max_length=LONGEST_WORD, allow_null=True, trim_whitespace=False),
        max_length=MOST_VALUES,
    )


class AmountField(serializers.DecimalField):
    """Money of a request: the reporting currency, from 0 on."""

    def __init__(self, **given: Any) -> None:
        super().__init__(max_digits=24, decimal_places=12, min_value=0, **given)


class CheaperModel(Input):
    """A model that calls go to instead."""

    provider = serializers.CharField(max_length=LONGEST_WORD)
    model = serializers.CharField(max_length=LONGEST_WORD)


class _Said(Input):
    enforcement = serializers.ChoiceField(choices=[one.value for one in Enforcement], required=False)
    thresholds = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=1_000),
        max_length=MOST_THRESHOLDS,
        required=False,
        help_text="Percent of the limit at which somebody is told.",
    )
    rollover = AmountField(required=False, help_text="The most that is carried over to the next period.")
    fail_open = serializers.BooleanField(
        required=False, help_text="Whether calls go on when the database cannot be asked."
    )
    downgrade_to = serializers.ListField(
        child=CheaperModel(),
        max_length=MOST_STEPS,
        required=False,
        help_text="Of `downgrade`: the cheaper models its calls go to, each no dearer than the one before.",
    )
    downgrade_at = serializers.IntegerField(
        min_value=1, max_value=100, required=False, help_text="Percent of the limit from which on they do; 80 unsaid."
    )
    ends_at = serializers.DateTimeField(required=False)


class BudgetInput(_Said):
    name = serializers.CharField(max_length=200)
    limit = AmountField(help_text="Of each account and period, in the reporting currency.")
    period = serializers.ChoiceField(choices=[one.value for one in Period])
    scope = _Scope(required=False, help_text=_SCOPE_HELP)
    each = serializers.ChoiceField(
        choices=list(EACH), required=False, allow_null=True, help_text="An account for each; null is one for all."
    )
    timezone = serializers.CharField(
        max_length=60, required=False, help_text="Whose calendar it keeps; the organization's when unsaid."
    )
    starts_at = serializers.DateTimeField(
        required=False, help_text="Within the present period or later; its beginning when unsaid."
    )


class BudgetChange(_Said):
    """A budget of another scope, period or subject is another budget."""

    name = serializers.CharField(max_length=200, required=False)
    limit = AmountField(required=False)


class BudgetTrial(BudgetInput):
    """A budget as `POST budgets` takes it, and the days to try it on."""

    name = serializers.CharField(max_length=200, required=False)
    days = serializers.IntegerField(min_value=1, max_value=MOST_DAYS, default=30)


class SubjectOutput(serializers.Serializer[Any]):
    """`subject` is a slug, a key's prefix or a word; null where there is one account for all, and for nobody's."""

    subject = serializers.CharField(allow_null=True)
    subject_name = serializers.CharField(allow_blank=True)


class BudgetOutput(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()
    scope = _Scope()
    each = serializers.CharField(allow_null=True)
    period = serializers.CharField()
    timezone = serializers.CharField()
    limit = MoneyField()
    enforcement = serializers.CharField()
    thresholds = serializers.ListField(child=serializers.IntegerField())
    rollover = MoneyField()
    fail_open = serializers.BooleanField()
    downgrade_to = serializers.ListField(child=CheaperModel())
    downgrade_at = serializers.IntegerField()
    by_lead = serializers.BooleanField()
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField(allow_null=True)
    archived_at = serializers.DateTimeField(allow_null=True)


class BudgetExceptionOutput(SubjectOutput):
    """No `limit`: the budget does not concern it."""

    limit = MoneyField(allow_null=True)
    note = serializers.CharField(allow_blank=True)


class BudgetDetailOutput(BudgetOutput):
    """`exceptions` are those the caller may see."""

    exceptions = BudgetExceptionOutput(many=True)


class StopOutput(SubjectOutput):
    """Who would have been stopped in the period that began at `starts_at`, and what they spent from then on."""

    starts_at = serializers.DateTimeField()
    stopped_at = serializers.DateTimeField()
    beyond = MoneyField()
    calls = serializers.IntegerField()


class TrialOutput(serializers.Serializer[Any]):
    """How often somebody would have been stopped, the calls that would not have been made, and the dearest stops."""

    stops = serializers.IntegerField()
    calls = serializers.IntegerField()
    dearest = StopOutput(many=True)


def shown(organization_id: int, rows: Iterable[Budget]) -> list[dict[str, Any]]:
    """Budgets as answers show them."""
    told = list(rows)
    called = Called(organization_id, scopes=[row.scope for row in told])
    return [dict(BudgetOutput(_terms(row, called)).data) for row in told]


def detail(asked: Caller, row: Budget) -> dict[str, Any]:
    """One budget with its exceptions, as far as the caller may see them."""
    seen = None
    if not asked.can(Permission.BUDGETS_MANAGE):
        seen = subjects_seen(selectors.sight_of(asked), row.scope, row.each)
    exceptions = [one for one in row.exceptions.order_by("id") if seen is None or one.subject in seen]
    called = Called(asked.organization_id, scopes=[row.scope], subjects=[(row.each, one.subject) for one in exceptions])
    told = [
        {
            **called.subject(row.each, one.subject),
            "limit": None if one.limit_amount is None else money(one.limit_amount),
            "note": one.note,
        }
        for one in exceptions
    ]
    return dict(BudgetDetailOutput({**_terms(row, called), "exceptions": told}).data)


def _terms(row: Budget, called: Called) -> dict[str, Any]:
    same = (
        "id", "name", "period", "timezone", "enforcement", "thresholds", "fail_open", "downgrade_to",
        "downgrade_at", "by_lead", "starts_at",
        "ends_at", "archived_at",
    )  # fmt: skip
    return {
        **{name: getattr(row, name) for name in same},
        "scope": called.scope(row.scope),
        "each": row.each or None,
        "limit": money(row.limit_amount),
        "rollover": money(row.rollover_amount),
    }


def _changes(said: Mapping[str, Any]) -> dict[str, Any]:
    """What was said, by the names of the services."""
    names = {"limit": "limit_amount", "rollover": "rollover_amount"}
    made = {names.get(name, name): value for name, value in said.items()}
    if "enforcement" in made:
        made["enforcement"] = Enforcement(made["enforcement"])
    if "thresholds" in made:
        made["thresholds"] = tuple(made["thresholds"])
    if "downgrade_to" in made:
        made["downgrade_to"] = tuple((one["provider"], one["model"]) for one in made["downgrade_to"])
    return made


def _draft(organization_id: int, said: Mapping[str, Any]) -> Draft:
    made = {"enforcement": Enforcement.HARD, "name": "A trial", **_changes(said)}
    made.pop("days", None)
    made |= {"period": Period(said["period"]), "each": said.get("each") or ""}
    return Draft(**made | {"scope": read_scope(organization_id, said.get("scope", {}))})


def led_by(asked: Caller) -> frozenset[int] | None:
    """The teams inside whose envelopes a caller may make budgets; None for who manages them all."""
    if asked.can(Permission.BUDGETS_MANAGE):
        return None
    if asked.team_ids is None:
        raise PermissionMissing("This needs the permission budgets.manage, or a team lead's membership.")
    return asked.team_ids


class Budgets(Resource):
    """Budgets whose terms the caller may read, oldest first."""

    permission: ClassVar = READ_OR_TEAM

    @listed(BudgetOutput, _ARCHIVED)
    def get(self, request: Request) -> Response:
        asked = caller(request)
        archived = request.query_params.get("archived", "").lower() in {"1", "true"}
        found = paging.page(selectors.budgets_seen(asked, archived=archived), request, order=("id",))
        return Response(paging.answer(shown(asked.organization_id, found.rows), found.next_cursor))

    @answers(BudgetDetailOutput, takes=BudgetInput, status=201)
    @idempotent
    def post(self, request: Request) -> Response:
        """Make a budget; `hard` when no enforcement is said. What was spent in its period so far counts. Without
        `budgets.manage` a team lead makes them for their own teams, inside the team's envelope: up to the limit of a
        manager's budget for that team, or one above it, over as long a period."""
        asked, said = caller(request), valid(BudgetInput, request.data)
        led = led_by(asked)
        given: dict[str, Any] = {
            "organization_id": asked.organization_id,
            "draft": _draft(asked.organization_id, said),
            "by": asked.actor,
            "at": now(),
        }
        row = services.create_budget(**given) if led is None else teams.create_team_budget(led=led, **given)
        return Response(detail(asked, row), status=201)


class OneBudget(Resource):
    """One budget with its exceptions."""

    permission: ClassVar = READ_OR_TEAM

    @answers(BudgetDetailOutput)
    def get(self, request: Request, budget_id: int) -> Response:
        asked = caller(request)
        return Response(detail(asked, selectors.budget_seen(asked, budget_id)))

    @answers(BudgetDetailOutput, takes=BudgetChange)
    def patch(self, request: Request, budget_id: int) -> Response:
        """Change what may change; what was spent stays spent. A team lead changes what team leads made, inside the
        team's envelope."""
        asked, said = caller(request), valid(BudgetChange, request.data)
        led = led_by(asked)
        selectors.budget_seen(asked, budget_id)
        given = {
            "organization_id": asked.organization_id,
            "budget_id": budget_id,
            "by": asked.actor,
            "at": now(),
            **_changes(said),
        }
        row = services.change_budget(**given) if led is None else teams.change_team_budget(led=led, **given)
        return Response(detail(asked, row))


class ArchiveBudget(Resource):
    """The budget concerns nobody any more. Its accounts stay as they are."""

    permission: ClassVar = {"POST": Permission.BUDGETS_TEAM}

    @answers(BudgetDetailOutput, takes=Input)
    @idempotent
    def post(self, request: Request, budget_id: int) -> Response:
        asked = caller(request)
        valid(Input, request.data)
        led = led_by(asked)
        selectors.budget_seen(asked, budget_id)
        given: dict[str, Any] = {
            "organization_id": asked.organization_id,
            "budget_id": budget_id,
            "by": asked.actor,
            "at": now(),
        }
        row = services.archive_budget(**given) if led is None else teams.archive_team_budget(led=led, **given)
        return Response(detail(asked, row))


class TryBudget(Resource):
    """A budget that is not made, played against the days that were. Nothing is saved."""

    permission: ClassVar = {"POST": Permission.BUDGETS_TEAM}

    @answers(TrialOutput, takes=BudgetTrial)
    def post(self, request: Request) -> Response:
        """Needs `spend.read` too, and `spend.read_people` where it names people: the answer tells what they spent. At
        most 200 stops are listed, dearest first."""
        asked, said = caller(request), valid(BudgetTrial, request.data)
        draft, at = _draft(asked.organization_id, said), now()
        _check_reach(asked, draft)
        terms = services.draft_terms(organization_id=asked.organization_id, draft=draft, at=at)
        found = history.try_budget(terms, days=said["days"], at=at)
        called = Called(asked.organization_id, subjects=[(draft.each, one.subject) for one in found.dearest])
        dearest = [
            {**one._asdict(), **called.subject(draft.each, one.subject), "beyond": money(one.beyond)}
            for one in found.dearest
        ]
        return Response(TrialOutput({"stops": found.stops, "calls": found.calls, "dearest": dearest}).data)


def _check_reach(asked: Caller, draft: Draft) -> None:
    """Raises PermissionMissing and OutOfReach for spend the caller may not see."""
    wished = {name: frozenset(int(value) for value in values) for name, values in draft.scope.items() if name in OWNERS}
    if spend_filters(asked, group_by=(draft.each,), filters=wished) != wished:
        raise OutOfReach("A budget is tried on spend you may see: say in its scope whose.", field="scope")
