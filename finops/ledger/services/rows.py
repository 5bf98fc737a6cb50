"""Renders charges, keys and deltas as the text PostgreSQL's COPY reads.

Most of a row repeats: few kinds of call, few owners, few prices. Each repeating part is rendered once per distinct
value and joined per charge, which is what makes posting fast; see docs/benchmarks.md, `bench ingest`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from operator import add, itemgetter
from typing import Final, TypeVar

import msgspec

from finops.core.money import pico_text
from finops.core.tokens import INPUT_SLICE, METER_INDEX, METERS, OUTPUT_SLICE
from finops.ledger.columns import MEASURES
from finops.ledger.services import terms
from finops.ledger.types import ATTRIBUTED, UNATTRIBUTED, UNPRICED, Ownership, Posting, Priced, Shape, Tagging, Written

_SHAPE_WORDS: Final = (
    "provider",
    "model",
    "model_raw",
    "service_tier",
    "region",
    "host",
    "provider_account",
    "category",
    "evidence",
)
# What a rollup keeps of a shape: everything but the raw name.
_ROLLED_WORDS: Final = tuple(word for word in _SHAPE_WORDS if word != "model_raw")
_TAG_SLOTS: Final = range(1, 11)
OWNER_COLUMNS: Final = ("team_id", "person_id", "project_id", "agent_id", "customer_id", "key_id")
_TAG_COLUMNS: Final = tuple(f"tag{slot}_id" for slot in _TAG_SLOTS)

CHARGE_COLUMNS: Final = (
    *("id", "occurred_at", "external_id", "session", "provider_request_id", "calls"),
    *METERS,
    *("list_cost", "contracted_cost", "effective_cost", "billed_cost", "reporting_cost"),
    *("source_id", *(f"{word}_id" for word in _SHAPE_WORDS)),
    *(*OWNER_COLUMNS, "task_type_id", "origin_id", "trace_id"),
    *("tags", *_TAG_COLUMNS),
    *("state_id", "price_id", "contract_id", "currency", "fx_rate", "fx_date", "reporting_currency"),
    *("booked_at", "organization_id", "reason", "revision"),
)
ROLLED_DIMENSIONS: Final = (
    *("source_id", *(f"{word}_id" for word in _ROLLED_WORDS)),
    *(*OWNER_COLUMNS, "task_type_id"),
    *_TAG_COLUMNS,
    "state_id",
)
DELTA_COLUMNS: Final = ("organization_id", "hour", *ROLLED_DIMENSIONS, "currency", *MEASURES)
SESSION_COLUMNS: Final = (
    *("organization_id", "session", "currency", "person_id", "agent_id", "project_id", "first_at", "last_at"),
    *MEASURES,
)
KEY_COLUMNS: Final = (
    *("organization_id", "source_id", "external_id"),
    *("content_hash", "charge_id", "occurred_at"),
)
CLAIM_COLUMNS: Final = ("n", "source_id", "external_id", "content_hash", "charge_id", "occurred_at")

_SPECIAL = re.compile(r"[\\\t\n\r]")
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
# The counts of a group of meters, picked out in C: this is asked of every charge.
_input: Final = itemgetter(*INPUT_SLICE)
_cached: Final = itemgetter(METER_INDEX["cache_read"], METER_INDEX["cache_read_audio"])
_output: Final = itemgetter(*OUTPUT_SLICE)
_encoder = msgspec.json.Encoder()

P = TypeVar("P", Shape, Ownership, Tagging)
# What charges add up to, in the order of MEASURES; costs in picodollars.
Sums = tuple[int, ...]
_Group = tuple[str, Shape, Ownership, Tagging, str, str]
# A session's name, currency, person, project and agent.
_Session = tuple[str, str, int, int, int]


def escape(text: str) -> str:
    """Text as COPY's text format wants it. NUL cannot be stored and is refused at the doors."""
    return text.translate(_ESCAPES) if _SPECIAL.search(text) else text


def _escape_of(postings: Iterable[Posting]) -> Callable[[str], str]:
    """`escape`, or nothing to do: one look at all the names of a batch is quicker than five at each charge's."""
    texts = [
        f"{one.key} {one.external_id} {one.session} {one.request_key} {one.provider_request_id}" for one in postings
    ]
    return escape if _SPECIAL.search(" ".join(texts)) else str


def times_of(postings: Iterable[Posting]) -> list[str]:
    """When each was, as text; what the functions below take as `times`. Made once, because it is slow to make."""
    return [posting.occurred_at.isoformat() for posting in postings]


