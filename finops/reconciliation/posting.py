"""Writes the lines of a reconciled day as charges, each under a key of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from datetime import date
from typing import Final

from django.db import connection

from finops.core.money import convert_pico
from finops.core.periods import day_start
from finops.core.tokens import METERS
from finops.ingest.services.corridor import Corridor, rate_text
from finops.ledger.types import Ownership, Posting, Priced, Shape, Tagging
from finops.reconciliation.counting import Counting
from finops.reconciliation.kinds import counts_of
from finops.reconciliation.types import Group, Kind, Line, Owner

REASON: Final = "trueup"
_NO_TAGS: Final = Tagging(tags=(), slots={})
_WHY: Final = {
    Kind.CORRECTION: "the tokens of these calls at the rate that was billed, less what they stood at",
    Kind.UNSEEN: "billed, and nobody saw the calls",
}
_KEYS: Final = """
SELECT source_id, external_id FROM ledger_charge_key WHERE organization_id = %s AND source_id = ANY(%s)
    AND external_id >= %s AND external_id < %s ORDER BY source_id, external_id
"""


class Writer:
    """Of one provider's day."""

    def __init__(self, counting: Counting, day: date, currency: str, corridor: Corridor) -> None:
        self.postings: list[Posting] = []
        self._counting, self._day, self._currency = counting, day, currency
        self._rules = {rule.source_id: rule.id for rule in counting.rules}
        self._prefix = f"trueup:{day.isoformat()}:{_short(counting.provider)}:"
        self._reporting = corridor.exchange.reporting_currency
        # There is one: statements without a rate are in quarantine.
        self._rate = None if currency == self._reporting else corridor.exchange.rate(currency, day)
        self._shapes: dict[tuple[int, Group, str], Shape] = {}

    def write(self, line: Line, source_id: int) -> None:
        """As a charge of the source whose bill it is on."""
        category = "Adjustment" if line.kind is Kind.CORRECTION else "Usage" if line.pico >= 0 else "Credit"
        key = f"{self._prefix}{_short(*line.group)}:{line.kind}:{'.'.join(map(str, line.owner))}"
        says = f"{line.pico} {self._currency} {sorted(line.counts.items())} {line.group}"
        trace = [["day", self._day.isoformat(), "reconciliation", self._rules[source_id], _WHY[line.kind]]]
        shape = self._shape(source_id, line.group, category)
        self._add(key, says, shape, line.owner, trace, counts_of(line.counts), line.pico)

    def undo_missing(self, sources: Collection[int]) -> None:
        """A line of an earlier time that this one does not have becomes a line of nothing, whichever of `sources` it is
        of: the bill may have been another's then.
        """
        have = {(posting.key_source_id, posting.key) for posting in self.postings}
        nothing = (0,) * len(METERS)
        with connection.cursor() as cursor:
            # `;` comes after `:`.
            begins = self._prefix
            cursor.execute(_KEYS, [self._counting.organization_id, list(sources), begins, begins[:-1] + ";"])
            for source_id, key in cursor.fetchall():
                if (source_id, key) not in have:
                    owner = tuple(map(int, key.rpartition(":")[2].split(".")))
                    shape = self._shape(source_id, Group("", ""), "Adjustment")
                    self._add(key, "nothing", shape, owner, [], nothing, 0)

    def _add(
        self,
        key: str,
        says: str,
        shape: Shape,
        owner: Owner,
        trace: list[list[object]],
        counts: tuple[int, ...],
        pico: int,
    ) -> None:
        self.postings.append(
            Posting(
                key_source_id=shape.source_id,
                key=key,
                request_key="",
                content_hash=hashlib.blake2b(says.encode(), digest_size=16).digest(),
                external_id=key,
                occurred_at=day_start(self._day),
                session="",
                provider_request_id="",
                calls=0,
                counts=counts,
                shape=shape,
                ownership=Ownership(ids=owner, task_type="", attributed=any(owner[:3]), origin={}, trace=trace),
                tagging=_NO_TAGS,
                priced=self._priced(pico),
                reason=REASON,
            )
        )

    def _shape(self, source_id: int, group: Group, category: str) -> Shape:
        found = self._shapes.get((source_id, group, category))
        if found is None:
            found = self._shapes[source_id, group, category] = Shape(
                source_id=source_id,
                provider=self._counting.provider,
                model=group.model,
                model_raw=group.model,
                service_tier="",
                region="",
                host="",
                provider_account=group.account,
                category=category,
                evidence="billed",
            )
        return found

    def _priced(self, pico: int) -> Priced:
        reporting = pico if self._rate is None else convert_pico(pico, self._rate.rate)
        rate, on = ("1", None) if self._rate is None else (rate_text(self._rate.rate), self._rate.day)
        return Priced(True, 0, 0, self._currency, pico, pico, pico, pico, self._reporting, reporting, rate, on)


def _short(*words: str) -> str:
    return hashlib.blake2b("\0".join(words).encode(), digest_size=8).hexdigest()
