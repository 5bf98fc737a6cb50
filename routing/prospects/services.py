"""Learns how likely models do calls well, from what sampled calls came to; and holds what was foreseen against it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from django.db import connection, transaction

from finops.audit import services as audit
from finops.core.actors import Actor
from routing.classify.rules import CannotLearn, is_worth_training
from routing.classify.types import wire
from routing.classify.types.learned import Learnt, Prospect, Tried
from routing.prospects import rules, selectors
from routing.prospects.models import TrainedProspects
from routing.prospects.rules import CannotForesee, LightBy
from routing.prospects.types import Came, Since

_NONE: Final = float("nan")


def follow(*, organization_id: int, by: Actor, at: datetime) -> TrainedProspects | None:
    """Learn where there is enough more to learn from, and hold what was foreseen against what it came to. Gives what
    was learned, if anything was.
    """
    came = selectors.came(organization_id)
    row = selectors.in_force(organization_id)
    if row is not None:
        _observe(row, came, at)
    if not _is_due(row, _newest(came), at):
        return None
    try:
        return _learn(organization_id, came, by, at)
    except (CannotForesee, CannotLearn):
        return None


def learn(*, organization_id: int, by: Actor, at: datetime) -> TrainedProspects:
    """Learn from all there is, and put it in force. Raises CannotForesee and classify.rules.CannotLearn, and then what
    was in force stays.
    """
    return _learn(organization_id, selectors.came(organization_id), by, at)


def _learn(organization_id: int, came: Sequence[Came], by: Actor, at: datetime) -> TrainedProspects:
    mine = _newest(came)
    known = selectors.sampled(organization_id, sorted({one.call for one in mine}))
    # Between the two readings some may have been forgotten.
    mine = [one for one in mine if one.call in known]
    models = rules.learnable(mine)
    light, light_by = rules.light_of(mine, models)
    places = {call: place for place, call in enumerate(sorted({one.call for one in mine if one.model in models}))}
    outcomes = [[_NONE] * len(models) for _ in places]
    for one in mine:
        if one.model in models:
            outcomes[places[one.call]][models.index(one.model)] = one.score
    tried = Tried(models, [known[call].signs for call in places], [known[call].session for call in places], outcomes)
    # Outside of a transaction: it takes a while. What it takes to learn is loaded by workers alone.
    from routing.classify import learning

    learnt = learning.prospects(tried, light=light)
    return _put_in_force(organization_id, learnt, mine, light_by, by, at)


def _newest(came: Sequence[Came]) -> list[Came]:
    """Those of the newest calls, as many as are learned from."""
    calls = set(sorted({one.call for one in came}, reverse=True)[: rules.MOST_CALLS])
    return [one for one in came if one.call in calls]


def _is_due(row: TrainedProspects | None, came: Sequence[Came], at: datetime) -> bool:
    """Whether there is enough more to learn from; or, once a day, anything else: what is learned from has an end, and
    what came later takes the place of what came before.
    """
    if row is None or is_worth_training(len(came), row.outcomes):
        return is_worth_training(len(came), 0)
    changed = (len(came), len({one.call for one in came})) != (row.outcomes, row.calls)
    return changed and at - row.trained_at >= rules.RENEWED_AFTER


@transaction.atomic
def _put_in_force(
    organization_id: int, learnt: Learnt, came: Sequence[Came], light_by: LightBy, by: Actor, at: datetime
) -> TrainedProspects:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('prospects'), %s)", [organization_id])
    mine = TrainedProspects.objects.filter(organization_id=organization_id)
    version = (mine.order_by("-version").values_list("version", flat=True).first() or 0) + 1
    published = wire.numbered(learnt.published, version=version)
    drawn: dict[str, int] = defaultdict(int)
    for one in came:
        drawn[one.model] += one.drawn
    mine.filter(is_in_force=True).update(is_in_force=False)
    row = TrainedProspects.objects.create(
        organization_id=organization_id,
        version=version,
        body=wire.encode(published),
        light=published.light,
        light_by=light_by.value,
        calls=len({one.call for one in came}),
        outcomes=len(came),
        figures=[_plain(one) | {"drawn": drawn[one.model]} for one in learnt.models],
        trained_at=at,
        trained_by=by.reference,
        is_in_force=True,
    )
    mine.filter(version__lte=version - rules.MOST_VERSIONS).delete()
    details: dict[str, Any] = {
        "models": len(learnt.models),
        "calls": row.calls,
        "off": [one.model for one in learnt.models if one.is_off],
    }
    audit.record(
        organization_id=organization_id, verb="prospects.learned", subject_kind="prospects", subject_id=str(version),
        details=details, by=by, at=at,
    )  # fmt: skip
    return row


def _observe(row: TrainedProspects, came: Sequence[Came], at: datetime) -> None:
    """Worked out anew from all that there is, so that outcomes that come late or are withdrawn make no difference. What
    follows from facts alone leaves no line in the trail.
    """
    from routing.classify import calibration

    pairs: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for one in came:
        if one.chance is not None:
            pairs[one.model].append((one.chance, one.score))
    since = []
    for model, each in sorted(pairs.items()):
        if len(each) < rules.LEAST_SEEN:
            continue
        chances, scores = calibration.columns(each)
        bins = calibration.reliability(chances, scores)
        error = calibration.calibration_error(bins)
        since.append(Since(model, len(each), bins, error, calibration.is_off(bins)))
    TrainedProspects.objects.filter(id=row.id).update(since=[_plain(one) for one in since], since_at=at)


def _plain(one: Prospect | Since) -> dict[str, Any]:
    return one._asdict() | {"bins": [each._asdict() for each in one.bins]}
