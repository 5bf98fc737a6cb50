"""Shares the costs of a month by the organization's rules: charges that net to zero, made anew as often as asked."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final, NamedTuple

import psycopg
from django.db import Error, OperationalError, connection, transaction

from finops.attribution import selectors as attribution
from finops.attribution.rules import split
from finops.attribution.types import AllocationLine, Method, SharedCost
from finops.core.actors import Actor
from finops.core.errors import Invalid
from finops.core.money import allocate, to_pico
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
# How long a worker waits for another's month before it renews its beat; well below `jobs.STALE_AFTER`.
_TURN_MS: Final = 10_000


class SharedTwice(Invalid):
    """The pools of two rules overlap, and together they give away more than there is."""

    code = "attribution.shared_twice"


class Holder(NamedTuple):
    """Who holds a part of a pool before it is shared."""

    source_id: int
    currency: str
    ids: tuple[int, ...]


class Held(NamedTuple):
    """Picodollars: effective in the holder's currency, and what those charges were booked at in the reporting one.

    Both are moved, each to the last digit. Converting the lines at a rate of their own would not net to zero.
    """

    effective: int
    reporting: int


class Portion(NamedTuple):
    """Of one source's pool in one currency: what each holder gives up (negative), and what each target gets."""

    taken: Mapping[Holder, Held]
    given: list[tuple[AllocationLine, Held]]


def open_allocation(*, organization_id: int, month: date, by: Actor, at: datetime) -> Job:
    """Queue the sharing of one month (any day of it)."""
    parameters = {"month": month_start(month).isoformat()}
    return jobs.open_job(organization_id=organization_id, kind=ALLOCATE, parameters=parameters, by=by, at=at)


def run_allocation(*, job: Job, now: Callable[[], datetime]) -> None:
    """Work a claimed job: one rule, one transaction. Running it again revises what changed and leaves the rest.

    First what rules left that no longer hold for the month is undone. Raises SharedTwice before anything is written.
    """
    month = date.fromisoformat(job.parameters["month"])
    with _alone(job, month, now) as mine:
        if not mine:
            return
        rules = attribution.shared_costs(job.organization_id, month)
        refuse_overlap(job.organization_id, rules, month)
        lines, changed = 0, 0
        for done, shared in enumerate([None, *rules]):
            at = now()
            if shared is None:
                postings = _undo_of_ended(job.organization_id, rules, month)
            else:
                postings = _postings(job.organization_id, shared, month, at)
                lines += len(postings)
            batch = Batch(organization_id=job.organization_id, postings=postings)
            with transaction.atomic():
                outcomes = post(batch=batch, revises=True, at=at)
                go_on = jobs.progress(job=job, done=done, total=len(rules), at=at)
            changed += sum(outcome in (Posted.CHARGED, Posted.REVISED) for outcome in outcomes)
            if not go_on:
                return
        jobs.finish(job=job, result={"rules": len(rules), "lines": lines, "changed": changed}, at=now())


@contextmanager
def _alone(job: Job, month: date, now: Callable[[], datetime]) -> Iterator[bool]:
    """One worker at a time shares a month: lines are made from what is held, and both would undo each other's. False
    when the job was stopped while it waited for its turn.

    A lock of the session, because words are interned in transactions of their own; it goes with the connection.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT hashtextextended(%s, 0)", [f"allocate:{job.organization_id}:{month}"])
        (lock,) = cursor.fetchone() or (0,)
    while not _gets(lock):
        # Who waits is alive. In silence the job would be handed to a third worker, to wait as well, and to a fourth.
        if not jobs.progress(job=job, done=job.done, at=now()):
            yield False
            return
    try:
        yield True
    finally:
        # When the connection is gone, so is the lock, and what ended it is the error to be told.
        with suppress(Error), connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [lock])


def _gets(lock: int) -> bool:
    """Whether the lock was free before the patience of one turn ended."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [str(_TURN_MS)])
            cursor.execute("SELECT pg_advisory_lock(%s)", [lock])
    except OperationalError as error:
        if isinstance(error.__cause__, psycopg.errors.LockNotAvailable):
            return False
        raise
    return True


def refuse_overlap(organization_id: int, rules: Sequence[SharedCost], month: date) -> None:
    """Raises SharedTwice when a charge of the month is in pools that give away more than all of it."""
    if len(rules) < 2:
        return
    conditions = [_conditions(organization_id, shared) for shared in rules]
    params = [value for _, values in conditions for value in values]
    shares = [sum(shared.percentages.values()) if shared.method is Method.FIXED else Decimal(100) for shared in rules]
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT matches FROM (SELECT ARRAY[{', '.join(f'({sql})' for sql, _ in conditions)}] AS matches"
            f" FROM ledger_charge WHERE {_CHARGES}) AS c"
            " WHERE (SELECT sum(share) FROM unnest(matches, %s::numeric[]) AS m(hit, share) WHERE hit) > 100 LIMIT 1",
            [*params, *_charges(organization_id, month), shares],
        )
        found = cursor.fetchone()
    if found:
        names = ", ".join(shared.name for shared, hit in zip(rules, found[0], strict=True) if hit)
        raise SharedTwice(f"These shared costs give away the same charges more than once: {names}.")


