"""Attribution rules: made, changed by a new version, moved in the order, retired."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.db import transaction

from finops.attribution import selectors
from finops.attribution.models import AttributionRule, AttributionRuleVersion
from finops.attribution.rules import check_assignment, check_conditions, place_of
from finops.attribution.services.checks import (
    Changed,
    Retired,
    check_owners,
    check_period,
    clean_name,
    one_at_a_time,
)
from finops.attribution.types import RuleDraft
from finops.audit import services as audit
from finops.core.actors import Actor
from finops.core.errors import FinopsError, Invalid, NotFound

# Every call that is not memoised runs through all of them.
MAX_RULES: Final = 500


class TooManyRules(FinopsError):
    code = "attribution.too_many_rules"
    status = 409


class PositionInvalid(Invalid):
    code = "attribution.position_invalid"


@transaction.atomic
def create_rule(
    *, organization_id: int, name: str, draft: RuleDraft, position: int | None = None, by: Actor, at: datetime
) -> AttributionRule:
    """A rule at `position` (from 1; None: last), for calls from now on and for history when it is re-attributed.

    Raises NameInvalid, BadCondition, OwnerUnknown, PeriodInvalid, PositionInvalid and TooManyRules.
    """
    _check(organization_id, draft)
    one_at_a_time(organization_id)
    if AttributionRule.objects.filter(organization_id=organization_id, archived_at__isnull=True).count() >= MAX_RULES:
        raise TooManyRules(f"An organization has at most {MAX_RULES} rules; retire some, or use one_of.")
    last = AttributionRule.objects.filter(organization_id=organization_id).count() + 1
    rule = AttributionRule.objects.create(organization_id=organization_id, name=clean_name(name), position=last)
    version = _add_version(rule, draft, 1, by, at)
    if position is not None:
        _place(rule, position)
    made = selectors.rule(organization_id, rule.id)
    _note("attribution_rule.created", rule, by, at, {"version_id": version.id, "position": made.place})
    return made


@transaction.atomic
def change_rule(
    *,
    organization_id: int,
    rule_id: int,
    name: str | None = None,
    draft: RuleDraft | None = None,
    expected_number: int | None = None,
    by: Actor,
    at: datetime,
) -> AttributionRule:
    """Another name, another version, or both. The new version speaks wherever its period reaches: leave `active_from`
    as it was to correct the rule for all time, or set it to change the rule from then on and leave the past alone.

    Raises as `create_rule`, NotFound, Retired, and Changed when `expected_number` is not the newest version's.
    """
    rule = _locked(organization_id, rule_id)
    newest = rule.versions.order_by("-number")[0]
    if expected_number is not None and expected_number != newest.number:
        raise Changed(f"The rule is at version {newest.number} by now, not {expected_number}; read it again.")
    if name is not None and clean_name(name) != rule.name:
        before, rule.name = rule.name, clean_name(name)
        rule.save(update_fields=["name"])
        _note("attribution_rule.renamed", rule, by, at, {"before": before, "after": rule.name})
    if draft is not None and draft != _as_draft(newest):
        _check(organization_id, draft)
        version = _add_version(rule, draft, newest.number + 1, by, at)
        details = {"version_id": version.id, "number": version.number, "before_version_id": newest.id}
        _note("attribution_rule.changed", rule, by, at, details)
    return selectors.rule(organization_id, rule.id)


@transaction.atomic
def move_rule(*, organization_id: int, rule_id: int, position: int, by: Actor, at: datetime) -> AttributionRule:
    """Puts the rule at `position` of the order, which holds for all time: from 1, of the rules that are not retired.

    Raises NotFound, PositionInvalid.
    """
    _locked(organization_id, rule_id, retired=True)
    rule = selectors.rule(organization_id, rule_id)
    if position == rule.place:
        return rule
    _place(rule, position)
    moved = selectors.rule(organization_id, rule_id)
    _note("attribution_rule.moved", rule, by, at, {"before": rule.place, "after": moved.place})
    return moved


@transaction.atomic
def retire_rule(
    *, organization_id: int, rule_id: int, retired_from: datetime | None = None, by: Actor, at: datetime
) -> AttributionRule:
    """The rule has no say about calls from `retired_from` on (None: from now). What it decided before stays, unless
    `retired_from` lies in the past and that past is re-attributed. Raises NotFound, Retired and PeriodInvalid.
    """
    rule = _locked(organization_id, rule_id)
    check_period(retired_from, None, fields=("retired_from", "retired_from"))
    rule.retired_from = retired_from or at
    rule.archived_at = at
    rule.save(update_fields=["retired_from", "archived_at"])
    _note("attribution_rule.retired", rule, by, at, {"retired_from": rule.retired_from.isoformat()})
    return selectors.rule(organization_id, rule.id)


def _locked(organization_id: int, rule_id: int, *, retired: bool = False) -> AttributionRule:
    one_at_a_time(organization_id)
    rule = AttributionRule.objects.filter(organization_id=organization_id, id=rule_id).first()
    if rule is None:
        raise NotFound("There is no such attribution rule.")
    if rule.archived_at is not None and not retired:
        raise Retired("This rule was retired; make a new one.")
    return rule


def _check(organization_id: int, draft: RuleDraft) -> None:
    check_conditions(draft.conditions)
    check_assignment(draft.assignment)
    check_period(draft.active_from, draft.active_to, fields=("active_from", "active_to"))
    for dimension, owner in draft.assignment.owners.items():
        check_owners(organization_id, dimension, [owner], field=f"assignment.{dimension}")


def _add_version(
    rule: AttributionRule, draft: RuleDraft, number: int, by: Actor, at: datetime
) -> AttributionRuleVersion:
    return AttributionRuleVersion.objects.create(
        organization_id=rule.organization_id,
        rule=rule,
        number=number,
        conditions=[
            {"field": condition.field, "operator": condition.operator, "values": list(condition.values)}
            for condition in draft.conditions
        ],
        assignment={"owners": dict(draft.assignment.owners), "task_type": draft.assignment.task_type},
        override=draft.override,
        active_from=draft.active_from,
        active_to=draft.active_to,
        created_at=at,
        created_by=by.reference[:120],
    )


def _as_draft(row: AttributionRuleVersion) -> RuleDraft:
    version = selectors.as_version(row)
    return RuleDraft(version.conditions, version.assignment, version.override, version.active_from, version.active_to)


def _place(rule: AttributionRule, position: int) -> None:
    """Renumbers the rules so that this one is at `position`. The unique constraint looks when the transaction ends."""
    rows = list(AttributionRule.objects.filter(organization_id=rule.organization_id).order_by("position", "id"))
    rows.remove(rule)
    standing = [row.archived_at is None for row in rows]
    last = sum(standing) + 1
    if not 1 <= position <= last:
        raise PositionInvalid(f"position is from 1 to {last}", field="position")
    rows.insert(place_of(position - 1, standing), rule)
    moved = []
    for place, row in enumerate(rows, start=1):
        if row.position != place:
            row.position = place
            moved.append(row)
    AttributionRule.objects.bulk_update(moved, ["position"])


def _note(verb: str, rule: AttributionRule, by: Actor, at: datetime, details: dict[str, Any]) -> None:
    """What a version says is in the version; a condition may name a person, and the trail outlives erasure."""
    audit.record(
        organization_id=rule.organization_id,
        verb=verb,
        subject_kind="attribution_rule",
        subject_id=rule.id,
        subject_label=rule.name,
        by=by,
        at=at,
        details=details,
    )
