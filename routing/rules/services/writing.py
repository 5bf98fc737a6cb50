"""Rules made, changed, proposed, put into order and retired."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec
from django.db import transaction
from django.db.models import Max, Sum

from finops.core.actors import Actor
from finops.core.errors import FinopsError, NotFound
from routing.rules import rollout, rules, selectors
from routing.rules.models import RoutingRule, RuleVersion
from routing.rules.rollout import Stage, State
from routing.rules.services.common import RuleRetired, changed, hold, live, note, put
from routing.rules.types import Rule
from routing.rules.wording import differences, in_words

__all__ = ["RuleRetired"]
MOST_RULES: Final = 1_000
# Of what all rules that are not retired say: every gateway holds all of it.
MOST_BYTES: Final = 64 * 2**20
MOST_PROPOSALS: Final = 20


class RuleNameTaken(FinopsError):
    code = "rules.name_taken"
    status = 409


class TooManyRules(FinopsError):
    code = "rules.too_many"
    status = 409


class ProposalDecided(FinopsError):
    """It is in force, was refused, or was never a proposal."""

    code = "rules.proposal_decided"
    status = 409


class OrderInvalid(rules.RuleInvalid):
    """An order names every rule that is not retired, once."""

    code = "rules.order_invalid"


class Saved(NamedTuple):
    """`changes` are lines for people; without one nothing was changed."""

    row: RoutingRule
    version: RuleVersion
    changes: tuple[str, ...]


@transaction.atomic
def create_rule(
    *,
    organization_id: int,
    rule: Rule,
    why: str,
    by: Actor,
    at: datetime,
    stage: str = Stage.FULL,
    held_back: float | None = 0.0,
) -> Saved:
    """A new rule, behind all others, at the beginning of a rollout: shadow, canary or full. Raises RuleInvalid,
    StageInvalid, RuleNameTaken and TooManyRules.
    """
    hold(organization_id)
    why, _ = rules.check_why(why), _checked(organization_id, rule)
    mine = RoutingRule.objects.filter(organization_id=organization_id).exclude(state=State.RETIRED)
    if mine.filter(name=rule.name).exists():
        raise RuleNameTaken(f"There is a rule {rule.name!r}.", field="name")
    if mine.count() >= MOST_RULES:
        raise TooManyRules(f"An organization has at most {MOST_RULES:,} rules; retire some.")
    step = rollout.beginning(stage, rule)
    row = RoutingRule.objects.create(
        organization_id=organization_id,
        name=rule.name,
        position=(mine.aggregate(last=Max("position"))["last"] or 0) + 1,
        state=State.IN_FORCE,
        stage=step.stage,
        share=step.share,
        held_back=rollout.check_held_back(held_back, rule),
        salt=rule.name,
        stage_since=at,
        created_at=at,
        changed_at=at,
    )
    version = _put_in_force(row, _said(row, rule, why, by, at, before=None), rule, at)
    _check_bytes(organization_id)
    changed(organization_id)
    note("routing_rule.created", row, {"version": 1, "stage": row.stage, "held_back": row.held_back}, by, at)
    return Saved(row, version, tuple(version.changes))


@transaction.atomic
def save_rule(
    *,
    organization_id: int,
    rule: Rule,
    why: str,
    by: Actor,
    at: datetime,
    rule_id: int | None = None,
    stage: str = Stage.FULL,
    held_back: float | None = 0.0,
) -> Saved:
    """The rule of this id, or else of this name, says this from now on; where there is none it is made as `create_rule`
    does, and only then `stage` and `held_back` count. Otherwise it stays at the stage it is in. Saying the same again
    changes nothing. Raises as `create_rule`, NotFound and RuleRetired.
    """
    hold(organization_id)
    why, _ = rules.check_why(why), _checked(organization_id, rule)
    if rule_id is None:
        same = RoutingRule.objects.filter(organization_id=organization_id, name=rule.name).exclude(state=State.RETIRED)
        rule_id = same.values_list("id", flat=True).first()
        if rule_id is None:
            return create_rule(
                organization_id=organization_id, rule=rule, why=why, by=by, at=at, stage=stage, held_back=held_back
            )
    row = live(organization_id, rule_id)
    _check_name(row, rule.name)
    before = row.version
    if before is not None and selectors.document_of(before) == rule:
        return Saved(row, before, ())
    version = _put_in_force(row, _said(row, rule, why, by, at, before=before), rule, at)
    _check_bytes(organization_id)
    changed(organization_id)
    note("routing_rule.changed", row, {"version": [before.number if before else 0, version.number]}, by, at)
    return Saved(row, version, tuple(version.changes))


@transaction.atomic
def propose_version(
    *, organization_id: int, rule_id: int, rule: Rule, why: str, by: Actor, at: datetime
) -> RuleVersion:
    """What somebody thinks a rule should say: it waits until it is decided. Saying the same again, while it waits, adds
    none. Raises RuleInvalid, RuleNameTaken, TooManyRules, NotFound and RuleRetired.
    """
    hold(organization_id)
    why, _ = rules.check_why(why), _checked(organization_id, rule)
    row = live(organization_id, rule_id)
    _check_name(row, rule.name)
    if row.version is not None and selectors.document_of(row.version) == rule:
        raise rules.RuleInvalid("that is what the rule says", field="rule")
    waiting = list(RuleVersion.objects.filter(rule=row, state=RuleVersion.State.PROPOSED).order_by("number"))
    for one in waiting:
        if selectors.document_of(one) == rule and one.said_by == by.reference:
            return one
    if len(waiting) >= MOST_PROPOSALS:
        raise TooManyRules(f"{MOST_PROPOSALS} proposals wait to be decided; decide some first.")
    version = _said(row, rule, why, by, at, before=row.version)
    note("routing_rule.proposed", row, {"version": version.number}, by, at)
    return version


@transaction.atomic
def decide_proposal(
    *, organization_id: int, rule_id: int, number: int, accept: bool, why: str, by: Actor, at: datetime
) -> RuleVersion:
    """Put a proposal into force, or refuse it. Raises NotFound, RuleRetired, ProposalDecided, RuleNameTaken, and
    RuleInvalid where it cannot be any more.
    """
    hold(organization_id)
    why = rules.check_why(why)
    row = live(organization_id, rule_id)
    version = RuleVersion.objects.filter(rule=row, number=number).first()
    if version is None:
        raise NotFound("There is no such version.")
    if version.state != RuleVersion.State.PROPOSED:
        raise ProposalDecided(f"Version {number} is {version.get_state_display().lower()}: there is nothing to decide.")
    version.decided_by, version.decided_at, version.decided_why = by.reference, at, why
    if not accept:
        version.state = RuleVersion.State.REFUSED
        version.save()
        note("routing_rule.proposal_refused", row, {"version": number}, by, at)
        return version
    rule = _checked(organization_id, selectors.document_of(version))
    _check_name(row, rule.name)
    before = row.version
    # Against what is in force now, which may be another version than when it was proposed.
    version.changes = list(differences(selectors.document_of(before) if before else None, rule))
    _put_in_force(row, version, rule, at)
    _check_bytes(organization_id)
    changed(organization_id)
    note("routing_rule.proposal_accepted", row, {"version": [before.number if before else 0, number]}, by, at)
    return version


@transaction.atomic
def reorder(*, organization_id: int, rule_ids: Sequence[int], by: Actor, at: datetime) -> None:
    """Rules are asked in this order, which names each that is not retired. Raises OrderInvalid."""
    hold(organization_id)
    rows = list(selectors.rules(organization_id))
    if sorted(rule_ids) != sorted(row.id for row in rows):
        raise OrderInvalid("an order names every rule that is not retired, once", field="rules")
    before = [row.id for row in rows]
    if before == list(rule_ids):
        return
    places = {rule_id: place for place, rule_id in enumerate(rule_ids, 1)}
    for row in rows:
        row.position = places[row.id]
    RoutingRule.objects.bulk_update(rows, ["position"])
    changed(organization_id)
    for row in rows:
        if before.index(row.id) + 1 != row.position:
            note("routing_rule.moved", row, {"place": [before.index(row.id) + 1, row.position]}, by, at)


@transaction.atomic
def retire(*, organization_id: int, rule_id: int, by: Actor, at: datetime) -> RoutingRule:
    """It holds for nobody any more, for good; its story stays. Again changes nothing. Raises NotFound."""
    hold(organization_id)
    row = RoutingRule.objects.filter(organization_id=organization_id, id=rule_id).first()
    if row is None:
        raise NotFound("There is no such rule.")
    if row.state != State.RETIRED:
        row.state, row.changed_at = State.RETIRED, at
        row.save(update_fields=["state", "changed_at"])
        changed(organization_id)
        note("routing_rule.retired", row, {}, by, at)
    return row


def _checked(organization_id: int, rule: Rule) -> Rule:
    rules.check(rule)
    unknown = selectors.unknown_owner(organization_id, rule.when)
    if unknown is not None:
        field, slug = unknown
        raise rules.RuleInvalid(f"there is no {field[:-1]} {slug!r}", field=f"when.{field}")
    vendor = selectors.unknown_vendor(organization_id, rule.within)
    if vendor is not None:
        field, name = vendor
        raise rules.RuleInvalid(
            f"nobody here knows a maker {name!r}: it is the register's word, or one that you say of a model yourself",
            field=f"within.{field}",
        )
    return rule


def _check_name(row: RoutingRule, name: str) -> None:
    others = RoutingRule.objects.filter(organization_id=row.organization_id, name=name).exclude(id=row.id)
    if others.exclude(state=State.RETIRED).exists():
        raise RuleNameTaken(f"There is a rule {name!r}.", field="name")


def _check_bytes(organization_id: int) -> None:
    mine = RoutingRule.objects.filter(organization_id=organization_id).exclude(state=State.RETIRED)
    if (mine.aggregate(size=Sum("version__size"))["size"] or 0) > MOST_BYTES:
        raise TooManyRules(f"All rules together have at most {MOST_BYTES // 2**20} MB; policies are what is large.")


def _said(
    row: RoutingRule, rule: Rule, why: str, by: Actor, at: datetime, *, before: RuleVersion | None
) -> RuleVersion:
    """The next version of a rule, as a proposal."""
    said: dict[str, Any] = msgspec.to_builtins(rule)
    last = RuleVersion.objects.filter(rule=row).aggregate(last=Max("number"))["last"] or 0
    return RuleVersion.objects.create(
        organization_id=row.organization_id,
        rule=row,
        number=last + 1,
        policy=said.pop("policy", None),
        document=said,
        learned=rule.policy is not None,
        size=len(msgspec.msgpack.encode(rule)),
        in_words=in_words(rule),
        changes=list(differences(selectors.document_of(before) if before else None, rule)),
        why=why,
        said_by=by.reference,
        at=at,
        state=RuleVersion.State.PROPOSED,
    )


def _put_in_force(row: RoutingRule, version: RuleVersion, rule: Rule, at: datetime) -> RuleVersion:
    RuleVersion.objects.filter(rule=row, state=RuleVersion.State.IN_FORCE).update(state=RuleVersion.State.SUPERSEDED)
    version.state = RuleVersion.State.IN_FORCE
    version.save()
    row.version, row.name, row.changed_at = version, rule.name, at
    if not rollout.in_parts(rule):
        # It holds for all from now on, whatever its former version held for; unless it was rolled back.
        row.held_back = 0.0
        if row.stage != Stage.ROLLED_BACK:
            put(row, rollout.BEGINNINGS[Stage.FULL], at)
    row.save()
    return version