class Segments:
    """The repeating parts of a batch's rows. Each is rendered when it is first met, and keeps how it is written."""

    def __init__(self, organization_id: int, postings: Sequence[Posting]) -> None:
        """Interns what the postings need. Runs its own transactions: call it before opening the batch's."""
        self.organization_id = organization_id
        shapes = self._new(posting.shape for posting in postings)
        owners = self._new(posting.ownership for posting in postings)
        taggings = self._new(posting.tagging for posting in postings)
        self._words = terms.word_ids(organization_id, _words_of(shapes, owners, taggings))
        self._origins = terms.intern_bodies(organization_id, "origin", (owner.origin for owner in owners))
        self._traces = terms.intern_bodies(organization_id, "trace", (owner.trace for owner in owners))
        for shape in shapes:
            shape.written = self._shape(shape)
        for owner in owners:
            owner.written = self._owner(owner)
        for tagging in taggings:
            tagging.written = self._tagging(tagging)
        self._prices: dict[tuple[object, ...], str] = {}

    def _new(self, parts: Iterable[P]) -> set[P]:
        return {part for part in set(parts) if part.written.organization_id != self.organization_id}

    def _shape(self, shape: Shape) -> Written:
        ids = {word: str(self._words[word, getattr(shape, word)]) for word in _SHAPE_WORDS}
        whole = "\t".join([str(shape.source_id), *ids.values()])
        rolled = "\t".join([str(shape.source_id), *(ids[word] for word in _ROLLED_WORDS)])
        return Written(self.organization_id, whole, rolled)

    def _owner(self, owner: Ownership) -> Written:
        rolled = "\t".join([*map(str, owner.ids), str(self._words["task_type", owner.task_type])])
        origin = self._origins[terms.digest(owner.origin)]
        trace = self._traces[terms.digest(owner.trace)]
        return Written(self.organization_id, f"{rolled}\t{origin}\t{trace}", rolled)

    def _tagging(self, tagging: Tagging) -> Written:
        rolled = "\t".join(str(self._words[f"tag{slot}", tagging.slots.get(slot, "")]) for slot in _TAG_SLOTS)
        tags = escape(_encoder.encode(dict(tagging.tags)).decode()) if tagging.tags else "\\N"
        return Written(self.organization_id, f"{tags}\t{rolled}", rolled)

    def _price(self, priced: Priced, state: str) -> str:
        key = (
            state,
            priced.price_id,
            priced.contract_id,
            priced.currency,
            priced.fx_rate,
            priced.fx_date,
            priced.reporting_currency,
        )
        found = self._prices.get(key)
        if found is None:
            fx_date = priced.fx_date.isoformat() if priced.fx_date else "\\N"
            found = self._prices[key] = (
                f"{self._words['state', state]}\t{priced.price_id}\t{priced.contract_id}\t{priced.currency}"
                f"\t{priced.fx_rate}\t{fx_date}\t{priced.reporting_currency}"
            )
        return found

    def charges(
        self, ids: Sequence[str], postings: Sequence[Posting], times: Sequence[str], booked_at: datetime
    ) -> bytes:
        """Rows for COPY ledger_charge (CHARGE_COLUMNS)."""
        tail = f"{booked_at.isoformat()}\t{self.organization_id}"
        safe = _escape_of(postings)
        lines = []
        for charge_id, posting, time in zip(ids, postings, times, strict=True):
            counts = "\t".join([str(count) if count else "\\N" for count in posting.counts])
            lines.append(
                f"{charge_id}\t{time}\t{safe(posting.external_id)}\t{safe(posting.session)}"
                f"\t{safe(posting.provider_request_id)}\t{posting.calls}\t{counts}\t{_costs(posting.priced)}"
                f"\t{posting.shape.written.whole}\t{posting.ownership.written.whole}"
                f"\t{posting.tagging.written.whole}\t{self._price(posting.priced, state_of(posting))}"
                f"\t{tail}\t{posting.reason}\t{posting.revision}\n"
            )
        return "".join(lines).encode()

    def deltas(self, postings: Sequence[Posting], times: Sequence[str]) -> tuple[bytes, bytes]:
        """Rows for COPY ledger_rollup_delta (DELTA_COLUMNS) and ledger_session_delta (SESSION_COLUMNS)."""
        rollups: dict[_Group, Sums] = {}
        sessions: dict[_Session, tuple[str, str, Sums]] = {}
        for posting, time in zip(postings, times, strict=True):
            owner, currency, sums = posting.ownership, posting.priced.currency, _sums(posting)
            group = (time[:13], posting.shape, owner, posting.tagging, state_of(posting), currency)
            known = rollups.get(group)
            rollups[group] = sums if known is None else tuple(map(add, known, sums))
            if posting.session:
                _, person, project, agent, *_ = owner.ids
                whose = (posting.session, currency, person, project, agent)
                had = sessions.get(whose)
                if had is None:
                    sessions[whose] = (time, time, sums)
                else:
                    first, last, so_far = had
                    sessions[whose] = (min(first, time), max(last, time), tuple(map(add, so_far, sums)))
        return self._rollup_lines(rollups), self._session_lines(sessions)

    def _rollup_lines(self, rollups: dict[_Group, Sums]) -> bytes:
        lines = []
        for (hour, shape, owner, tagging, state, currency), sums in rollups.items():
            lines.append(
                f"{self.organization_id}\t{hour}:00:00+00:00\t{shape.written.rolled}\t{owner.written.rolled}"
                f"\t{tagging.written.rolled}\t{self._words['state', state]}\t{currency}\t{_measures(sums)}\n"
            )
        return "".join(lines).encode()

    def _session_lines(self, sessions: dict[_Session, tuple[str, str, Sums]]) -> bytes:
        lines = []
        for (session, currency, person, project, agent), (first, last, sums) in sessions.items():
            lines.append(
                f"{self.organization_id}\t{escape(session)}\t{currency}\t{person}\t{agent}\t{project}"
                f"\t{first}\t{last}\t{_measures(sums)}\n"
            )
        return "".join(lines).encode()


