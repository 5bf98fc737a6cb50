"""Takes usage: one batch, one transaction, every record answered. The corridor of docs/architecture.md."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final, TypeVar

import psycopg
from django.db import OperationalError, connection, transaction
from django.db.models import Q

from finops.connectors.registry import BY_CONTENT
from finops.connectors.types import UsageEvent
from finops.ingest.models import QuarantinedRecord
from finops.ingest.rules import check
from finops.ingest.services.corridor import corridor_for
from finops.ingest.services.tally import tally
from finops.ingest.types import Outcome, Problem, Received, Status
from finops.ledger.services import Batch, ClaimMoved, post, post_lone
from finops.ledger.types import Posted, Posting
from finops.sources.kinds import ACCOUNT, GATEWAY
from finops.sources.models import Source
from finops.statements import services as statements

# Large enough to amortise a transaction, small enough that its locks and its memory are.
BATCH_MOST: Final = 5_000
TRIES: Final = 3
T = TypeVar("T")
# What else is to happen in the transaction that books records: their places among those received, what became of each.
Within = Callable[[Sequence[int], Sequence[Outcome]], None]
Also = Callable[[Sequence[Outcome]], None]
_STATUS: Final = {became: Status(became.value) for became in Posted}
_SEEN_EVERY: Final = timedelta(seconds=10)
_CONFLICT: Final = Problem(
    "ingest.conflict", "id", "this id was charged before with other content; send corrections under their own id"
)

PAUSED: Final = "ingest.source_paused"
_PAUSED: Final = Problem(PAUSED, "", "the source is paused; resume it, and replay what waits")


def take(
    *,
    organization_id: int,
    source_id: int,
    parser: str,
    received: Sequence[Received],
    sent_with: str = "",
    at: datetime,
    within: Within | None = None,
    revises: bool | None = None,
    sent: bool = True,
) -> list[Outcome]:
    """Book records of one source; says what became of each, in order. Sending them again adds nothing.

    `parser` names what read them (`capstan`, `cloudevents`, `file`), for replay from quarantine; `sent_with` is the
    prefix of the virtual key they came in with, whose defaults apply to records that name no key. `within` is called
    inside each transaction, with the places of its records in `received` and what becomes of them. `revises` says
    whether other content for a known id is a revision or a conflict, where that is not as the source says. `sent` is
    false for what the house itself books again, which nobody sent.
    """
    source = Source.objects.get(organization_id=organization_id, id=source_id)
    revises = source.revises if revises is None else revises
    outcomes: list[Outcome] = []
    for start in range(0, len(received), BATCH_MOST):
        part = received[start : start + BATCH_MOST]
        for turn in _turns(part) if revises else [list(range(len(part)))]:
            places = [start + n for n in turn]
            also = None if within is None else partial(within, places)
            outcomes.extend(_take_batch(source, parser, [part[n] for n in turn], sent_with, at, also, revises))
    stale = Q(last_received_at__isnull=True) | Q(last_received_at__lt=at - _SEEN_EVERY)
    Source.objects.filter(stale, id=source_id).update(last_received_at=at)
    if sent:
        tally(source, received, outcomes, at)
    return outcomes


def _turns(received: Sequence[Received]) -> list[list[int]]:
    """Positions in runs without a repeated id, so that revisions of one id follow each other in their order."""
    turns: list[list[int]] = [[]]
    seen: set[str] = set()
    for n, record in enumerate(received):
        external_id = record.event.external_id if record.event else ""
        if external_id and external_id in seen:
            turns.append([])
            seen = set()
        seen.add(external_id)
        turns[-1].append(n)
    return turns


def _take_batch(
    source: Source,
    parser: str,
    received: Sequence[Received],
    sent_with: str,
    at: datetime,
    also: Also | None,
    revises: bool,
) -> list[Outcome]:
    corridor = corridor_for(source.organization_id)
    outcomes: list[Outcome | None] = [None] * len(received)
    held: list[tuple[Received, Problem]] = []
    postings: list[Posting] = []
    events: list[UsageEvent] = []
    places: list[int] = []
    for n, record in enumerate(received):
        event, problem = record.event, record.problem if source.paused_at is None else _PAUSED
        if event is not None and problem is None:
            problem = check(event, now=at)
            if problem is None:
                posting = corridor.posting(event, source.id, sent_with)
                if isinstance(posting, Posting):
                    postings.append(posting)
                    events.append(event)
                    places.append(n)
                    continue
                problem = posting
        problem = problem or Problem("ingest.unreadable", "", "the record could not be read")
        held.append((record.written(), problem))
        outcomes[n] = Outcome(event.external_id if event else record.external_id, Status.QUARANTINED, problem)
    book = _books(source, parser, postings, events, revises, at)

    def became(posted: Sequence[Posted]) -> list[Outcome]:
        for n, posting, one in zip(places, postings, posted, strict=True):
            problem = _CONFLICT if one is Posted.CONFLICT else None
            outcomes[n] = Outcome(posting.external_id, _STATUS[one], problem)
        return [outcome for outcome in outcomes if outcome is not None]

    def keep() -> list[Outcome]:
        answer = became(book())
        hold(source=source, parser=parser, records=held, sent_with=sent_with, at=at)
        if also is not None:
            also(answer)
        return answer

    return in_one_transaction(keep)


def _books(
    source: Source,
    parser: str,
    postings: Sequence[Posting],
    events: Sequence[UsageEvent],
    revises: bool,
    at: datetime,
) -> Callable[[], list[Posted]]:
    """What books a batch inside a transaction: as charges, or as the statements that the source makes."""
    house = source.organization_id
    if source.states:
        told = partial(statements.keep, organization_id=house, source_id=source.id, parser=parser)
        return partial(told, events=events, at=at)
    batch = Batch(organization_id=house, postings=postings)
    if parser in BY_CONTENT:
        return partial(post_lone, batch=batch, revises=revises, at=at)
    return partial(post, batch=batch, revises=revises, at=at, apart=source.slug == GATEWAY)


def in_one_transaction(keep: Callable[[], T]) -> T:
    """What `keep` gives; once more, twice at most, when another writer was in the way."""
    tries_left = TRIES
    while True:
        tries_left -= 1
        try:
            with transaction.atomic():
                return keep()
        except (ClaimMoved, OperationalError, psycopg.errors.TransactionRollback) as error:
            # Inside somebody's transaction there is nothing left to try again in.
            if not tries_left or connection.in_atomic_block or not _passing(error):
                raise


def _passing(error: Exception) -> bool:
    """Another writer was in the way: the same batch goes through when that one is done."""
    # COPY is not Django's, so its errors come as the driver's own.
    driver = error if isinstance(error, psycopg.Error) else error.__cause__
    return isinstance(error, ClaimMoved) or isinstance(driver, psycopg.errors.TransactionRollback)


def hold(
    *, source: Source, parser: str, records: Sequence[tuple[Received, Problem]], sent_with: str = "", at: datetime
) -> None:
    """Keep records that cannot be booked, whole, with their reason. The same record again adds nothing, and brings one
    that was settled back: somebody sent it anew, and it is not in the books.
    """
    if not records:
        return
    # In the order of the index, so that two batches that hold the same records wait instead of deadlocking.
    digests = {record.raw: hashlib.blake2b(record.raw, digest_size=16).digest() for record, _ in records}
    records = sorted(records, key=lambda pair: digests[pair[0].raw])
    QuarantinedRecord.objects.bulk_create(
        [
            QuarantinedRecord(
                organization_id=source.organization_id,
                source=source,
                digest=digests[record.raw],
                external_id=(record.event.external_id if record.event else record.external_id)[:300],
                code=problem.code[:80],
                field=problem.field[:200],
                message=problem.message,
                raw=record.raw,
                parser=parser,
                sent_with=sent_with,
                received_at=at,
            )
            for record, problem in records
        ],
        ignore_conflicts=True,
    )
    held = QuarantinedRecord.State.HELD
    settled = QuarantinedRecord.objects.filter(source=source, digest__in=list(digests.values())).exclude(state=held)
    if source.kind == ACCOUNT:
        # Nobody sent it anew: what is polled is read again and again, and what somebody gave up stays given up.
        settled = settled.exclude(state=QuarantinedRecord.State.DISCARDED)
    problems = {digests[record.raw]: problem for record, problem in records}
    for row in settled.filter(organization_id=source.organization_id).select_for_update().order_by("digest"):
        row.code, row.field, row.message = problems[bytes(row.digest)]
        row.state, row.settled_at, row.parser, row.sent_with, row.received_at = held, None, parser, sent_with, at
        row.save()