def _postings(organization_id: int, shared: SharedCost, month: date, at: datetime) -> list[Posting]:
    """Every line of one rule for one month; lines it no longer has are there with nothing, to undo the old ones."""
    writer = _Writer(organization_id, shared.rule_id, shared.version_id, shared.name, shared.dimension, month)
    for portion in portions(organization_id, shared, held_of(organization_id, shared, month), month, at):
        for holder, amount in portion.taken.items():
            writer.take(holder, amount)
        for line, amount in portion.given:
            writer.give(line, amount)
    writer.undo_missing(_lines(organization_id, month, writer.prefix))
    return writer.postings


def portions(
    organization_id: int, shared: SharedCost, held: Mapping[Holder, Held], month: date, at: datetime
) -> Iterator[Portion]:
    """What a rule moves of what is held, a portion for each source and currency. Writes nothing."""
    pools: dict[tuple[int, str], int] = defaultdict(int)
    for holder, amount in held.items():
        pools[holder.source_id, holder.currency] += amount.effective
    targets = shared.targets or tuple(shared.percentages) or _active(organization_id, shared, at)
    usage = _usage(organization_id, shared.dimension, month)
    by_pool: dict[tuple[int, str], list[AllocationLine]] = defaultdict(list)
    for line in split(shared, pools=dict(pools), targets=targets, usage=usage):
        by_pool[line.source_id, line.currency].append(line)
    for pool, (counter, *given) in by_pool.items():
        of_pool = {holder: amount for holder, amount in held.items() if (holder.source_id, holder.currency) == pool}
        taken = _taken(counter, of_pool)
        reporting = -sum(amount.reporting for amount in taken.values())
        shares = allocate(reporting, {line.target_id: line.weight for line in given})
        yield Portion(taken, [(line, Held(line.pico, shares[line.target_id])) for line in given])


def _undo_of_ended(organization_id: int, rules: Sequence[SharedCost], month: date) -> list[Posting]:
    """Lines of nothing in place of what was shared by rules that no longer hold for the month."""
    in_force = {shared.rule_id for shared in rules}
    by_rule: dict[int, list[str]] = defaultdict(list)
    for key in _lines(organization_id, month, "alloc:"):
        by_rule[int(key.split(":")[1])].append(key)
    postings = []
    for rule_id in sorted(by_rule.keys() - in_force):
        writer = _Writer(organization_id, rule_id, 0, "A rule that has ended", "", month)
        writer.undo_missing(by_rule[rule_id])
        postings += writer.postings
    return postings


