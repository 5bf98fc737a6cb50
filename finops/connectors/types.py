"""What every connector emits: one call as received, normalised. No tables, no prices, no owners yet."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Final, NamedTuple

import msgspec
from msgspec.structs import replace

from finops.core.tokens import METERS

# A count per meter, in the order of `core.tokens.METERS`.
Counts = tuple[int, ...]
NO_COUNTS: Final[Counts] = (0,) * len(METERS)
# Stands where the time of an undated event will. No time that may be booked, so one nobody dated is held, not charged.
NO_TIME: Final = datetime.min.replace(tzinfo=UTC)


class GivenCost(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A cost the source itself states. `pico` is integer picodollars of `currency` (ISO 4217, upper case)."""

    pico: int
    currency: str


class Dimensions(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Owners a source names outright, by our slugs or ids as text; '' is "not said"."""

    team: str = ""
    person: str = ""
    project: str = ""
    agent: str = ""
    customer: str = ""


class UsageEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False, array_like=True):
    """One call as a source tells it. Meters are disjoint; `occurred_at` is UTC; text is free of NUL.

    A msgspec Struct rather than a dataclass: hundreds of thousands are made, hashed and thrown away a minute.
    """

    external_id: str
    occurred_at: datetime
    provider: str
    model: str
    counts: Counts
    # The tier that served the call, never the one asked for: '', 'batch', 'priority', 'flex', …
    service_tier: str = ""
    region: str = ""
    # Where an open model ran ('together', 'vllm.internal'); '' when the provider is the host.
    host: str = ""
    provider_account: str = ""
    provider_request_id: str = ""
    session: str = ""
    task_type: str = ""
    # Usage, Purchase, Credit, Adjustment, Tax (FOCUS ChargeCategory).
    category: str = "Usage"
    # billed, metered, reported, estimated: how sure this figure is money (see docs/architecture.md).
    evidence: str = "metered"
    dimensions: Dimensions = Dimensions()
    # The virtual key's public prefix, when the call came in by one of ours.
    key_prefix: str = ""
    # (kind, value) pairs that may name a person: email, provider_user, key_alias, github.
    identities: tuple[tuple[str, str], ...] = ()
    # Sorted by key, so that the same tags in another order are the same event.
    tags: tuple[tuple[str, str], ...] = ()
    cost: GivenCost | None = None
    # The source says no time. It is then that of receipt (`dated`), which is ours, and no part of what the event says.
    undated: bool = False


class Problem(NamedTuple):
    """Why a record cannot be booked: a stable code, the field as a path inside the record (`usage.output_text`; `$` is
    the record itself), and a sentence. Free of NUL and lone surrogates, whatever the record held.
    """

    code: str
    field: str
    message: str


class Received(NamedTuple):
    """One record as it came: its raw text, and the event it says, or what is wrong with it.

    `external_id` is the record's id where that could be read though the record could not; '' otherwise.
    """

    raw: bytes
    event: UsageEvent | None
    problem: Problem | None = None
    external_id: str = ""
    # What `raw` is when it is written, where nobody needed that yet: raw is kept only of what cannot be booked.
    unwritten: msgspec.Struct | None = None

    def written(self) -> Received:
        """With its raw text."""
        if self.unwritten is None:
            return self
        return self._replace(raw=encode_record(self.unwritten), unwritten=None)


# A record that was cut out of a larger body, as JSON.
encode_record: Final = msgspec.json.Encoder(decimal_format="number").encode


def dated(record: Received, at: datetime) -> Received:
    """A record as it was received at a moment: an event that says no time of its own happened then."""
    if record.event is None or not record.event.undated:
        return record
    return record._replace(event=replace(record.event, occurred_at=at))


_encode: Final = msgspec.msgpack.Encoder().encode
# Says how the rest is written. To write it another way is to make every event that is sent again a conflict, so it is
# done before anybody has charges to keep, or by comparing with the old way too.
_VERSION: Final = b"\x02"
# How many meters there were when this version began.
_METERS: Final = 14


def content_hash(event: UsageEvent) -> bytes:
    """16 bytes that are equal when two sightings of one external id say the same. Ours, stable: BLAKE2b of msgpack.

    The event is hashed as the array of its fields. A meter that was added since counts only where it was used; a field
    that is added must likewise be left out where it says nothing, or every event sent again would seem a new one.
    """
    cost, tail = event.cost, b""
    if len(event.counts) != _METERS:
        event = replace(event, counts=_without_unused(event.counts))
    if event.undated:
        event = replace(event, occurred_at=NO_TIME)
    if cost is not None:
        # As text: 18 million dollars are more picodollars than fit the 64 bits MessagePack has for an integer.
        event, tail = replace(event, cost=None), f"{cost.pico} {cost.currency}".encode()
    return hashlib.blake2b(_VERSION + _encode(event) + tail, digest_size=16).digest()


def _without_unused(counts: Counts) -> Counts:
    used = max((place + 1 for place, count in enumerate(counts) if count), default=0)
    return (*counts, *(0,) * (_METERS - len(counts)))[: max(used, _METERS)]
