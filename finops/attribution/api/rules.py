"""Attribution rules over REST."""

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
from finops.attribution import selectors, services
from finops.attribution.api.references import Words, ids
from finops.attribution.models import AttributionRule
from finops.attribution.patterns import LONGEST_VALUE
from finops.attribution.rules.conditions import MAX_TASK_TYPE, MAX_VALUES
from finops.attribution.types import DIMENSIONS, Assignment, Condition, Operator, Rule, RuleDraft, RuleVersion
from finops.orgs.authentication import caller
from finops.orgs.rules import Permission

READ_OR_MANAGE: Final = {
    "GET": Permission.ORG_READ,
    "POST": Permission.ATTRIBUTION_MANAGE,
    "PATCH": Permission.ATTRIBUTION_MANAGE,
}
_VERSION_FIELDS: Final = ("conditions", "assignment", "override", "active_from", "active_to")
RETIRED: Final = OpenApiParameter("retired", bool, description="`true`: those that were retired as well.")


class ConditionField(Input):
    """One condition; all of a rule's must hold."""

    field = serializers.CharField(
        max_length=LONGEST_VALUE + 4,
        help_text="provider, model, service_tier, region, host, provider_account, source, session, task_type, "
        "category, evidence, key, team, person, project, agent, customer (as told), identity:<kind> or tag:<key>.",
    )
    operator = serializers.ChoiceField(choices=[wanted.value for wanted in Operator])
    values = serializers.ListField(
        child=serializers.CharField(max_length=LONGEST_VALUE, trim_whitespace=False),
        max_length=MAX_VALUES,
        required=False,
        help_text="None for exists and absent, one for is, is_not and matches, any number for the rest.",
    )


class AssignmentField(Input):
    """What the rule sets; owners by slug."""

    team = serializers.CharField(max_length=80, required=False, allow_null=True)
    person = serializers.CharField(max_length=80, required=False, allow_null=True)
    project = serializers.CharField(max_length=80, required=False, allow_null=True)
    agent = serializers.CharField(max_length=80, required=False, allow_null=True)
    customer = serializers.CharField(max_length=80, required=False, allow_null=True)
    task_type = serializers.CharField(max_length=MAX_TASK_TYPE, required=False, allow_null=True, allow_blank=True)


class _Said(Input):
    active_from = serializers.DateTimeField(
        required=False, allow_null=True, help_text="The first instant it speaks about; null: since ever."
    )
    active_to = serializers.DateTimeField(
        required=False, allow_null=True, help_text="The instant from which it does not any more; null: open."
    )
    override = serializers.BooleanField(
        required=False, help_text="Replaces what was told, keyed or matched, instead of filling what is empty."
    )


class RuleInput(_Said):
    name = serializers.CharField(max_length=200)
    conditions = ConditionField(many=True, allow_empty=True)
    assignment = AssignmentField()
    position = serializers.IntegerField(
        required=False, min_value=1, max_value=2**31 - 1, help_text="Its place in the order, from 1; last when unsaid."
    )


class RuleChange(_Said):
    name = serializers.CharField(max_length=200, required=False)
    conditions = ConditionField(many=True, allow_empty=True, required=False)
    assignment = AssignmentField(required=False)
    expected_number = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=2**31 - 1,
        help_text="The version you read; another's change since is then a 409 instead of lost.",
    )


class RuleMove(Input):
    position = serializers.IntegerField(
        min_value=1, max_value=2**31 - 1, help_text="From 1; retired rules are not counted."
    )


class RuleRetirement(Input):
    retired_from = serializers.DateTimeField(
        required=False, allow_null=True, help_text="Calls from then on are no longer its own; now when unsaid."
    )


class VersionOutput(serializers.Serializer[Any]):
    number = serializers.IntegerField()
    conditions = ConditionField(many=True)
    assignment = AssignmentField()
    override = serializers.BooleanField()
    active_from = serializers.DateTimeField(allow_null=True)
    active_to = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField()


