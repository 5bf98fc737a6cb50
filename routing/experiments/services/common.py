"""What every change of an experiment does: a row in the trail; and its key's secret, sealed and opened."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.conf import settings

from finops.audit import services as audit
from finops.core.actors import Actor, system
from finops.core.sealing import Sealer
from routing.experiments.models import KEY, Experiment
from routing.experiments.rules import WHY
from routing.experiments.types import State

HOUSE: Final = system("experiments")


def sealer(organization_id: int) -> Sealer:
    return Sealer((settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS), purpose=KEY.format(organization_id))


def note(verb: str, row: Experiment, details: dict[str, Any], by: Actor, at: datetime) -> None:
    audit.record(
        organization_id=row.organization_id, verb=f"experiment.{verb}", subject_kind="experiment",
        subject_id=row.id, subject_label=str(row), details=details, by=by, at=at,
    )  # fmt: skip


def turn(row: Experiment, state: State, code: str, *, look_at: datetime | None, at: datetime) -> None:
    """Into a state, and why."""
    row.state, row.code, row.reason = state.value, code, WHY.get(code, "")
    row.look_at, row.changed_at = look_at, at
    row.save(update_fields=["state", "code", "reason", "look_at", "changed_at"])
