"""Prices and attributes a batch in memory, once per distinct value rather than once per event."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any, Final

from django.db import connection
from msgspec.structs import replace

from finops.attribution import selectors as attribution
from finops.attribution.rules import attribute
from finops.connectors.seats import PAID_BY, Coverage
from finops.connectors.types import UsageEvent, content_hash
from finops.core.money import MAX_PICO, convert_pico
from finops.ingest.rules import calls_of, request_key
from finops.ingest.types import Problem
from finops.ledger.types import Ownership, Posting, Priced, Shape, Tagging
from finops.pricing import selectors as pricing
from finops.pricing.rules import DatedRate, Found, rate
from finops.pricing.types import Rated

_ONE = Decimal(1)


# Corridors of this many organizations are kept, each until it remembers this many owners and sets of tags.
_KEPT: Final = 100
_REMEMBERED: Final = 50_000
_kept: dict[int, Corridor] = {}
# Of an organization, the same object for as long as nothing has changed.
LoadCoverage = Callable[[int], Coverage]
_NO_COVERAGE: Final = Coverage()
_coverage: list[LoadCoverage] = []


def cover_by(load: LoadCoverage) -> None:
    """Have calls paid for by what a room above knows to be a seat's. Once, when the process starts."""
    _coverage[:] = [load]


def corridor_for(organization_id: int) -> Corridor:
    """The organization's corridor as of now: the one that is kept, with all it remembers, while nothing has changed.

    Inside a transaction it is always a new one, because the ids that its parts are written by may be rolled back.
    """
    made = Corridor(organization_id)
    if connection.in_atomic_block:
        return made
    kept = _kept.pop(organization_id, made)
    if kept.is_as(made) and kept.remembered < _REMEMBERED:
        made = kept
    _kept[organization_id] = made
    while len(_kept) > _KEPT:
        _kept.pop(next(iter(_kept)), None)
    return made


