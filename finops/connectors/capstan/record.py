"""Our own wire format: one call as a JSON object. What it may say, and the UsageEvent that follows."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from itertools import compress
from operator import attrgetter
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from finops.connectors.capstan.usage import CONVENTION, INCLUSIVE_NAMES, counts_of
from finops.connectors.types import Dimensions, GivenCost, Problem, UsageEvent
from finops.connectors.wording import problem
from finops.core.money import from_pico, to_ledger, to_pico
from finops.core.tokens import MAX_COUNT, METERS

LONGEST: Final = 300
# The very end, in the regular expressions of Python and of JSON Schema alike; `$` lets a line feed pass, and only
# Python has `\Z`.
_END: Final = r"(?![\s\S])"
MOST_TAGS: Final = 50
Text = Annotated[str, Meta(max_length=LONGEST)]
Count = Annotated[int, Meta(ge=0, le=MAX_COUNT)] | Annotated[str, Meta(max_length=20)]
TagKey = Annotated[str, Meta(min_length=1, max_length=60)]
TagValue = Annotated[str, Meta(max_length=200)]


class Cost(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """`amount` is text: a JSON number passes through floats on its way in too many languages."""

    amount: Annotated[str, Meta(pattern=rf"^-?[0-9]{{1,12}}(\.[0-9]{{1,30}})?{_END}")]
    currency: Annotated[str, Meta(pattern=f"^[A-Z]{{3}}{_END}")]


class Identities(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """In the order they decide: the first that names somebody does."""

    email: Text = ""
    provider_user: Text = ""
    github: Text = ""
    key_alias: Text = ""


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True, gc=False):
    """An unknown field is an error, because a misspelt one loses money in silence. Defaults are left out so that a
    record written out again has the names it came with; see `parse.written_oddly`.
    """

    id: Annotated[str, Meta(min_length=1, max_length=LONGEST)]
    occurred_at: Annotated[datetime, Meta(tz=True)]
    provider: Text = ""
    model: Text = ""
    usage: Annotated[dict[str, Count], Meta(max_length=40)] = {}
    service_tier: Text = ""
    region: Text = ""
    host: Text = ""
    provider_account: Text = ""
    provider_request_id: Text = ""
    session: Text = ""
    task_type: Text = ""
    category: Literal["Usage", "Purchase", "Credit", "Adjustment", "Tax"] = "Usage"
    evidence: Literal["billed", "metered", "reported", "estimated"] = "metered"
    team: Text = ""
    person: Text = ""
    project: Text = ""
    agent: Text = ""
    customer: Text = ""
    key: Text = ""
    identities: Identities | None = None
    tags: Annotated[dict[TagKey, TagValue], Meta(max_length=MOST_TAGS)] = {}
    cost: Cost | None = None


FIELDS: Final = tuple(Record.__struct_fields__)
# Every name a record may hold, for "did you mean".
NAMES: Final = (*FIELDS, *Identities.__struct_fields__, *Cost.__struct_fields__)
# Paths of single values, as a mapping of columns names them; `tags.<key>` besides.
PATHS: Final = (
    *(name for name in FIELDS if name not in {"usage", "identities", "tags", "cost"}),
    f"usage.{CONVENTION}",
    *(f"usage.{name}" for name in dict.fromkeys((*METERS, *INCLUSIVE_NAMES))),
    *(f"identities.{name}" for name in Identities.__struct_fields__),
    *(f"cost.{name}" for name in Cost.__struct_fields__),
)
_NOBODY: Final = Dimensions()
_IDENTITY_KINDS: Final = ("email", "provider_user", "github", "key_alias")
_identity_values: Final = attrgetter(*_IDENTITY_KINDS)
_UTC: Final = UTC


def event_of(record: Record) -> UsageEvent | Problem:
    """The event a record says, or what is wrong with it. Pure; its time in UTC, its tags sorted."""
    of_usage = record.category == "Usage"
    missing = _missing(record) if of_usage else None
    if missing is not None:
        return missing
    counts = counts_of(record.usage, default_requests=1 if of_usage else 0)
    if type(counts) is Problem:
        return counts
    occurred_at = record.occurred_at
    if occurred_at.tzinfo is not _UTC:
        try:
            occurred_at = occurred_at.astimezone(_UTC)
        except OverflowError:
            return problem("connectors.field_invalid", "occurred_at", "occurred_at: no such instant in UTC")
    tags = record.tags
    return UsageEvent(
        external_id=record.id,
        occurred_at=occurred_at,
        provider=record.provider,
        model=record.model,
        counts=counts,  # type: ignore[arg-type]
        service_tier=record.service_tier,
        region=record.region,
        host=record.host,
        provider_account=record.provider_account,
        provider_request_id=record.provider_request_id,
        session=record.session,
        task_type=record.task_type,
        category=record.category,
        evidence=record.evidence,
        dimensions=_dimensions(record),
        key_prefix=record.key,
        identities=_identities(record.identities),
        tags=tuple(sorted(tags.items())) if tags else (),
        cost=_cost(record.cost),
    )


def record_of(event: UsageEvent) -> bytes:
    """An event as a record of ours that says it, for what is kept whole: the way back from `event_of`."""
    counts: dict[str, int | str] = {name: n for name, n in zip(METERS, event.counts, strict=True) if n}
    cost = None if event.cost is None else Cost(format(from_pico(event.cost.pico), "f"), event.cost.currency)
    return msgspec.json.encode(
        Record(
            id=event.external_id,
            occurred_at=event.occurred_at,
            provider=event.provider,
            model=event.model,
            usage=counts,
            service_tier=event.service_tier,
            region=event.region,
            host=event.host,
            provider_account=event.provider_account,
            provider_request_id=event.provider_request_id,
            session=event.session,
            task_type=event.task_type,
            category=event.category,  # type: ignore[arg-type]
            evidence=event.evidence,  # type: ignore[arg-type]
            team=event.dimensions.team,
            person=event.dimensions.person,
            project=event.dimensions.project,
            agent=event.dimensions.agent,
            customer=event.dimensions.customer,
            key=event.key_prefix,
            identities=Identities(**dict(event.identities)) if event.identities else None,
            tags=dict(event.tags),
            cost=cost,
        )
    )


def _missing(record: Record) -> Problem | None:
    """A call has a model, and says what it used or what it cost."""
    if not record.model:
        return problem("connectors.field_missing", "model", "model is required")
    if not record.usage and record.cost is None:
        return problem("connectors.field_missing", "usage", "usage is required where no cost is given")
    return None


def _dimensions(record: Record) -> Dimensions:
    if record.team or record.person or record.project or record.agent or record.customer:
        return Dimensions(record.team, record.person, record.project, record.agent, record.customer)
    return _NOBODY


def _identities(told: Identities | None) -> tuple[tuple[str, str], ...]:
    if told is None:
        return ()
    values = _identity_values(told)
    return tuple(compress(zip(_IDENTITY_KINDS, values, strict=True), values))


def _cost(told: Cost | None) -> GivenCost | None:
    """A stated cost is rounded half-even to the ledger's places here, once; more places are some tool's float noise."""
    if told is None:
        return None
    return GivenCost(to_pico(to_ledger(Decimal(told.amount))), told.currency)
