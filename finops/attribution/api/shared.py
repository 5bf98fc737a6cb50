"""Shared cost rules over REST."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from finops.api import paging
from finops.api.idempotency import idempotent
from finops.api.schema import answers, listed
from finops.api.views import Input, Resource, now, valid
from finops.attribution import selectors, services
from finops.attribution.api.references import Words, ids
from finops.attribution.api.rules import READ_OR_MANAGE, RETIRED, asks_for_retired
from finops.attribution.models import SharedCostRule, SharedCostVersion
from finops.attribution.services.shared import MAX_VALUES, POOL_IDS, PoolInvalid, SplitInvalid
from finops.attribution.types import DIMENSIONS, Method, SharedCost, SharedCostDraft, WhenEmpty
from finops.orgs.authentication import caller
from finops.orgs.rules import Permission

_VERSION_FIELDS: Final = (
    "pool", "method", "dimension", "targets", "percentages", "when_empty", "from_month", "to_month",
)  # fmt: skip
_POOL_HELP: Final = (
    "Which cost is shared; all must match. team, person, project, agent, customer and source by slug, key by its "
    "prefix, null for nobody; provider, model, service_tier, region, host, provider_account, task_type, category and "
    "tag:<promoted key> by word."
)


class _Pool(serializers.DictField):
    child = serializers.ListField(
        child=serializers.CharField(max_length=200, allow_null=True, trim_whitespace=False), max_length=MAX_VALUES
    )


class _Percentages(serializers.DictField):
    child = serializers.DecimalField(max_digits=7, decimal_places=4)


class _Targets(serializers.ListField):
    child = serializers.CharField(max_length=80)


class _Said(Input):
    targets = _Targets(required=False, max_length=MAX_VALUES, help_text="By slug; none: every active one.")
    percentages = _Percentages(
        required=False, help_text="Of fixed shares, by slug: at most four places, together at most 100."
    )
    when_empty = serializers.ChoiceField(
        choices=[wanted.value for wanted in WhenEmpty],
        required=False,
        help_text="When nobody used anything: split evenly, or leave it where it is.",
    )
    from_month = serializers.DateField(required=False, allow_null=True, help_text="The first day of the first month.")
    to_month = serializers.DateField(
        required=False, allow_null=True, help_text="The first day of the first month that is not split any more."
    )


class SharedCostInput(_Said):
    name = serializers.CharField(max_length=200)
    pool = _Pool(help_text=_POOL_HELP)
    method = serializers.ChoiceField(choices=[wanted.value for wanted in Method])
    dimension = serializers.ChoiceField(choices=list(DIMENSIONS))


class SharedCostChange(_Said):
    name = serializers.CharField(max_length=200, required=False)
    pool = _Pool(required=False, help_text=_POOL_HELP)
    method = serializers.ChoiceField(choices=[wanted.value for wanted in Method], required=False)
    dimension = serializers.ChoiceField(choices=list(DIMENSIONS), required=False)
    expected_number = serializers.IntegerField(required=False, min_value=1, max_value=2**31 - 1)


class SharedCostRetirement(Input):
    retired_from = serializers.DateField(
        required=False, allow_null=True, help_text="The first month it splits no more, by its first day; this one."
    )


class SharedCostVersionOutput(serializers.Serializer[Any]):
    number = serializers.IntegerField()
    pool = _Pool()
    method = serializers.CharField()
    dimension = serializers.CharField()
    targets = serializers.ListField(child=serializers.CharField())
    percentages = _Percentages()
    when_empty = serializers.CharField()
    from_month = serializers.DateField(allow_null=True)
    to_month = serializers.DateField(allow_null=True)
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField()


class SharedCostOutput(SharedCostVersionOutput):
    """A shared cost rule as its newest version says it."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    retired_from = serializers.DateField(allow_null=True)


class SharedCostDetailOutput(SharedCostOutput):
    """`versions` is newest first; each speaks for its months, the higher number where they overlap."""

    versions = SharedCostVersionOutput(many=True)


def _read(organization_id: int, said: Mapping[str, Any], newest: SharedCost | None = None) -> SharedCostDraft:
    """A draft from what a request said; what it left out is as in `newest`."""
    dimension = said.get("dimension", newest.dimension if newest else "")
    again = newest is not None and dimension == newest.dimension
    method = Method(said["method"]) if "method" in said else (newest.method if newest else Method.EVEN)
    targets, percentages = (newest.targets, newest.percentages) if newest and again else ((), {})
    if "targets" in said:
        targets = tuple(ids(organization_id, dimension, said["targets"], field="targets"))
    if "percentages" in said:
        parts = said["percentages"]
        found = ids(organization_id, dimension, parts, field="percentages")
        percentages = dict(zip(found, parts.values(), strict=True))
    elif method is not Method.FIXED:
        percentages = {}
    return SharedCostDraft(
        pool=_pool(organization_id, said["pool"]) if "pool" in said else (newest.pool if newest else {}),
        method=method,
        dimension=dimension,
        targets=targets if method is not Method.FIXED or "targets" in said else (),
        percentages=percentages,
        when_empty=WhenEmpty(said.get("when_empty", newest.when_empty if newest else WhenEmpty.EVEN)),
        from_month=said.get("from_month", newest.from_month if newest else None),
        to_month=said.get("to_month", newest.to_month if newest else None),
    )


def _pool(organization_id: int, said: Mapping[str, list[str | None]]) -> dict[str, tuple[int | str, ...]]:
    pool: dict[str, tuple[int | str, ...]] = {}
    for name, values in said.items():
        words = [value for value in values if value is not None]
        if name in POOL_IDS:
            nobody = [0] if len(words) < len(values) else []
            pool[name] = (*nobody, *ids(organization_id, name, words, field=f"pool.{name}"))
        elif len(words) < len(values):
            raise PoolInvalid(
                f"only owners, keys and sources can be nobody, not {name[:80]}", field=f"pool.{name[:80]}"
            )
        else:
            pool[name] = tuple(words)
    return pool