class Corridor:
    """One organization's prices and owners at one moment."""

    def __init__(self, organization_id: int) -> None:
        self.pricer = pricing.load_pricer(organization_id)
        self.exchange = pricing.load_exchange(organization_id)
        self.snapshot = attribution.load_snapshot(organization_id)
        self.coverage = _coverage[0](organization_id) if _coverage else _NO_COVERAGE
        self._slots = dict(self.snapshot.tag_slots)
        self._shapes: dict[tuple[Any, ...], tuple[Shape, Found]] = {}
        self._owners: dict[tuple[Any, ...], Ownership] = {}
        self._taggings: dict[tuple[tuple[str, str], ...], Tagging] = {}
        self._rates: dict[tuple[str, date], DatedRate | None] = {}

    def is_as(self, other: Corridor) -> bool:
        """Whether both work from the very same snapshots."""
        parts = ("pricer", "exchange", "snapshot", "coverage")
        return all(getattr(self, name) is getattr(other, name) for name in parts)

    @property
    def remembered(self) -> int:
        return len(self._owners) + len(self._taggings) + len(self._shapes)

    def posting(self, event: UsageEvent, source_id: int, sent_with: str = "") -> Posting | Problem:
        """The charge an event becomes, or why it cannot be booked yet.

        `sent_with` is the prefix of the virtual key it came in with, '' for none. It stands in for a key the event does
        not name, and is no part of what the event says: the same record sent with a renewed key is the same record.
        """
        hashed = content_hash(event)
        if sent_with and event.key_prefix != sent_with:
            if not event.key_prefix:
                event = replace(event, key_prefix=sent_with)
            elif self._is_bound(sent_with):
                return Problem("ingest.key_not_yours", "key", "a key bound to an owner tells of its own calls only")
        shape, found = self.shape(event, source_id)
        priced = self.price(event, found)
        if isinstance(priced, Problem):
            return priced
        tags = event.tags
        if self.coverage or tags_say_paid(tags):
            tags = self.paid_by(event, shape)
            priced = free_of_charge(priced) if tags_say_paid(tags) else priced
        return Posting(
            source_id,
            event.external_id,
            request_key(shape.provider, event.provider_request_id),
            hashed,
            event.external_id,
            event.occurred_at,
            event.session,
            event.provider_request_id,
            calls_of(event),
            event.counts,
            shape,
            self.ownership(event, source_id),
            self.tagging(tags),
            priced,
        )

    def paid_by(self, event: UsageEvent, shape: Shape) -> tuple[tuple[str, str], ...]:
        """The tags of a call, with the plan that pays for it where one does. What it says of that is left out."""
        tags = tuple(tag for tag in event.tags if tag[0] != PAID_BY)
        plan = self.coverage.plan_of(event, shape.source_id, shape.provider)
        return tuple(sorted((*tags, (PAID_BY, plan)))) if plan else tags

    def _is_bound(self, prefix: str) -> bool:
        defaults = self.snapshot.keys.get(prefix)
        return defaults is None or any(defaults.owners)

    def shape(self, event: UsageEvent, source_id: int) -> tuple[Shape, Found]:
        day = event.occurred_at.date()
        key = (
            event.provider,
            event.model,
            event.service_tier,
            event.host,
            day,
            source_id,
            event.region,
            event.provider_account,
            event.category,
            event.evidence,
        )
        known = self._shapes.get(key)
        if known is None:
            found = self.pricer.find(event.provider, event.model, event.service_tier, event.host, day)
            shape = Shape(
                source_id=source_id,
                provider=found.provider,
                model=found.model,
                model_raw=event.model,
                service_tier=event.service_tier,
                region=event.region,
                host=event.host,
                provider_account=event.provider_account,
                category=event.category,
                evidence=event.evidence,
            )
            known = self._shapes[key] = (shape, found)
        return known

    def ownership(self, event: UsageEvent, source_id: int) -> Ownership:
        key = (self.snapshot.memo_key(event, source_id), event.provider)
        known = self._owners.get(key)
        if known is None:
            owner = attribute(self.snapshot, event, source_id)
            known = self._owners[key] = Ownership(
                ids=owner[:6],
                task_type=owner.task_type,
                attributed=owner.attributed,
                origin=origin_of(event),
                trace=[list(step) for step in owner.steps],
            )
        return known

    def tagging(self, tags: tuple[tuple[str, str], ...]) -> Tagging:
        known = self._taggings.get(tags)
        if known is None:
            slots = {self._slots[key]: value for key, value in tags if key in self._slots}
            known = self._taggings[tags] = Tagging(tags=tags, slots=slots)
        return known

    def price(self, event: UsageEvent, found: Found) -> Priced | Problem:
        """The costs of an event: computed from the price book, or stated by the source; and in reporting currency."""
        rated = rate(found, event.counts, event.occurred_at)
        billed: int | None = None
        if event.cost is not None:
            billed = event.cost.pico
            rated = _stated(rated, billed, event.cost.currency)
        day = event.occurred_at.date()
        fx = self._fx(rated.currency, day)
        if fx is None:
            if rated.priced:
                return Problem(
                    "pricing.no_exchange_rate",
                    "cost.currency",
                    f"no rate from {rated.currency} to {self.exchange.reporting_currency} within ten days of {day}",
                )
            fx = DatedRate(_ONE, day)
        same = rated.currency == self.exchange.reporting_currency
        reporting_pico = rated.effective_pico if same else convert_pico(rated.effective_pico, fx.rate)
        if (
            abs(rated.list_pico) > MAX_PICO
            or abs(rated.contracted_pico) > MAX_PICO
            or abs(rated.effective_pico) > MAX_PICO
            or abs(reporting_pico) > MAX_PICO
        ):
            return Problem("ingest.cost_out_of_range", "usage", "no single charge is this large")
        return Priced(
            rated.priced,
            rated.price_id,
            rated.contract_id,
            rated.currency,
            rated.list_pico,
            rated.contracted_pico,
            rated.effective_pico,
            billed,
            self.exchange.reporting_currency,
            reporting_pico,
            rate_text(fx.rate),
            None if same else fx.day,
        )

    def _fx(self, currency: str, day: date) -> DatedRate | None:
        key = (currency, day)
        if key not in self._rates:
            self._rates[key] = self.exchange.rate(currency, day)
        return self._rates[key]


def tags_say_paid(tags: tuple[tuple[str, str], ...]) -> bool:
    return any(key == PAID_BY for key, _ in tags)


def free_of_charge(priced: Priced) -> Priced:
    """What a call comes to that a seat pays for: nothing, with what it would have come to beside it as an equivalent
    (FOCUS: a commitment makes the effective cost 0, and not the list or contracted one). What its source said of its
    cost stays too: when no plan pays for it any more, that is what it costs.
    """
    return replace(priced, effective_pico=0, reporting_pico=0)


def rate_text(rate: Decimal) -> str:
    """An exchange rate in the one form it is written in, so that equal rates are equal text."""
    return "1" if rate == _ONE else format(rate.normalize(), "f")


def _stated(rated: Rated, billed: int, currency: str) -> Rated:
    """What the source says it cost is what it cost; the list price stays beside it where we know one."""
    comparable = rated.priced and rated.currency == currency
    return Rated(
        True,
        rated.price_id if comparable else 0,
        rated.contract_id if comparable else 0,
        currency,
        rated.list_pico if comparable else billed,
        billed,
        billed,
        "",
    )


def origin_of(event: UsageEvent) -> dict[str, Any]:
    """What the source said of the owner and the provider, kept so that history can be attributed anew. '' left out."""
    told = event.dimensions
    dimensions = {
        name: value
        for name, value in (
            ("team", told.team),
            ("person", told.person),
            ("project", told.project),
            ("agent", told.agent),
            ("customer", told.customer),
        )
        if value
    }
    said: dict[str, Any] = {
        "dimensions": dimensions,
        "identities": [list(identity) for identity in event.identities],
        "key": event.key_prefix,
        "provider": event.provider,
        "task_type": event.task_type,
    }
    return {name: value for name, value in said.items() if value}
