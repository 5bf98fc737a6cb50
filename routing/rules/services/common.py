"""What every change of rules does: one writer at a time, and a row in the trail."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from finops.audit import services as audit
from finops.core.actors import Actor
from finops.core.errors import FinopsError, NotFound
from routing.rules.models import RoutingRule, RulesVersion
from routing.rules.rollout import State, Step


class RuleRetired(FinopsError):
    code = "rules.retired"
    status = 409


def hold(organization_id: int) -> None:
    """One writer at a time, until the transaction ends."""
    RulesVersion.objects.get_or_create(organization_id=organization_id, defaults={"token": uuid.uuid4()})
    RulesVersion.objects.select_for_update().get(organization_id=organization_id)


def changed(organization_id: int) -> None:
    """What is published is stale."""
    RulesVersion.objects.filter(organization_id=organization_id).update(token=uuid.uuid4())


def live(organization_id: int, rule_id: int) -> RoutingRule:
    """The rule, with its version in force. Raises NotFound and RuleRetired."""
    rows = RoutingRule.objects.select_related("version").filter(organization_id=organization_id, id=rule_id)
    row = rows.first()
    if row is None:
        raise NotFound("There is no such rule.")
    if row.state == State.RETIRED:
        raise RuleRetired("A retired rule does not change. Make a new one; its name is free.")
    return row


def put(row: RoutingRule, step: Step, at: datetime) -> None:
    """The rule at a step; since when it is there is when it came there."""
    if (row.stage, row.share) != step:
        row.stage_since = at
    row.stage, row.share = step


def note(verb: str, row: RoutingRule, details: dict[str, Any], by: Actor, at: datetime) -> None:
    """The trail names versions, and not what they say: a tag's value, or a reason, may name a person."""
    audit.record(
        organization_id=row.organization_id, verb=verb, subject_kind="routing_rule", subject_id=row.id,
        subject_label=row.name, details=details, by=by, at=at,
    )  # fmt: skip