def shown(organization_id: int, rows: Iterable[SharedCostRule], *, versions: bool = False) -> list[dict[str, Any]]:
    """Shared cost rules as answers show them."""
    told = [(row, [(one, selectors.as_shared_cost(row, one)) for one in row.versions.all()]) for row in rows]
    words = Words(organization_id, [pair for _, costs in told for _, cost in costs for pair in _named(cost)])
    output = SharedCostDetailOutput if versions else SharedCostOutput
    answer = []
    for row, costs in told:
        said = [_version(made, cost, words) for made, cost in costs]
        whole = {**said[0], "id": row.id, "name": row.name, "retired_from": row.retired_from, "versions": said}
        answer.append(dict(output(whole).data))
    return answer


def _named(cost: SharedCost) -> list[tuple[str, int]]:
    """Everything of a version that has a name: (kind, id)."""
    pairs = [(cost.dimension, target) for target in (*cost.targets, *cost.percentages)]
    for name, values in cost.pool.items():
        if name in POOL_IDS:
            pairs += [(name, value) for value in values if isinstance(value, int) and value]
    return pairs


def _version(made: SharedCostVersion, cost: SharedCost, words: Words) -> dict[str, Any]:
    pool = {
        name: [(words(name, value) if value else None) if isinstance(value, int) else value for value in values]
        for name, values in cost.pool.items()
    }
    return {
        "number": cost.number,
        "pool": pool,
        "method": cost.method.value,
        "dimension": cost.dimension,
        "targets": [words(cost.dimension, target) for target in cost.targets],
        "percentages": {words(cost.dimension, target): part for target, part in cost.percentages.items()},
        "when_empty": cost.when_empty.value,
        "from_month": cost.from_month,
        "to_month": cost.to_month,
        "created_at": made.created_at,
        "created_by": made.created_by,
    }


class SharedCosts(Resource):
    """How shared costs are split: rules, oldest first."""

    permission: ClassVar = READ_OR_MANAGE

    @listed(SharedCostOutput, RETIRED)
    def get(self, request: Request) -> Response:
        organization_id = caller(request).organization_id
        rows = selectors.shared_cost_rules(organization_id, retired=asks_for_retired(request))
        found = paging.page(rows, request, order=("id",))
        return Response(paging.answer(shown(organization_id, found.rows), found.next_cursor))

    @answers(SharedCostDetailOutput, takes=SharedCostInput, status=201)
    @idempotent
    def post(self, request: Request) -> Response:
        """Add a rule. Nothing is booked before the split of a month is run."""
        asked, said = caller(request), valid(SharedCostInput, request.data)
        row = services.add_shared_cost_rule(
            organization_id=asked.organization_id,
            name=said["name"],
            draft=_read(asked.organization_id, said),
            by=asked.actor,
            at=now(),
        )
        return Response(shown(asked.organization_id, [row], versions=True)[0], status=201)


class OneSharedCost(Resource):
    """One shared cost rule with all its versions."""

    permission: ClassVar = READ_OR_MANAGE

    @answers(SharedCostDetailOutput)
    def get(self, request: Request, shared_cost_id: int) -> Response:
        organization_id = caller(request).organization_id
        row = selectors.shared_cost_rule(organization_id, shared_cost_id)
        return Response(shown(organization_id, [row], versions=True)[0])

    @answers(SharedCostDetailOutput, takes=SharedCostChange)
    def patch(self, request: Request, shared_cost_id: int) -> Response:
        """Rename it, or add a version. What is left out stays as in the newest version; another `dimension` needs its
        targets said again."""
        asked, said = caller(request), valid(SharedCostChange, request.data)
        before = selectors.shared_cost_rule(asked.organization_id, shared_cost_id)
        newest = selectors.as_shared_cost(before, before.versions.all()[0])
        changes = any(name in said for name in _VERSION_FIELDS)
        if changes and newest.targets and said.get("dimension", newest.dimension) != newest.dimension:
            _refuse_silent_widening(said)
        row = services.change_shared_cost_rule(
            organization_id=asked.organization_id,
            rule_id=shared_cost_id,
            name=said.get("name"),
            draft=_read(asked.organization_id, said, newest) if changes else None,
            expected_number=said.get("expected_number", newest.number if changes else None),
            by=asked.actor,
            at=now(),
        )
        return Response(shown(asked.organization_id, [row], versions=True)[0])


def _refuse_silent_widening(said: Mapping[str, Any]) -> None:
    """Named targets of one dimension must not quietly become every active one of another."""
    if "targets" not in said and said.get("method") != Method.FIXED:
        raise SplitInvalid("with another dimension, say its targets again ([] for every active one)", field="targets")


class RetireSharedCost(Resource):
    """End a shared cost rule. Months before `retired_from` stay split as they were."""

    permission: ClassVar = {"POST": Permission.ATTRIBUTION_MANAGE}

    @answers(SharedCostDetailOutput, takes=SharedCostRetirement)
    @idempotent
    def post(self, request: Request, shared_cost_id: int) -> Response:
        asked, said = caller(request), valid(SharedCostRetirement, request.data)
        row = services.retire_shared_cost_rule(
            organization_id=asked.organization_id,
            rule_id=shared_cost_id,
            retired_from=said.get("retired_from"),
            by=asked.actor,
            at=now(),
        )
        return Response(shown(asked.organization_id, [row], versions=True)[0])
