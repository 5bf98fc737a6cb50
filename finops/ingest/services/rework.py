"""The corridor fed from the ledger: history rated or attributed anew, or looked at for what plans of seats pay for. By
pages, each its own transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from finops.connectors.types import Dimensions, GivenCost, UsageEvent
from finops.core.actors import Actor
from finops.core.errors import Invalid
from finops.core.money import to_pico
from finops.core.periods import DayRange
from finops.ingest.rules import request_key
from finops.ingest.services.corridor import Corridor, free_of_charge, rate_text, tags_say_paid
from finops.ingest.types import Problem
from finops.jobs import services as jobs
from finops.jobs.models import Job
from finops.ledger.selectors.current import Background, standing, standing_count
from finops.ledger.services import Batch, Correction, correct, correction_key
from finops.ledger.types import UNPRICED, ChargeRow, Ownership, Posting, Priced, Shape, Tagging

RERATE: Final = "rerate"
REATTRIBUTE: Final = "reattribute"
COVER: Final = "cover"
# A request for more than this is a mistake in the year.
MOST_DAYS: Final = 3_660


def open_rework(
    *,
    organization_id: int,
    kind: str,
    period: DayRange,
    filters: dict[str, list[int]] | None = None,
    by: Actor,
    at: datetime,
) -> Job:
    """Queue re-rating or re-attribution of a period's charges, or a look at which of them a plan of seats pays for.

    Raises Invalid when the period makes no sense.
    """
    if not 0 < period.days <= MOST_DAYS:
        raise Invalid(f"a period of {period.days} days cannot be worked over", field="period")
    parameters = {"start": period.start.isoformat(), "end": period.end.isoformat(), "filters": filters or {}}
    return jobs.open_job(organization_id=organization_id, kind=kind, parameters=parameters, by=by, at=at)


def run_rework(*, job: Job, now: Callable[[], datetime]) -> None:
    """Work a claimed job to its end, or until it is stopped. Each page is a transaction with its progress in it, so a
    killed worker's job goes on where it stood.
    """
    parameters, cursor = job.parameters, job.cursor
    period = DayRange(date.fromisoformat(parameters["start"]), date.fromisoformat(parameters["end"]))
    filters = {name: frozenset(ids) for name, ids in parameters.get("filters", {}).items()}
    after = (datetime.fromisoformat(cursor["at"]), UUID(cursor["id"])) if cursor else None
    tally = Tally(**cursor.get("tally", {}))
    since = datetime.fromisoformat(cursor["since"]) if cursor else now()
    total = standing_count(job.organization_id, period, filters=filters)
    for rows in standing(job.organization_id, period, filters=filters, after=after):
        corrections, passed_over = _corrections(job.organization_id, job.kind, rows)
        batch = Batch(organization_id=job.organization_id, postings=[one.posting for one in corrections])
        at = now()
        with transaction.atomic():
            correct(organization_id=job.organization_id, batch=batch, corrections=corrections, at=at)
            # A charge this job made comes by again when it has the time of those behind it.
            tally.seen += sum(row.reason != job.kind or row.booked_at < since for row in rows)
            tally.passed_over += passed_over
            tally.add(rows, corrections)
            last = rows[-1]
            place: dict[str, Any] = {"at": last.occurred_at.isoformat(), "id": str(last.id), "since": since.isoformat()}
            place["tally"] = tally.as_json()
            go_on = jobs.progress(job=job, done=tally.seen, total=total, cursor=place, at=at)
        if not go_on:
            return
    jobs.finish(job=job, result=tally.as_json(), at=now())


@dataclass(slots=True)
class Tally:
    """What a rework has done so far. Amounts are picodollars of the reporting currency."""

    seen: int = 0
    changed: int = 0
    # Charges that stay as they are because their new cost cannot be said, most often for want of an exchange rate.
    passed_over: int = 0
    before_pico: int = 0
    after_pico: int = 0

    def add(self, rows: list[ChargeRow], corrections: list[Correction]) -> None:
        self.changed += len(corrections)
        by_id = {row.id: row for row in rows}
        for one in corrections:
            self.before_pico += to_pico(by_id[one.charge_id].reporting_cost)
            self.after_pico += one.posting.priced.reporting_pico

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def _corrections(organization_id: int, kind: str, rows: list[ChargeRow]) -> tuple[list[Correction], int]:
    """What changes, and how many charges cannot be worked over."""
    corridor = Corridor(organization_id)
    background = Background(organization_id, rows)
    found, passed_over = [], 0
    for row in rows:
        event = event_of(row, background)
        posting = _reworked(corridor, kind, row, event, background)
        if isinstance(posting, Problem):
            passed_over += 1
        elif posting is not None:
            was = request_key(background.word(row, "provider"), row.provider_request_id)
            becomes = request_key(posting.shape.provider, row.provider_request_id)
            found.append(Correction(row.id, row.occurred_at, was, posting, becomes))
    return found, passed_over


def _reworked(
    corridor: Corridor, kind: str, row: ChargeRow, event: UsageEvent, background: Background
) -> Posting | Problem | None:
    """The charge this one becomes, None when it stays as it is, or why that cannot be said."""
    source_id = row.dimensions["source"]
    stood = priced_of(row, background)
    if kind == REATTRIBUTE:
        shape, priced, tags = shape_of(row, background), stood, event.tags
        ownership = corridor.ownership(event, source_id)
        if _same_owner(row, ownership, background) and _same_slots(row, corridor.tagging(tags), background):
            return None
    else:
        shape, found = corridor.shape(event, source_id)
        ownership = ownership_of(row, background)
        tags = corridor.paid_by(event, shape)
        if kind == COVER and tags == event.tags:
            return None
        # What was never paid for by a plan keeps the price it was booked at.
        was_paid = tags_say_paid(event.tags)
        rated = stood if kind == COVER and not was_paid else corridor.price(event, found)
        if isinstance(rated, Problem):
            return rated
        priced = free_of_charge(rated) if tags_say_paid(tags) else rated
        if kind == RERATE and priced == stood and _same_model(row, shape, background):
            return None
    return Posting(
        key_source_id=0,
        key=correction_key(row.id),
        request_key="",
        content_hash=b"",
        external_id=row.external_id,
        occurred_at=row.occurred_at,
        session=row.session,
        provider_request_id=row.provider_request_id,
        calls=row.calls,
        counts=row.counts,
        shape=shape,
        ownership=ownership,
        tagging=corridor.tagging(tags),
        priced=priced,
        reason=kind,
        revision=0,
    )


def event_of(row: ChargeRow, background: Background) -> UsageEvent:
    """The event a charge was made from, as far as it decides price and owner."""
    origin = background.origin(row)
    told = origin.get("dimensions", {})
    cost = None if row.billed_cost is None else GivenCost(to_pico(row.billed_cost), row.currency)
    return UsageEvent(
        external_id=row.external_id,
        occurred_at=row.occurred_at,
        provider=origin.get("provider", ""),
        model=row.model_raw,
        counts=row.counts,
        service_tier=background.word(row, "service_tier"),
        region=background.word(row, "region"),
        host=background.word(row, "host"),
        provider_account=background.word(row, "provider_account"),
        provider_request_id=row.provider_request_id,
        session=row.session,
        task_type=origin.get("task_type", ""),
        category=background.word(row, "category"),
        evidence=background.word(row, "evidence"),
        dimensions=Dimensions(**told),
        key_prefix=origin.get("key", ""),
        identities=tuple((kind, value) for kind, value in origin.get("identities", [])),
        tags=tuple(sorted(row.tags.items())),
        cost=cost,
    )


def shape_of(row: ChargeRow, background: Background) -> Shape:
    words = ("provider", "model", "service_tier", "region", "host", "provider_account", "category", "evidence")
    return Shape(
        source_id=row.dimensions["source"],
        model_raw=row.model_raw,
        **{word: background.word(row, word) for word in words},
    )


def priced_of(row: ChargeRow, background: Background) -> Priced:
    return Priced(
        background.word(row, "state") != UNPRICED,
        row.price_id,
        row.contract_id,
        row.currency,
        to_pico(row.list_cost),
        to_pico(row.contracted_cost),
        to_pico(row.effective_cost),
        None if row.billed_cost is None else to_pico(row.billed_cost),
        row.reporting_currency,
        to_pico(row.reporting_cost),
        rate_text(row.fx_rate),
        row.fx_date,
    )


def ownership_of(row: ChargeRow, background: Background) -> Ownership:
    ids = owner_ids(row)
    return Ownership(
        ids=ids,
        task_type=background.word(row, "task_type"),
        attributed=bool(ids[0] or ids[1] or ids[2]),
        origin=background.origin(row),
        trace=background.trace(row),
    )


def owner_ids(row: ChargeRow) -> tuple[int, ...]:
    return tuple(row.dimensions[name] for name in ("team", "person", "project", "agent", "customer", "key"))


def _same_model(row: ChargeRow, shape: Shape, background: Background) -> bool:
    return (shape.provider, shape.model) == (background.word(row, "provider"), background.word(row, "model"))


def _same_slots(row: ChargeRow, tagging: Tagging, background: Background) -> bool:
    """A tag key promoted since has its place in the rollups only once history was attributed anew."""
    return all(background.word(row, f"tag{slot}") == tagging.slots.get(slot, "") for slot in range(1, 11))


def _same_owner(row: ChargeRow, ownership: Ownership, background: Background) -> bool:
    return (ownership.ids, ownership.task_type) == (owner_ids(row), background.word(row, "task_type"))
