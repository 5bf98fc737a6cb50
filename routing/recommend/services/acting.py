"""What people do with a recommendation, apply it step by step or dismiss it; and what becomes of it if nobody does."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.db import transaction

from finops.core.actors import Actor, system
from routing.recommend import rules, selectors
from routing.recommend.models import Recommendation
from routing.recommend.services.common import note
from routing.recommend.services.computing import recompute
from routing.recommend.types import State
from routing.rules import rules as routing_rules
from routing.rules import services as routing
from routing.rules.rollout import Stage

HOUSE: Final = system("recommend")
_AT_ONCE: Final = 200


@transaction.atomic
def apply(
    *, organization_id: int, recommendation_id: int, by: Actor, at: datetime, stage: str = Stage.CANARY, why: str = ""
) -> Recommendation:
    """Make the very rule that it carries, behind all others, as a canary (5 % of sessions) or a shadow. What changed
    since it was worked out counts first: it may say something else now, or be gone. Applying it again gives the same
    rule. Raises NotFound, NotOpen, NothingToApply, Busy, and what `rules.services.save_rule` does.
    """
    row = selectors.recommendation(organization_id, recommendation_id)
    if row.state == State.OPEN:
        recompute(organization_id=organization_id, by=HOUSE, at=at)
    row = selectors.recommendation(organization_id, recommendation_id, lock=True)
    if row.state == State.APPLIED:
        return row
    _check_open(row, at)
    said = row.document.get("rule")
    if not rules.applicable(row.kind, said):
        raise rules.NothingToApply("It makes no rule: there is nothing to apply.")
    who: dict[str, Any] = {"organization_id": organization_id, "by": by, "at": at}
    because = why.strip() or f"Recommendation {row.id}: {row.document['in_words']}"[: routing_rules.LONGEST_WHY]
    saved = routing.save_rule(rule=routing_rules.read(said), why=because, stage=stage, held_back=None, **who)
    # One that was rolled back, and is recommended again by other evidence, begins anew.
    rule = routing.start_rollout(rule_id=saved.row.id, stage=stage, **who)
    row.rule_id = rule.id
    _close(row, State.APPLIED, by, at)
    note("applied", row, {"kind": row.kind, "rule": rule.id, "stage": rule.stage}, by, at)
    return row


@transaction.atomic
def dismiss(*, organization_id: int, recommendation_id: int, reason: str, by: Actor, at: datetime) -> Recommendation:
    """It does not come back unless the evidence changes. Again changes nothing. Raises NotFound, NotOpen and
    RecommendationInvalid.
    """
    said = rules.check_reason(reason)
    row = selectors.recommendation(organization_id, recommendation_id, lock=True)
    if row.state == State.DISMISSED:
        return row
    _check_open(row, at)
    row.reason = said
    _close(row, State.DISMISSED, by, at)
    # What a person writes may name one; the trail cannot be rewritten.
    note("dismissed", row, {"kind": row.kind}, by, at)
    return row


@transaction.atomic
def expire(*, by: Actor, at: datetime) -> int:
    """Close what is over, of every organization, as much as one run may; gives how many."""
    rows = Recommendation.objects.select_for_update(skip_locked=True).filter(state=State.OPEN, expires_at__lte=at)
    done = 0
    for row in rows.order_by("expires_at", "id")[:_AT_ONCE]:
        _close(row, State.EXPIRED, by, at)
        note("expired", row, {"kind": row.kind}, by, at)
        done += 1
    return done


def _close(row: Recommendation, state: State, by: Actor, at: datetime) -> None:
    row.state, row.decided_at, row.decided_by, row.changed_at = state, at, by.reference, at
    row.save(update_fields=["state", "decided_at", "decided_by", "changed_at", "reason", "rule_id"])


def _check_open(row: Recommendation, at: datetime) -> None:
    if row.state != State.OPEN:
        because = f": {row.reason}" if row.reason else ""
        raise rules.NotOpen(f"It is {State(row.state).value}{because}")
    if row.expires_at <= at:
        raise rules.NotOpen("It is over; what is advised now is worked out anew.")
