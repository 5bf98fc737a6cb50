"""What a draft rule would do to history, told before it is saved."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from finops.attribution import selectors as attribution
from finops.attribution.rules import PreviewRow, preview
from finops.attribution.types import Owner, Preview, RuleDraft
from finops.core.money import to_pico
from finops.core.periods import DayRange
from finops.ingest.services.rework import event_of, owner_ids
from finops.ledger.rules.periods import PeriodUnclear
from finops.ledger.selectors.current import Background, grouped

# It is read charge by charge, while somebody waits.
MOST_DAYS: Final = 100


def preview_rule(
    *,
    organization_id: int,
    draft: RuleDraft,
    period: DayRange,
    rule_id: int | None = None,
    position: int | None = None,
) -> Preview:
    """What would change hands among a period's charges if the draft were saved: as a new rule, or as the next version
    of `rule_id`. `position` counts from 1. Writes nothing. Raises BadCondition, NotFound, and PeriodUnclear for
    more than MOST_DAYS.
    """
    if period.days > MOST_DAYS:
        raise PeriodUnclear(f"A rule is tried on at most {MOST_DAYS} days.", field="to")
    before = attribution.load_snapshot(organization_id)
    after = attribution.snapshot_with(organization_id, draft, rule_id=rule_id, position=position)
    by_session = any(condition.field == "session" for condition in draft.conditions)
    instants = sorted({*before.plan.instants, *after.plan.instants})
    return preview(before, after, _history(organization_id, period, instants, by_session))


def _history(
    organization_id: int, period: DayRange, instants: list[datetime], by_session: bool
) -> Iterator[PreviewRow]:
    for rows in grouped(organization_id, period, instants=instants, by_session=by_session):
        background = Background(organization_id, rows)
        for row in rows:
            team, person, project, agent, customer, key = owner_ids(row)
            owner = Owner(team, person, project, agent, customer, key, background.word(row, "task_type"), ())
            yield PreviewRow(
                event_of(row, background),
                row.dimensions["source"],
                owner,
                row.reporting_currency,
                to_pico(row.reporting_cost),
                row.calls,
            )
