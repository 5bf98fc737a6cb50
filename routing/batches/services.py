"""Batches followed to their end and booked: every answered request is a charge, once, however often it is looked at.

What is done is kept in the row: who dies in the middle is followed by whoever looks next, and what was booked already
is a duplicate then.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any, Final, TypeVar

import msgspec
from django.conf import settings
from django.db import OperationalError

from finops.connectors.addresses import AddressRefused, Unreachable
from finops.connectors.openai.batches import TERMINAL, BatchServer, Told, result_of, told_of
from finops.connectors.types import Received, UsageEvent
from finops.connectors.wording import problem
from finops.core.actors import system
from finops.core.sealing import CannotOpen
from finops.ingest.services import take
from finops.ingest.types import Status
from finops.sources.services import ensure_gateway_source
from routing.batches import hot, rules, selectors
from routing.batches.models import Batch
from routing.upstreams.services import sending_headers

log = logging.getLogger(__name__)
BOOKER: Final = system("batches")
# Looked at by one run; the next one goes on.
MOST_AT_ONCE: Final = 50
RESULTS_AT_ONCE: Final = 500
_PARSER: Final = "capstan"
Clock = Callable[[], datetime]
T = TypeVar("T")


class CannotFollow(Exception):
    """What a batch came to is not known yet; in words without a secret."""


def follow(now: Clock) -> int:
    """Look at every batch that is due; gives how many there were. Harmless twice, and by several at once."""
    looked = 0
    for batch_id in selectors.due(now(), most=MOST_AT_ONCE):
        batch = _claimed(batch_id, now())
        if batch is not None:
            _look(batch, now)
            looked += 1
    return looked


def _claimed(batch_id: int, at: datetime) -> Batch | None:
    """The batch, unless somebody else looks at it."""
    rows = Batch.objects.filter(id=batch_id, state__in=hot.DUE, look_at__lte=at)
    if rows.update(look_at=at + rules.LEASE) != 1:
        return None
    return Batch.objects.select_related("upstream").get(id=batch_id)


def _look(batch: Batch, now: Clock) -> None:
    try:
        server = _server(batch)
        if batch.state == hot.PENDING:
            _find(batch, server, now())
        if batch.state == hot.OPEN:
            _ask(batch, server, now())
        if batch.state == hot.ENDED:
            _book(batch, server, now)
    except (CannotFollow, Unreachable) as error:
        _failed(batch, str(error), now())
    except (AddressRefused, CannotOpen) as error:
        _failed(batch, error.message, now())
    except OperationalError:
        # The database went away: the batch comes due again.
        raise
    except Exception as error:
        # One batch must not keep all others waiting for ever.
        log.exception("batch %s could not be followed", batch.call_id)
        _failed(batch, type(error).__name__, now())


def _server(batch: Batch) -> BatchServer:
    row = batch.upstream
    return BatchServer(address=row.base_url, headers=sending_headers(row), internal=settings.INTERNAL_HOSTS)


def _find(batch: Batch, server: BatchServer, at: datetime) -> None:
    """One whose answer was lost on its way: it carries our id, if it was made."""
    said = server.made_by(batch.call_id)
    if said is None:
        if at - batch.created_at < rules.UNMADE_AFTER:
            _save(batch, look_at=rules.next_look(batch.created_at, at), failures=0, problem="")
        else:
            _save(batch, state=hot.VOID, event=b"")
        return
    told = _told(said)
    _save(batch, batch_id=told.id, state=hot.OPEN, **_heard(batch, said, told))


def _ask(batch: Batch, server: BatchServer, at: datetime) -> None:
    said = server.batch(batch.batch_id)
    told = _told(said)
    if told.id != batch.batch_id:
        raise CannotFollow("the upstream tells of another batch")
    kept = _heard(batch, said, told)
    if told.status in TERMINAL:
        # Kept from now on: told again, a charge is the same charge.
        ended_at = rules.ended_at(told.ended_at, batch.created_at, at)
        _save(batch, state=hot.ENDED, ended_at=ended_at, completed=told.completed, failures=0, problem="", **kept)
    else:
        _save(batch, look_at=rules.next_look(batch.created_at, at), failures=0, problem="", **kept)


def _told(said: Any) -> Told:
    told = told_of(said)
    if told is None:
        raise CannotFollow("what the upstream tells of it cannot be read")
    return told


def _heard(batch: Batch, said: Any, told: Told) -> dict[str, Any]:
    return {
        "said": msgspec.json.encode(said),
        "output_file_id": told.output_file_id or batch.output_file_id,
        "error_file_id": told.error_file_id or batch.error_file_id,
    }


def _book(batch: Batch, server: BatchServer, now: Clock) -> None:
    """Line by line, so that no file is too long. Those in the file of errors are nobody's money."""
    common, answered = _common(batch), 0
    if batch.output_file_id:
        lines = enumerate(server.results(batch.output_file_id), start=1)
        for part in _parts(lines, RESULTS_AT_ONCE):
            results = [(number, result_of(line, batch.endpoint)) for number, line in part]
            answered += sum(result.answered or result.problem is not None for _, result in results)
            found = [rules.received(common, result, number) for number, result in results]
            _take(batch, [one for one in found if one is not None], now())
            _save(batch, look_at=now() + rules.LEASE)
    if answered < batch.completed:
        raise CannotFollow(f"of {batch.completed} answers only {answered} are in the results")
    _save(batch, state=hot.BOOKED, booked_at=now(), event=b"", failures=0, problem="")


def _common(batch: Batch) -> UsageEvent:
    at = batch.ended_at or batch.created_at
    return rules.event_of(hot.decode_event(bytes(batch.event)), batch.call_id, batch.batch_id, at)


def _take(batch: Batch, received: list[Received], at: datetime) -> None:
    source = ensure_gateway_source(organization_id=batch.organization_id, by=BOOKER, at=at)
    outcomes = take(
        organization_id=batch.organization_id, source_id=source.id, parser=_PARSER, received=received, at=at,
        revises=False,
    )  # fmt: skip
    for status in (Status.QUARANTINED, Status.CONFLICT):
        count = sum(outcome.status is status for outcome in outcomes)
        if count:
            log.warning("batch %s: %d results are %s", batch.call_id, count, status)


def _failed(batch: Batch, why: str, at: datetime) -> None:
    """Once more, later; and in the end for somebody to look at."""
    failures, why = batch.failures + 1, why[:300]
    log.warning("batch %s cannot be followed: %s", batch.call_id, why)
    if failures < rules.MOST_FAILURES:
        _save(batch, failures=failures, problem=why, look_at=rules.next_try(failures, at))
        return
    _take(batch, [rules.unread(_common(batch), problem("batches.results_lost", "usage", why))], at)
    _save(batch, state=hot.LOST, failures=failures, problem=why, event=b"")


def _save(batch: Batch, **changed: Any) -> None:
    for name, value in changed.items():
        setattr(batch, name, value)
    batch.save(update_fields=list(changed))


def _parts(items: Iterator[T], size: int) -> Iterator[list[T]]:
    while part := list(islice(items, size)):
        yield part
