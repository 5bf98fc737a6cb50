"""What was held: replayed when the reason is gone, or discarded by somebody who says so."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from django.db import transaction

from finops.audit import services as audit
from finops.connectors.registry import reparse
from finops.connectors.types import dated
from finops.core.actors import Actor
from finops.core.errors import FinopsError, NotFound
from finops.ingest.models import QuarantinedRecord
from finops.ingest.selectors import held_ids
from finops.ingest.services.take import take
from finops.ingest.types import Outcome, Received, Status

MOST_AT_ONCE = 10_000
_PAGE = 2_000


class AlreadySettled(FinopsError):
    """The record was booked or discarded before."""

    code = "ingest.already_settled"
    status = 409


def replay(*, organization_id: int, record_ids: Sequence[int], by: Actor, at: datetime) -> list[Outcome]:
    """Send held records through the corridor again, as they came; in order of id, at most 10,000.

    One that still cannot be booked stays held, with its reason renewed. Ids that are not held here are passed over.
    """
    state = QuarantinedRecord.State
    held = list(
        QuarantinedRecord.objects.filter(
            organization_id=organization_id, id__in=list(record_ids)[:MOST_AT_ONCE], state=state.HELD
        ).order_by("id")
    )
    by_origin: dict[tuple[int, str, str], list[QuarantinedRecord]] = defaultdict(list)
    for record in held:
        by_origin[record.source_id, record.parser, record.sent_with].append(record)
    outcomes: dict[int, Outcome] = {}
    for (source_id, parser, sent_with), records in by_origin.items():
        taken = take(
            organization_id=organization_id,
            source_id=source_id,
            parser=parser,
            received=[_read(parser, record) for record in records],
            sent_with=sent_with,
            at=at,
            sent=False,
        )
        outcomes |= {record.id: outcome for record, outcome in zip(records, taken, strict=True)}
    with transaction.atomic():
        for record in held:
            _settle(record, outcomes[record.id], at)
        booked = sum(outcome.status not in _STAYS for outcome in outcomes.values())
        audit.record(
            organization_id=organization_id,
            verb="quarantine.replayed",
            subject_kind="quarantine",
            subject_id=held[0].id if len(held) == 1 else "many",
            details={"records": len(held), "booked": booked},
            by=by,
            at=at,
        )
    return [outcomes[record.id] for record in held]


_STAYS = (Status.QUARANTINED, Status.CONFLICT)


class Replayed(NamedTuple):
    """`records` were sent again, of which `held` stay. `after` is where the next replay goes on; 0: that was all."""

    records: int
    held: int
    after: int


def replay_held(
    *,
    organization_id: int,
    code: str = "",
    source: str = "",
    after: int = 0,
    most: int = MOST_AT_ONCE,
    by: Actor,
    at: datetime,
) -> Replayed:
    """Replay held records of a code or of a source (a slug), the oldest with an id above `after` first.

    Goes on past those that stay held, so that newer ones are reached. Call it outside a transaction: each page is its
    own, or words made here would keep other writers waiting until the end.
    """
    records = stayed = 0
    while records < most:
        wanted = min(_PAGE, most - records)
        ids = held_ids(organization_id, code=code, source=source, after=after, limit=wanted)
        if ids:
            outcomes = replay(organization_id=organization_id, record_ids=ids, by=by, at=at)
            records += len(outcomes)
            stayed += sum(outcome.status in _STAYS for outcome in outcomes)
            after = ids[-1]
        if len(ids) < wanted:
            return Replayed(records, stayed, 0)
    more = held_ids(organization_id, code=code, source=source, after=after, limit=1)
    return Replayed(records, stayed, after if more else 0)


def _read(parser: str, record: QuarantinedRecord) -> Received:
    return dated(reparse(parser, bytes(record.raw)), record.received_at)


def _settle(record: QuarantinedRecord, outcome: Outcome, at: datetime) -> None:
    if outcome.status in _STAYS:
        if outcome.problem:
            record.code, record.field, record.message = outcome.problem
    else:
        record.state, record.settled_at = QuarantinedRecord.State.BOOKED, at
    record.save(update_fields=["state", "settled_at", "code", "field", "message"])


@transaction.atomic
def discard(*, organization_id: int, record_id: int, by: Actor, at: datetime) -> QuarantinedRecord:
    """Give a held record up. It stays readable. Raises NotFound, AlreadySettled."""
    record = QuarantinedRecord.objects.select_for_update().filter(organization_id=organization_id, id=record_id).first()
    if record is None:
        raise NotFound("There is no such record.")
    if record.state != QuarantinedRecord.State.HELD:
        raise AlreadySettled(f"This record is {record.state} already.")
    record.state, record.settled_at = QuarantinedRecord.State.DISCARDED, at
    record.save(update_fields=["state", "settled_at"])
    audit.record(
        organization_id=organization_id,
        verb="quarantine.discarded",
        subject_kind="quarantine",
        subject_id=record.id,
        subject_label=record.external_id,
        details={"code": record.code},
        by=by,
        at=at,
    )
    return record
