"""Shared cost rules: made, changed by a new version, retired. The splitting itself is a job of ingest's."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Final

from django.db import transaction

from finops.attribution import selectors
from finops.attribution.models import PromotedTag, SharedCostRule, SharedCostVersion
from finops.attribution.rules import percentage_weights
from finops.attribution.services.checks import (
    Changed,
    PeriodInvalid,
    Retired,
    check_owners,
    check_period,
    check_rows,
    clean_name,
    one_at_a_time,
)
from finops.attribution.types import DIMENSIONS, Method, SharedCostDraft
from finops.audit import services as audit
from finops.core.actors import Actor
from finops.core.errors import Invalid, NotFound
from finops.core.periods import month_start
from finops.orgs.models import VirtualKey
from finops.sources.models import Source

# Words of the ledger a pool may be cut by, beside owners, keys, sources and promoted tags (`tag:<key>`).
POOL_WORDS: Final = ("provider", "model", "service_tier", "region", "host", "provider_account", "task_type", "category")
POOL_IDS: Final = (*DIMENSIONS, "key", "source")
MAX_VALUES: Final = 500


class PoolInvalid(Invalid):
    code = "attribution.pool_invalid"


class SplitInvalid(Invalid):
    code = "attribution.split_invalid"


@transaction.atomic
def add_shared_cost_rule(
    *, organization_id: int, name: str, draft: SharedCostDraft, by: Actor, at: datetime
) -> SharedCostRule:
    """Raises NameInvalid, PoolInvalid, SplitInvalid, BadSplit, OwnerUnknown and PeriodInvalid."""
    one_at_a_time(organization_id)
    check_shared_cost(organization_id, draft)
    rule = SharedCostRule.objects.create(organization_id=organization_id, name=clean_name(name))
    version = _add_version(rule, draft, 1, by, at)
    _note("shared_cost.created", rule, by, at, {"version_id": version.id})
    return selectors.shared_cost_rule(organization_id, rule.id)


@transaction.atomic
def change_shared_cost_rule(
    *,
    organization_id: int,
    rule_id: int,
    name: str | None = None,
    draft: SharedCostDraft | None = None,
    expected_number: int | None = None,
    by: Actor,
    at: datetime,
) -> SharedCostRule:
    """Another name, another version, or both; months that were split already are split again by ingest's job only.

    Raises as `add_shared_cost_rule`, NotFound, Retired, and Changed when `expected_number` is not the newest's.
    """
    rule = _locked(organization_id, rule_id)
    newest = rule.versions.order_by("-number")[0]
    if expected_number is not None and expected_number != newest.number:
        raise Changed(f"The rule is at version {newest.number} by now, not {expected_number}; read it again.")
    if name is not None and clean_name(name) != rule.name:
        before, rule.name = rule.name, clean_name(name)
        rule.save(update_fields=["name"])
        _note("shared_cost.renamed", rule, by, at, {"before": before, "after": rule.name})
    if draft is not None:
        check_shared_cost(organization_id, draft)
        version = _add_version(rule, draft, newest.number + 1, by, at)
        details = {"version_id": version.id, "number": version.number, "before_version_id": newest.id}
        _note("shared_cost.changed", rule, by, at, details)
    return selectors.shared_cost_rule(organization_id, rule.id)


@transaction.atomic
def retire_shared_cost_rule(
    *, organization_id: int, rule_id: int, retired_from: date | None = None, by: Actor, at: datetime
) -> SharedCostRule:
    """Splits no month from `retired_from` (a first day; None: this month) on.

    Raises NotFound, Retired and PeriodInvalid.
    """
    rule = _locked(organization_id, rule_id)
    _check_month(retired_from, "retired_from")
    rule.retired_from = retired_from or month_start(at.date())
    rule.archived_at = at
    rule.save(update_fields=["retired_from", "archived_at"])
    _note("shared_cost.retired", rule, by, at, {"retired_from": rule.retired_from.isoformat()})
    return selectors.shared_cost_rule(organization_id, rule.id)


def _locked(organization_id: int, rule_id: int) -> SharedCostRule:
    one_at_a_time(organization_id)
    rule = SharedCostRule.objects.filter(organization_id=organization_id, id=rule_id).first()
    if rule is None:
        raise NotFound("There is no such shared cost rule.")
    if rule.archived_at is not None:
        raise Retired("This rule was retired; make a new one.")
    return rule


def check_shared_cost(organization_id: int, draft: SharedCostDraft) -> None:
    """Raises PoolInvalid, SplitInvalid, BadSplit, OwnerUnknown and PeriodInvalid."""
    _check_pool(organization_id, draft.pool)
    if draft.dimension not in DIMENSIONS:
        raise SplitInvalid(f"a cost is shared among one of {', '.join(DIMENSIONS)}", field="dimension")
    if len(set(draft.targets)) != len(draft.targets):
        raise SplitInvalid("a target is named twice", field="targets")
    if draft.method is Method.FIXED:
        percentage_weights(draft.percentages)
        if draft.targets:
            raise SplitInvalid("fixed shares name their targets in percentages", field="targets")
        check_owners(organization_id, draft.dimension, draft.percentages, field="percentages")
    elif draft.percentages:
        raise SplitInvalid(f"{draft.method} takes no percentages", field="percentages")
    check_owners(organization_id, draft.dimension, draft.targets, field="targets")
    _check_month(draft.from_month, "from_month")
    _check_month(draft.to_month, "to_month")
    check_period(draft.from_month, draft.to_month, fields=("from_month", "to_month"))


def _check_pool(organization_id: int, pool: Mapping[str, tuple[int | str, ...]]) -> None:
    if not pool:
        raise PoolInvalid("say which cost is shared: an empty pool would be everything", field="pool")
    for name, values in pool.items():
        path = f"pool.{name[:80]}"
        if not 0 < len(values) <= MAX_VALUES:
            raise PoolInvalid(f"1 to {MAX_VALUES} values", field=path)
        if name in POOL_IDS:
            ids = [value for value in values if isinstance(value, int) and not isinstance(value, bool)]
            if len(ids) != len(values):
                raise PoolInvalid(f"a {name} is named by its id", field=path)
            # 0 is nobody: what no team answers for can be shared too.
            _check_ids(organization_id, name, [value for value in ids if value], path)
            continue
        if name not in POOL_WORDS:
            _check_tag(organization_id, name, path)
        if not all(isinstance(value, str) and 0 < len(value) <= 200 and "\0" not in value for value in values):
            raise PoolInvalid("a value has 1 to 200 characters and no NUL", field=path)


def _check_ids(organization_id: int, name: str, ids: list[int], path: str) -> None:
    if name in DIMENSIONS:
        check_owners(organization_id, name, ids, field=path)
    else:
        check_rows(VirtualKey if name == "key" else Source, organization_id, name, ids, field=path)


def _check_tag(organization_id: int, name: str, path: str) -> None:
    key = name.removeprefix("tag:")
    if key == name or not PromotedTag.objects.filter(organization_id=organization_id, key=key).exists():
        raise PoolInvalid(
            f"a pool is cut by {', '.join((*POOL_IDS, *POOL_WORDS))}, or tag:<key> of a promoted tag", field=path
        )


def _check_month(month: date | None, field: str) -> None:
    if month is not None and month.day != 1:
        raise PeriodInvalid("a month is named by its first day", field=field)


def _add_version(
    rule: SharedCostRule, draft: SharedCostDraft, number: int, by: Actor, at: datetime
) -> SharedCostVersion:
    return SharedCostVersion.objects.create(
        organization_id=rule.organization_id,
        rule=rule,
        number=number,
        pool={name: list(values) for name, values in draft.pool.items()},
        method=draft.method,
        dimension=draft.dimension,
        targets=list(draft.targets),
        percentages={str(target): f"{percentage:f}" for target, percentage in draft.percentages.items()},
        when_empty=draft.when_empty,
        from_month=draft.from_month,
        to_month=draft.to_month,
        created_at=at,
        created_by=by.reference[:120],
    )


def _note(verb: str, rule: SharedCostRule, by: Actor, at: datetime, details: dict[str, Any]) -> None:
    audit.record(
        organization_id=rule.organization_id,
        verb=verb,
        subject_kind="shared_cost",
        subject_id=rule.id,
        subject_label=rule.name,
        by=by,
        at=at,
        details=details,
    )
