"""How experiments end: what they measured stays, their key ends at once, and their cap is put away later."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

from django.db import transaction

from finops.budgets.services import budgets
from finops.budgets.services.budgets import Archived
from finops.core.actors import Actor
from finops.core.errors import NotFound
from finops.orgs.services.keys import revoke_key
from routing.experiments import selectors
from routing.experiments.models import Experiment
from routing.experiments.services.common import HOUSE, note, turn
from routing.experiments.types import ENDED, State


@transaction.atomic
def end(*, row: Experiment, state: State, code: str, by: Actor = HOUSE, at: datetime) -> None:
    """For good. Its budget is looked at once more when nothing can be under way any more (`look_at`)."""
    row = selectors.experiment(row.organization_id, row.id, lock=True)
    if row.state in ENDED:
        return
    if row.key_id is not None:
        revoke_key(organization_id=row.organization_id, key_id=row.key_id, by=by, at=at)
    row.sealed, row.ended_at, row.state = b"", at, state.value
    row.save(update_fields=["sealed", "ended_at", "state"])
    turn(row, state, code, look_at=at, at=at)
    note(state.value, row, {"code": code}, by, at)


def put_away(*, at: datetime) -> int:
    """Archive the budgets of experiments that ended a while ago; gives how many."""
    done = 0
    for organization_id, experiment_id in selectors.to_put_away(at):
        with transaction.atomic():
            row = selectors.experiment(organization_id, experiment_id, lock=True)
            if row.budget_id is None or row.look_at is None:
                continue
            # Somebody may have done it before.
            with suppress(Archived, NotFound), transaction.atomic():
                budgets.archive_budget(organization_id=organization_id, budget_id=row.budget_id, by=HOUSE, at=at)
            row.look_at = None
            row.save(update_fields=["look_at"])
            done += 1
    return done
