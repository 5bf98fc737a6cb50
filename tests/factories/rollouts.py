"""Rules under way: their calls, as a gateway would have decided them, and how those were scored."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np

from routing.rollouts import services
from routing.rollouts.models import Rollout
from routing.rules.arms import draw_of
from routing.rules.models import Decision, RoutingRule
from tests.factories.evidence import coin, heard, outcome, recorded, run_of
from tests.factories.rules import CHEAP, INCUMBENT, saved

HOUR: Final = timedelta(hours=1)


def known_well(organization_id: int, *, at: datetime, share: float = 0.8, items: int = 400) -> None:
    """A run: the incumbent of triage is right on so many of its items, and the small model on as many."""
    right = np.arange(items) < round(share * items)
    recorded(organization_id, run_of({INCUMBENT: right, CHEAP: right}), at=at)


def rolling(organization_id: int, *, at: datetime, stage: str = "canary", **given: Any) -> RoutingRule:
    """Triage goes to the small model, as far as its stage says."""
    told: dict[str, Any] = {"stage": stage, "held_back": 0.05} | given
    return saved(organization_id, at=at, **told).row


def calls(
    row: RoutingRule, numbers: Iterable[int], *, at: datetime, calls_each: int = 1, **given: Any
) -> list[Decision]:
    """One call of each of these sessions, as the rule decides them at the stage that it is in."""
    row.refresh_from_db()
    assert row.version is not None
    treated_share = min(row.share, 1.0 - row.held_back)
    made = []
    for number in numbers:
        session = f"s-{number}"
        draw = draw_of(row.salt, session)
        arm = "treated" if draw < treated_share else "held_back" if draw >= 1.0 - row.held_back else "control"
        if row.stage == "shadow":
            arm = "shadow"
        part = treated_share if arm == "treated" else 1.0 if arm == "shadow" else 1.0 - treated_share
        said: dict[str, Any] = {
            "organization_id": row.organization_id, "at": at, "rule_id": row.id, "rule_version": row.version.number,
            "arm": arm, "propensity": part, "asked": INCUMBENT, "chosen": CHEAP if arm == "treated" else INCUMBENT,
            "task_type": "triage", "session": session, "tokens": 100,
        }  # fmt: skip
        made += [Decision(call_id=f"call-{number}-{place}", **said | given) for place in range(calls_each)]
    return Decision.objects.bulk_create(made)


def scored(
    decisions: Iterable[Decision],
    *,
    at: datetime,
    treated: float = 0.8,
    stayed: float = 0.8,
    seed: int = 1,
    **given: Any,
) -> None:
    """How often each arm's answers were right, drawn."""
    rows = list(decisions)
    luck = coin(1.0, len(rows), seed) * np.random.default_rng(seed).random(len(rows))
    said = [
        outcome(one.call_id, one.chosen, float(drawn < (treated if one.arm == "treated" else stayed)))
        for one, drawn in zip(rows, luck, strict=True)
    ]
    for first in range(0, len(said), 1_000):
        heard(rows[0].organization_id, said[first : first + 1_000], at=at, **given)


def followed(row: RoutingRule, *, at: datetime) -> Rollout:
    """Its rollout, once everything that was said of it was heard."""
    services.follow(organization_id=row.organization_id, by=services.HOUSE, at=at)
    row.refresh_from_db()
    return Rollout.objects.filter(rule=row).order_by("-id")[0]


def hurried(row: RoutingRule, *, at: datetime, **given: Any) -> Rollout:
    """It goes on after ten scores, and needs no time."""
    usual = {"least_scored": 10, "least_minutes": 0}
    return services.change_pace(
        organization_id=row.organization_id, rule_id=row.id, changes=usual | given, by=services.HOUSE, at=at
    )
