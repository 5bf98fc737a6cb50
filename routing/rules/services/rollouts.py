"""How far a rule is in force: begun, gone on with, paused, rolled back; switched off and on."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from finops.core.actors import Actor
from routing.rules import rollout, rules, selectors
from routing.rules.models import RoutingRule
from routing.rules.rollout import Stage, State, Step
from routing.rules.services.common import changed, hold, live, note, put
from routing.rules.types import Rule


@transaction.atomic
def start_rollout(
    *,
    organization_id: int,
    rule_id: int,
    stage: str,
    by: Actor,
    at: datetime,
    held_back: float | None = None,
) -> RoutingRule:
    """Begin as shadow, canary (5 % of sessions) or full, also after a rollback. `held_back` of sessions stay with what
    they ask for, for as long as the rule lives: 5 % where nothing was ever said. Raises StageInvalid, NotFound and
    RuleRetired.
    """
    hold(organization_id)
    row, rule = _row(organization_id, rule_id)
    step = rollout.beginning(stage, rule, field="to")
    share = rollout.check_held_back(held_back, rule, row.held_back or rollout.HELD_BACK)
    return _moved(row, step, share, "routing_rule.rollout_started", by, at)


@transaction.atomic
def advance(*, organization_id: int, rule_id: int, by: Actor, at: datetime) -> RoutingRule:
    """The next step: shadow, canary 5 %, ramp 25 %, ramp 50 %, full; a pause goes on at 50 %. Raises StageRefused,
    NotFound and RuleRetired.
    """
    hold(organization_id)
    row, _ = _row(organization_id, rule_id)
    return _moved(row, rollout.following(row.stage, row.share), row.held_back, "routing_rule.advanced", by, at)


@transaction.atomic
def pause(*, organization_id: int, rule_id: int, by: Actor, at: datetime) -> RoutingRule:
    """Half of the sessions are treated, until the contrast of both halves decides. Raises StageRefused, NotFound and
    RuleRetired.
    """
    hold(organization_id)
    row, rule = _row(organization_id, rule_id)
    return _moved(row, rollout.paused(row.stage, rule), row.held_back, "routing_rule.paused", by, at)


@transaction.atomic
def roll_back(*, organization_id: int, rule_id: int, by: Actor, at: datetime) -> RoutingRule:
    """It holds for nobody, until a rollout begins anew. Again changes nothing. Raises NotFound and RuleRetired."""
    hold(organization_id)
    row, _ = _row(organization_id, rule_id)
    return _moved(row, Step(Stage.ROLLED_BACK, 0.0), row.held_back, "routing_rule.rolled_back", by, at)


@transaction.atomic
def switch_off(*, organization_id: int, by: Actor, at: datetime, rule_id: int | None = None) -> tuple[RoutingRule, ...]:
    """The kill switch: one rule, or all that choose models for calls. Without a rule named, limits stay, and so does
    what is decided for sensitive calls: to switch those off lets calls out, and is to be said of each. Gives those that
    were switched off by this. Raises NotFound and RuleRetired.
    """
    hold(organization_id)
    if rule_id is not None:
        rows = [live(organization_id, rule_id)]
    else:
        rows = [row for row in selectors.rules(organization_id) if row.version and _in_parts(row)]
    return _switched(rows, State.SWITCHED_OFF, "routing_rule.switched_off", organization_id, by, at)


@transaction.atomic
def switch_on(*, organization_id: int, rule_id: int, by: Actor, at: datetime) -> tuple[RoutingRule, ...]:
    """As it was when it was switched off, at the same stage. Raises NotFound and RuleRetired."""
    hold(organization_id)
    rows = [live(organization_id, rule_id)]
    return _switched(rows, State.IN_FORCE, "routing_rule.switched_on", organization_id, by, at)


def _switched(
    rows: list[RoutingRule], state: State, verb: str, organization_id: int, by: Actor, at: datetime
) -> tuple[RoutingRule, ...]:
    moved = tuple(row for row in rows if row.state != state)
    for row in moved:
        row.state, row.changed_at = state, at
        row.save(update_fields=["state", "changed_at"])
        note(verb, row, {"stage": row.stage}, by, at)
    if moved:
        changed(organization_id)
    return moved


def _in_parts(row: RoutingRule) -> bool:
    """Of a row that was read without its policy."""
    version = row.version
    if version is None:
        return False
    said = version.document
    return (version.learned or bool(said.get("use"))) and said.get("when", {}).get("sensitive") is not True


def _row(organization_id: int, rule_id: int) -> tuple[RoutingRule, Rule]:
    row = live(organization_id, rule_id)
    if row.version is None:
        raise rules.RuleInvalid("no version of it is in force", field="rule")
    return row, selectors.document_of(row.version)


def _moved(row: RoutingRule, step: Step, held_back: float, verb: str, by: Actor, at: datetime) -> RoutingRule:
    before = row.stage, row.share, row.held_back
    put(row, step, at)
    row.held_back = held_back
    after = row.stage, row.share, row.held_back
    if before == after:
        return row
    row.changed_at = at
    row.save(update_fields=["stage", "share", "held_back", "stage_since", "changed_at"])
    changed(row.organization_id)
    details = {
        name: [old, new] for name, old, new in zip(("stage", "share", "held_back"), before, after, strict=True)
        if old != new
    }  # fmt: skip
    note(verb, row, details, by, at)
    return row
