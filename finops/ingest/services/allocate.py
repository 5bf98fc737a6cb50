"""Shares the costs of a month by the organization's rules: charges that net to zero, made anew as often as asked."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable
from datetime import date, datetime
from typing import Any, Final, NamedTuple

from django.db import connection, transaction

from finops.attribution import selectors as attribution
from finops.attribution.rules import split
from finops.attribution.types import AllocationLine, SharedCost
from finops.core.actors import Actor
from finops.core.errors import Invalid
from finops.core.money import allocate, convert_pico, to_pico
from finops.core.periods import day_start, month_start, next_month
from finops.core.tokens import METERS
from finops.ingest.services.corridor import Corridor, rate_text
from finops.jobs import services as jobs
from finops.jobs.models import Job
from finops.ledger.selectors import term_ids
from finops.ledger.services import Batch, post
from finops.ledger.types import Ownership, Posted, Posting, Priced, Shape, Tagging

ALLOCATE: Final = "allocate"
_NO_COUNTS: Final = (0,) * len(METERS)
_NO_TAGS: Final = Tagging(tags=(), slots={})


class NoExchangeRate(Invalid):
    code = "pricing.no_exchange_rate"


class Holder(NamedTuple):
    """Who holds a part of a pool before it is shared."""

    source_id: int
    currency: str
    ids: tuple[int, ...]


def open_allocation(*, organization_id: int, month: date, by: Actor, at: datetime) -> Job:
    """Queue the sharing of one month (any day of it)."""
    parameters = {"month": month_start(month).isoformat()}
    return jobs.open_job(organization_id=organization_id, kind=ALLOCATE, parameters=parameters, by=by, at=at)


def run_allocation(*, job: Job, now: Callable[[], datetime]) -> None:
    """Work a claimed job: one rule, one transaction. Running it again revises what changed and leaves the rest."""
    month = date.fromisoformat(job.parameters["month"])
    rules = attribution.shared_costs(job.organization_id, month)
    lines, changed = 0, 0
    for done, shared in enumerate(rules, start=1):
        at = now()
        postings = _postings(job.organization_id, shared, month, at)
        batch = Batch(organization_id=job.organization_id, postings=postings)
        with transaction.atomic():
            outcomes = post(batch=batch, revises=True, at=at)
            go_on = jobs.progress(job=job, done=done, total=len(rules), at=at)
        lines += len(postings)
        changed += sum(outcome in (Posted.CHARGED, Posted.REVISED) for outcome in outcomes)
        if not go_on:
            return
    jobs.finish(job=job, result={"rules": len(rules), "lines": lines, "changed": changed}, at=now())


def _postings(organization_id: int, shared: SharedCost, month: date, at: datetime) -> list[Posting]:
    """Every line of one rule for one month; lines it no longer has are there with nothing, to undo the old ones."""
    held = _pool(organization_id, shared, month)
    pools: dict[tuple[int, str], int] = defaultdict(int)
    for holder, pico in held.items():
        pools[holder.source_id, holder.currency] += pico
    targets = shared.targets or tuple(shared.percentages) or _active(organization_id, shared, at)
    usage = _usage(organization_id, shared.dimension, month)
    writer = _Writer(organization_id, shared, month)
    for line in split(shared, pools=dict(pools), targets=targets, usage=usage):
        if line.target_id:
            writer.give(line)
        else:
            for holder, pico in _taken(line, held).items():
                writer.take(holder, pico)
    writer.undo_missing()
    return writer.postings


def _active(organization_id: int, shared: SharedCost, at: datetime) -> tuple[int, ...]:
    return attribution.active_targets(organization_id, shared.dimension, at=at)


def _taken(line: AllocationLine, held: dict[Holder, int]) -> dict[Holder, int]:
    """What each holder gives up: all of it where all is shared, else in proportion to what they hold."""
    holders = {
        holder: pico
        for holder, pico in held.items()
        if (holder.source_id, holder.currency) == (line.source_id, line.currency)
    }
    if sum(holders.values()) == -line.pico:
        return {holder: -pico for holder, pico in holders.items() if pico}
    sign = 1 if line.pico < 0 else -1
    return allocate(line.pico, {holder: max(sign * pico, 0) for holder, pico in holders.items()})


_OWNER_COLUMNS: Final = ("team", "person", "project", "agent", "customer", "key")


def _pool(organization_id: int, shared: SharedCost, month: date) -> dict[Holder, int]:
    """Effective cost of the pool by holder, in picodollars, without what allocation itself has moved."""
    clauses, params = [], []
    for name, values in sorted(shared.pool.items()):
        ids = [value for value in values if isinstance(value, int)]
        words = [value for value in values if isinstance(value, str)]
        column = _pool_column(organization_id, name)
        if words:
            ids += term_ids(organization_id, column, words).values()
        clauses.append(f"{column}_id = ANY(%s)")
        params.append(ids)
    owners = ", ".join(f"{name}_id" for name in _OWNER_COLUMNS)
    rows = _month_sums(organization_id, month, f"source_id, currency, {owners}", "effective_cost", clauses, params)
    return {Holder(row[0], row[1], tuple(row[2:8])): to_pico(row[8]) for row in rows if row[8]}


def _pool_column(organization_id: int, name: str) -> str:
    if not name.startswith("tag:"):
        return name
    key = name.removeprefix("tag:")
    slots = {tag.key: tag.slot for tag in attribution.promoted_tags(organization_id)}
    return f"tag{slots[key]}"


def _usage(organization_id: int, dimension: str, month: date) -> dict[int, int]:
    rows = _month_sums(organization_id, month, f"{dimension}_id", "reporting_cost", [], [])
    return {row[0]: to_pico(row[1]) for row in rows if row[0]}


def _month_sums(
    organization_id: int, month: date, keys: str, amount: str, clauses: list[str], params: list[Any]
) -> list[tuple[Any, ...]]:
    allocated = term_ids(organization_id, "evidence", ["allocated"]).get("allocated", -1)
    conditions = "".join(f" AND {clause}" for clause in clauses)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {keys}, sum({amount}) FROM ledger_charge WHERE organization_id = %s AND occurred_at >= %s"
            f" AND occurred_at < %s AND evidence_id <> %s{conditions} GROUP BY {keys} ORDER BY {keys}",
            [organization_id, day_start(month), day_start(next_month(month)), allocated, *params],
        )
        return list(cursor.fetchall())


class _Writer:
    """Turns lines into postings, each under a key of its own that says rule, month and place."""

    def __init__(self, organization_id: int, shared: SharedCost, month: date) -> None:
        self.organization_id = organization_id
        self.shared = shared
        self.month = month
        self.prefix = f"alloc:{shared.rule_id}:{month:%Y-%m}:"
        self.postings: list[Posting] = []
        self._exchange = Corridor(organization_id).exchange
        self._shapes: dict[int, Shape] = {}

    def give(self, line: AllocationLine) -> None:
        ids = tuple(line.target_id if name == line.dimension else 0 for name in _OWNER_COLUMNS)
        why = f"{self.shared.name}: {line.weight} of {line.weight_total}"
        self._write(Holder(line.source_id, line.currency, ids), line.pico, "to", line.dimension, line.target_id, why)

    def take(self, holder: Holder, pico: int) -> None:
        self._write(holder, pico, "from", self.shared.dimension, 0, f"{self.shared.name}: shared out")

    def undo_missing(self) -> None:
        """A line of an earlier run that this one does not have becomes a line of nothing."""
        have = {posting.key for posting in self.postings}
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT external_id FROM ledger_charge_key WHERE organization_id = %s AND source_id = 0"
                " AND external_id >= %s AND external_id < %s ORDER BY external_id",
                [self.organization_id, self.prefix, self.prefix + "~"],
            )
            gone = [key for (key,) in cursor.fetchall() if key not in have]
        for key in gone:
            direction, source, currency, ids = key.removeprefix(self.prefix).split(":")
            holder = Holder(int(source), currency, tuple(map(int, ids.split("."))))
            self._write(holder, 0, direction, self.shared.dimension, 0, f"{self.shared.name}: no longer")

    def _write(self, holder: Holder, pico: int, direction: str, dimension: str, value: int, why: str) -> None:
        key = f"{self.prefix}{direction}:{holder.source_id}:{holder.currency}:{'.'.join(map(str, holder.ids))}"
        occurred_at = day_start(self.month)
        self.postings.append(
            Posting(
                key_source_id=0,
                key=key,
                request_key="",
                content_hash=hashlib.blake2b(str(pico).encode(), digest_size=16).digest(),
                external_id=key,
                occurred_at=occurred_at,
                session="",
                provider_request_id="",
                calls=0,
                counts=_NO_COUNTS,
                shape=self._shape(holder.source_id),
                ownership=Ownership(
                    ids=holder.ids,
                    task_type="",
                    attributed=any(holder.ids[:3]),
                    origin={},
                    trace=[[dimension, value, "allocation", self.shared.version_id, why]],
                ),
                tagging=_NO_TAGS,
                priced=self._priced(holder.currency, pico, occurred_at.date()),
                reason="allocation",
            )
        )

    def _shape(self, source_id: int) -> Shape:
        if source_id not in self._shapes:
            self._shapes[source_id] = Shape(
                source_id=source_id,
                provider="",
                model="",
                model_raw="",
                service_tier="",
                region="",
                host="",
                provider_account="",
                category="Adjustment",
                evidence="allocated",
            )
        return self._shapes[source_id]

    def _priced(self, currency: str, pico: int, day: date) -> Priced:
        rate = self._exchange.rate(currency, day)
        if rate is None:
            # The charges of the pool were booked at dated rates; without one for this day the line waits.
            raise NoExchangeRate(f"no rate from {currency} to {self._exchange.reporting_currency} near {day}")
        same = currency == self._exchange.reporting_currency
        return Priced(
            True,
            0,
            0,
            currency,
            pico,
            pico,
            pico,
            None,
            self._exchange.reporting_currency,
            pico if same else convert_pico(pico, rate),
            rate_text(rate),
            None if same else day,
        )