class RuleOutput(VersionOutput):
    """A rule as its newest version says it."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    position = serializers.IntegerField()
    retired_from = serializers.DateTimeField(allow_null=True)


class RuleDetailOutput(RuleOutput):
    """`versions` is newest first; each speaks for its period, the higher number where they overlap."""

    versions = VersionOutput(many=True)


def read_draft(organization_id: int, said: Mapping[str, Any], newest: RuleVersion | None = None) -> RuleDraft:
    """A draft from what a request said; what it left out is as in `newest`. Raises OwnerUnknown naming the field."""
    conditions: tuple[Condition, ...] = ()
    assignment = Assignment()
    if newest is not None:
        conditions, assignment = newest.conditions, newest.assignment
    if "conditions" in said:
        conditions = tuple(
            Condition(one["field"], Operator(one["operator"]), tuple(one.get("values", ())))
            for one in said["conditions"]
        )
    if "assignment" in said:
        assignment = _assignment(organization_id, said["assignment"])
    return RuleDraft(
        conditions=conditions,
        assignment=assignment,
        override=said.get("override", newest.override if newest else False),
        active_from=said.get("active_from", newest.active_from if newest else None),
        active_to=said.get("active_to", newest.active_to if newest else None),
    )


def _assignment(organization_id: int, said: Mapping[str, Any]) -> Assignment:
    owners = {}
    for name in DIMENSIONS:
        if said.get(name):
            owners[name] = ids(organization_id, name, [said[name]], field=f"assignment.{name}")[0]
    return Assignment(owners, said.get("task_type") or "")


def shown(organization_id: int, rows: Iterable[AttributionRule], *, versions: bool = False) -> list[dict[str, Any]]:
    """Rules as answers show them."""
    listed_rows = list(rows)
    told = {row.id: selectors.as_rule(row) for row in listed_rows}
    owners = [item for rule in told.values() for one in rule.versions for item in one.assignment.owners.items()]
    words = Words(organization_id, owners)
    output = RuleDetailOutput if versions else RuleOutput
    return [dict(output(_shown(row, told[row.id], words)).data) for row in listed_rows]


def _shown(row: AttributionRule, rule: Rule, words: Words) -> dict[str, Any]:
    made = {version.id: (version.created_at, version.created_by) for version in row.versions.all()}
    versions = [_version(version, words, made[version.version_id]) for version in rule.versions]
    return {
        **versions[0],
        "id": row.id,
        "name": row.name,
        "position": row.place,
        "retired_from": row.retired_from,
        "versions": versions,
    }


def _version(version: RuleVersion, words: Words, made: tuple[Any, str]) -> dict[str, Any]:
    assignment: dict[str, str | None] = dict.fromkeys(DIMENSIONS)
    assignment.update({kind: words(kind, owner) for kind, owner in version.assignment.owners.items()})
    return {
        "number": version.number,
        "conditions": [condition._asdict() for condition in version.conditions],
        "assignment": {**assignment, "task_type": version.assignment.task_type},
        "override": version.override,
        "active_from": version.active_from,
        "active_to": version.active_to,
        "created_at": made[0],
        "created_by": made[1],
    }


def asks_for_retired(request: Request) -> bool:
    return request.query_params.get("retired", "").lower() in {"1", "true"}


class Rules(Resource):
    """Attribution rules, in the order they are asked."""

    permission: ClassVar = READ_OR_MANAGE

    @listed(RuleOutput, RETIRED)
    def get(self, request: Request) -> Response:
        organization_id = caller(request).organization_id
        rows = selectors.rules(organization_id, retired=asks_for_retired(request))
        found = paging.page(rows, request, order=("position", "id"))
        return Response(paging.answer(shown(organization_id, found.rows), found.next_cursor))

    @answers(RuleDetailOutput, takes=RuleInput, status=201)
    @idempotent
    def post(self, request: Request) -> Response:
        """Add a rule. It speaks for calls from now on; for history when that is re-attributed."""
        asked, said = caller(request), valid(RuleInput, request.data)
        row = services.create_rule(
            organization_id=asked.organization_id,
            name=said["name"],
            draft=read_draft(asked.organization_id, said),
            position=said.get("position"),
            by=asked.actor,
            at=now(),
        )
        return Response(shown(asked.organization_id, [row], versions=True)[0], status=201)


class OneRule(Resource):
    """One attribution rule with all its versions."""

    permission: ClassVar = READ_OR_MANAGE

    @answers(RuleDetailOutput)
    def get(self, request: Request, rule_id: int) -> Response:
        organization_id = caller(request).organization_id
        return Response(shown(organization_id, [selectors.rule(organization_id, rule_id)], versions=True)[0])

    @answers(RuleDetailOutput, takes=RuleChange)
    def patch(self, request: Request, rule_id: int) -> Response:
        """Rename it, or add a version. What is left out stays as in the newest version; a new `active_from` leaves
        the past to the versions before."""
        asked, said = caller(request), valid(RuleChange, request.data)
        newest = selectors.as_rule(selectors.rule(asked.organization_id, rule_id)).versions[0]
        changes = any(name in said for name in _VERSION_FIELDS)
        row = services.change_rule(
            organization_id=asked.organization_id,
            rule_id=rule_id,
            name=said.get("name"),
            draft=read_draft(asked.organization_id, said, newest) if changes else None,
            # What was left out was read from this very version, so it must still be the newest.
            expected_number=said.get("expected_number", newest.number if changes else None),
            by=asked.actor,
            at=now(),
        )
        return Response(shown(asked.organization_id, [row], versions=True)[0])


class MoveRule(Resource):
    """Put a rule at another place of the order, for all time."""

    permission: ClassVar = {"POST": Permission.ATTRIBUTION_MANAGE}

    @answers(RuleDetailOutput, takes=RuleMove)
    @idempotent
    def post(self, request: Request, rule_id: int) -> Response:
        asked, said = caller(request), valid(RuleMove, request.data)
        row = services.move_rule(
            organization_id=asked.organization_id, rule_id=rule_id, position=said["position"], by=asked.actor, at=now()
        )
        return Response(shown(asked.organization_id, [row], versions=True)[0])


class RetireRule(Resource):
    """End a rule. It still speaks for calls before `retired_from`."""

    permission: ClassVar = {"POST": Permission.ATTRIBUTION_MANAGE}

    @answers(RuleDetailOutput, takes=RuleRetirement)
    @idempotent
    def post(self, request: Request, rule_id: int) -> Response:
        asked, said = caller(request), valid(RuleRetirement, request.data)
        row = services.retire_rule(
            organization_id=asked.organization_id,
            rule_id=rule_id,
            retired_from=said.get("retired_from"),
            by=asked.actor,
            at=now(),
        )
        return Response(shown(asked.organization_id, [row], versions=True)[0])