def _lines(organization_id: int, month: date, prefix: str) -> list[str]:
    """Keys of the lines of a month that were ever written."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT external_id FROM ledger_charge_key WHERE organization_id = %s AND source_id = 0"
            " AND external_id >= %s AND external_id < %s AND split_part(external_id, ':', 3) = %s ORDER BY external_id",
            [organization_id, prefix, prefix + "~", f"{month:%Y-%m}"],
        )
        return [key for (key,) in cursor.fetchall()]


def _active(organization_id: int, shared: SharedCost, at: datetime) -> tuple[int, ...]:
    return attribution.active_targets(organization_id, shared.dimension, at=at)


def _taken(counter: AllocationLine, held: Mapping[Holder, Held]) -> dict[Holder, Held]:
    """What each holder of a pool gives up: all of it where all is shared, else in proportion to what they hold."""
    if counter.weight == counter.weight_total:
        return {holder: Held(-amount.effective, -amount.reporting) for holder, amount in held.items()}
    pool = sum(amount.reporting for amount in held.values())
    stays = counter.weight_total - counter.weight
    given = allocate(pool, {True: counter.weight, False: stays})[True]
    sign = 1 if counter.pico < 0 else -1
    weights = {holder: max(sign * amount.effective, 0) for holder, amount in held.items()}
    effective, reporting = allocate(counter.pico, weights), allocate(-given, weights)
    return {holder: Held(effective[holder], reporting[holder]) for holder, weight in weights.items() if weight}


_OWNER_COLUMNS: Final = ("team", "person", "project", "agent", "customer", "key")


def held_of(organization_id: int, shared: SharedCost, month: date) -> dict[Holder, Held]:
    """Costs of the pool by holder, in picodollars, without what allocation itself has moved."""
    condition, params = _conditions(organization_id, shared)
    keys = ", ".join(["source_id", "currency", *(f"{name}_id" for name in _OWNER_COLUMNS)])
    rows = _month_sums(organization_id, month, keys, "sum(effective_cost), sum(reporting_cost)", condition, params)
    return {
        Holder(row[0], row[1], tuple(row[2:8])): Held(to_pico(row[8]), to_pico(row[9]))
        for row in rows
        if row[8] or row[9]
    }


def _conditions(organization_id: int, shared: SharedCost) -> tuple[str, list[Any]]:
    """What a charge of the pool fulfils, as SQL with its parameters."""
    clauses, params = ["true"], []
    for name, values in sorted(shared.pool.items()):
        ids = [value for value in values if isinstance(value, int)]
        words = [value for value in values if isinstance(value, str)]
        column = _pool_column(organization_id, name)
        if words:
            ids += term_ids(organization_id, column, words).values()
        clauses.append(f"{column}_id = ANY(%s)")
        params.append(ids)
    return " AND ".join(clauses), params


def _pool_column(organization_id: int, name: str) -> str:
    if not name.startswith("tag:"):
        return name
    key = name.removeprefix("tag:")
    slots = {tag.key: tag.slot for tag in attribution.promoted_tags(organization_id)}
    return f"tag{slots[key]}"


def _usage(organization_id: int, dimension: str, month: date) -> dict[int, int]:
    rows = _month_sums(organization_id, month, f"{dimension}_id", "sum(reporting_cost)", "true", [])
    return {row[0]: to_pico(row[1]) for row in rows if row[0]}


# Charges of a month, without what allocation itself has moved.
_CHARGES: Final = "organization_id = %s AND occurred_at >= %s AND occurred_at < %s AND evidence_id <> %s"


def _charges(organization_id: int, month: date) -> list[Any]:
    allocated = term_ids(organization_id, "evidence", ["allocated"]).get("allocated", -1)
    return [organization_id, day_start(month), day_start(next_month(month)), allocated]


def _month_sums(
    organization_id: int, month: date, keys: str, sums: str, condition: str, params: list[Any]
) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {keys}, {sums} FROM ledger_charge WHERE {_CHARGES} AND {condition}"
            f" GROUP BY {keys} ORDER BY {keys}",
            [*_charges(organization_id, month), *params],
        )
        return list(cursor.fetchall())


def _mean_rate(amount: Held) -> Decimal:
    """The rate the charges of a line were booked at, taken together; 1 where there is none to speak of."""
    mean = Decimal(amount.reporting) / amount.effective if amount.effective else Decimal(1)
    mean = mean.quantize(Decimal(1).scaleb(-12), rounding=ROUND_HALF_EVEN) if 0 < mean < 10**6 else Decimal(1)
    return mean or Decimal(1)


class _Writer:
    """Turns lines into postings, each under a key of its own that says rule, month and place."""

    def __init__(
        self, organization_id: int, rule_id: int, version_id: int, name: str, dimension: str, month: date
    ) -> None:
        self.version_id, self.name, self.dimension, self.month = version_id, name, dimension, month
        self.prefix = f"alloc:{rule_id}:{month:%Y-%m}:"
        self.postings: list[Posting] = []
        self._reporting_currency = Corridor(organization_id).exchange.reporting_currency
        self._shapes: dict[int, Shape] = {}

    def give(self, line: AllocationLine, amount: Held) -> None:
        ids = tuple(line.target_id if name == line.dimension else 0 for name in _OWNER_COLUMNS)
        why = f"{self.name}: {line.weight} of {line.weight_total}"
        self._write(Holder(line.source_id, line.currency, ids), amount, "to", line.target_id, why)

    def take(self, holder: Holder, amount: Held) -> None:
        self._write(holder, amount, "from", 0, f"{self.name}: shared out")

    def undo_missing(self, written: Sequence[str]) -> None:
        """A line of an earlier run that this one does not have becomes a line of nothing."""
        have = {posting.key for posting in self.postings}
        for key in written:
            if key not in have:
                direction, source, currency, ids = key.removeprefix(self.prefix).split(":")
                holder = Holder(int(source), currency, tuple(map(int, ids.split("."))))
                self._write(holder, Held(0, 0), direction, 0, f"{self.name}: no longer")

    def _write(self, holder: Holder, amount: Held, direction: str, value: int, why: str) -> None:
        key = f"{self.prefix}{direction}:{holder.source_id}:{holder.currency}:{'.'.join(map(str, holder.ids))}"
        occurred_at = day_start(self.month)
        says = f"{amount.effective} {amount.reporting}"
        self.postings.append(
            Posting(
                key_source_id=0,
                key=key,
                request_key="",
                content_hash=hashlib.blake2b(says.encode(), digest_size=16).digest(),
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
                    trace=[[self.dimension, value, "allocation", self.version_id, why]] if self.dimension else [],
                ),
                tagging=_NO_TAGS,
                priced=self._priced(holder.currency, amount),
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

    def _priced(self, currency: str, amount: Held) -> Priced:
        same = currency == self._reporting_currency
        pico = amount.effective
        return Priced(
            True,
            0,
            0,
            currency,
            pico,
            pico,
            pico,
            None,
            self._reporting_currency,
            amount.reporting,
            "1" if same else rate_text(_mean_rate(amount)),
            None if same else self.month,
        )
