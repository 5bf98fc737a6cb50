"""Takes telemetry: calls that are told one by one, and metrics that say the same tokens by the minute.

Where the calls of a tool or a service are told one by one in a source, its metrics are not charged there. What a
cumulative sum was when it was last told is kept in the transaction that charges what it grew by, under a lock of the
series: told again, out of order or to two processes at once, it adds nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Final, NamedTuple

from finops.connectors.otlp import metrics
from finops.connectors.otlp.cumulative import DAY, REMEMBERED_DAYS, Seen, State, streams
from finops.connectors.otlp.metrics import MetricsCut, Told
from finops.connectors.otlp.types import Number
from finops.core.errors import FinopsError
from finops.ingest.models import MetricSeries, Teller
from finops.ingest.rules import LATEST_AHEAD
from finops.ingest.services.take import in_one_transaction, take
from finops.ingest.types import Outcome, Received

MOST_SERIES: Final = 100_000
MOST_TELLERS: Final = 500
_AT_A_TIME: Final = 5_000
# Nanoseconds: what is later than that is no time of a charge either.
_AHEAD: Final = int(LATEST_AHEAD.total_seconds()) * 10**9
# Stands for every service: there were too many to remember each.
_ALL_SERVICES: Final = "gen_ai:"
_SERVICES: Final = "gen_ai"


class TooManySeries(FinopsError):
    """A source has more cumulative sums than are remembered. Nothing is lost: the sums go on, and are told again."""

    code = "ingest.too_many_series"
    status = 429


class Measured(NamedTuple):
    """What became of metrics: outcomes of their rows, what was left out, and the tellers whose metrics do not count."""

    outcomes: list[Outcome]
    cut: MetricsCut
    aside: frozenset[str]


def take_calls(
    *,
    organization_id: int,
    source_id: int,
    parser: str,
    received: Sequence[Received],
    tellers: Collection[str],
    sent_with: str = "",
    at: datetime,
) -> list[Outcome]:
    """Book calls that spans or events tell, as `take` does, and remember who told them."""

    def note(places: Sequence[int], outcomes: Sequence[Outcome]) -> None:
        if not places[0]:
            _note_tellers(organization_id, source_id, tellers, at)

    return take(
        organization_id=organization_id, source_id=source_id, parser=parser, received=received, sent_with=sent_with,
        at=at, within=note,
    )  # fmt: skip


def take_metrics(*, organization_id: int, source_id: int, told: Told, sent_with: str = "", at: datetime) -> Measured:
    """Book what metrics say was used since they said it before. Raises TooManySeries and TooManyRecords."""
    return in_one_transaction(partial(_measured, organization_id, source_id, told, sent_with, at))


def forget_series(*, at: datetime) -> int:
    """Forget sums that were silent for so long that one that speaks again counts from there; how many."""
    silent = MetricSeries.objects.filter(told__lt=_nanoseconds(at) - REMEMBERED_DAYS * DAY)
    forgotten = 0
    while True:
        some = list(silent.order_by("told").values_list("id", flat=True)[:_AT_A_TIME])
        # Asked again: one of them may have spoken meanwhile.
        dropped, _ = silent.filter(id__in=some).delete()
        forgotten += dropped
        if len(some) < _AT_A_TIME:
            return forgotten


def _measured(organization_id: int, source_id: int, told: Told, sent_with: str, at: datetime) -> Measured:
    aside = _told_one_by_one(organization_id, source_id, frozenset(told.tellers))
    points = [point for point, teller in zip(told.points, told.tellers, strict=True) if teller not in aside]
    state = _locked(organization_id, source_id, streams(points))
    now = _nanoseconds(at)
    cut = metrics.counted(told, state, aside=aside, since=now - REMEMBERED_DAYS * DAY, until=now + _AHEAD)
    outcomes = take(
        organization_id=organization_id, source_id=source_id, parser=metrics.PARSER,
        received=[metrics.parse(row) for row in cut.rows], sent_with=sent_with, at=at,
    )  # fmt: skip
    _remember(organization_id, source_id, {name: seen for name, seen in cut.state.items() if state.get(name) != seen})
    return Measured(outcomes, cut, aside)


def _told_one_by_one(organization_id: int, source_id: int, tellers: frozenset[str]) -> frozenset[str]:
    if not tellers:
        return frozenset()
    rows = Teller.objects.filter(organization_id=organization_id, source_id=source_id)
    known = set(rows.filter(name__in=[*tellers, _ALL_SERVICES]).values_list("name", flat=True))
    every = _ALL_SERVICES in known
    return frozenset(one for one in tellers if one in known or (every and one.startswith(_SERVICES)))


def _note_tellers(organization_id: int, source_id: int, tellers: Collection[str], at: datetime) -> None:
    rows = Teller.objects.filter(organization_id=organization_id, source_id=source_id)
    new = set(tellers) - set(rows.filter(name__in=list(tellers)).values_list("name", flat=True))
    if new and rows.count() + len(new) > MOST_TELLERS:
        new = {_ALL_SERVICES if one.startswith(_SERVICES) else one for one in new}
    Teller.objects.bulk_create(
        [Teller(organization_id=organization_id, source_id=source_id, name=name, first_at=at) for name in sorted(new)],
        ignore_conflicts=True,
    )


def _locked(organization_id: int, source_id: int, names: Collection[str]) -> State:
    """What is remembered of these series, which nobody else reads until the transaction ends; new ones are made, so
    that there is something to lock. In the order of their digests, so that two bodies wait and do not deadlock.
    """
    wanted = sorted(bytes.fromhex(name) for name in names)
    found = _lock(organization_id, source_id, wanted)
    new = [digest for digest in wanted if digest.hex() not in found]
    if new:
        if MetricSeries.objects.filter(organization_id=organization_id, source_id=source_id).count() > MOST_SERIES:
            raise TooManySeries(
                f"A source has at most {MOST_SERIES:,} cumulative sums; send deltas, or fewer attributes."
            )
        MetricSeries.objects.bulk_create(
            [_row(organization_id, source_id, digest, Seen(0, 0, 0)) for digest in new],
            ignore_conflicts=True,
            batch_size=_AT_A_TIME,
        )
        found |= _lock(organization_id, source_id, new)
    return {name: seen for name, seen in found.items() if seen.time}


def _lock(organization_id: int, source_id: int, digests: Sequence[bytes]) -> dict[str, Seen]:
    if not digests:
        return {}
    rows = MetricSeries.objects.filter(organization_id=organization_id, source_id=source_id, digest__in=digests)
    return {
        bytes(row.digest).hex(): Seen(row.told, _number(row.value), int(row.calls))
        for row in rows.order_by("digest").select_for_update()
    }


def _remember(organization_id: int, source_id: int, changed: Mapping[str, Seen]) -> None:
    MetricSeries.objects.bulk_create(
        [_row(organization_id, source_id, bytes.fromhex(name), seen) for name, seen in sorted(changed.items())],
        update_conflicts=True,
        unique_fields=["organization", "source", "digest"],
        update_fields=["told", "value", "calls"],
        batch_size=_AT_A_TIME,
    )


def _row(organization_id: int, source_id: int, digest: bytes, seen: Seen) -> MetricSeries:
    return MetricSeries(
        organization_id=organization_id, source_id=source_id, digest=digest, told=seen.time, value=Decimal(seen.value),
        calls=Decimal(seen.calls),
    )  # fmt: skip


def _number(value: Decimal) -> Number:
    return int(value) if value == value.to_integral_value() else value.normalize()


def _nanoseconds(at: datetime) -> int:
    return int(at.timestamp()) * 10**9