def state_of(posting: Posting) -> str:
    if not posting.priced.priced:
        return UNPRICED
    return ATTRIBUTED if posting.ownership.attributed else UNATTRIBUTED


def claims(ids: Sequence[str], postings: Sequence[Posting], times: Sequence[str]) -> tuple[bytes, int]:
    """Rows for COPY of the claim table (CLAIM_COLUMNS), and how many there are: a key each, and a request key."""
    safe = _escape_of(postings)
    lines = []
    for n, (charge_id, posting, time) in enumerate(zip(ids, postings, times, strict=True)):
        tail = f"{charge_id}\t{time}\n"
        lines.append(f"{n}\t{posting.key_source_id}\t{safe(posting.key)}\t\\\\x{posting.content_hash.hex()}\t{tail}")
        if posting.request_key:
            lines.append(f"{n}\t0\t{safe(posting.request_key)}\t\\\\x\t{tail}")
    return "".join(lines).encode(), len(lines)


def keys(organization_id: int, ids: Sequence[str], postings: Sequence[Posting], times: Sequence[str]) -> bytes:
    """Rows for COPY ledger_charge_key (KEY_COLUMNS), in the order everybody claims in: so nobody deadlocks."""
    safe = _escape_of(postings)
    # By the key as it is, not as it is escaped: in the order of the index.
    found: list[tuple[int, str, str]] = []
    for charge_id, posting, time in zip(ids, postings, times, strict=True):
        tail = f"{charge_id}\t{time}\n"
        own, said = f"{organization_id}\t{posting.key_source_id}\t{safe(posting.key)}", posting.content_hash.hex()
        found.append((posting.key_source_id, posting.key, f"{own}\t\\\\x{said}\t{tail}"))
        if posting.request_key:
            line = f"{organization_id}\t0\t{safe(posting.request_key)}\t\\\\x\t{tail}"
            found.append((0, posting.request_key, line))
    found.sort()
    return "".join([line for _, _, line in found]).encode()


def _costs(priced: Priced) -> str:
    """The five costs, tab-separated. Mostly they are one number, and then it is written once."""
    listed, billed = priced.list_pico, priced.billed_pico
    text = pico_text(listed)
    contracted = text if priced.contracted_pico == listed else pico_text(priced.contracted_pico)
    effective = text if priced.effective_pico == listed else pico_text(priced.effective_pico)
    reporting = text if priced.reporting_pico == listed else pico_text(priced.reporting_pico)
    stated = "\\N" if billed is None else pico_text(billed)
    return f"{text}\t{contracted}\t{effective}\t{stated}\t{reporting}"


def _sums(posting: Posting) -> Sums:
    counts, priced = posting.counts, posting.priced
    return (
        posting.calls,
        sum(_input(counts)),
        sum(_cached(counts)),
        sum(_output(counts)),
        priced.list_pico,
        priced.contracted_pico,
        priced.effective_pico,
        priced.reporting_pico,
    )


def _measures(sums: Sums) -> str:
    counted = "\t".join(map(str, sums[:4]))
    return counted + "\t" + "\t".join(map(pico_text, sums[4:]))


def _words_of(
    shapes: Iterable[Shape], owners: Iterable[Ownership], taggings: Iterable[Tagging]
) -> list[tuple[str, str]]:
    found = [("state", state) for state in (ATTRIBUTED, UNATTRIBUTED, UNPRICED)]
    found += [(word, getattr(shape, word)) for shape in shapes for word in _SHAPE_WORDS]
    found += [("task_type", owner.task_type) for owner in owners]
    for tagging in taggings:
        found += [(f"tag{slot}", tagging.slots.get(slot, "")) for slot in _TAG_SLOTS]
    return found
