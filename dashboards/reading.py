"""Asks the ledger on behalf of the pages: one place that knows its selectors, names ids, and adds rows of an answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from dashboards.scope import Scope
from finops.core.errors import NotFound
from finops.ledger import selectors as ledger
from finops.ledger.rules.questions import Dimensions
from finops.ledger.types import SpendQuestion, SpendRow
from finops.orgs import selectors as orgs
from finops.orgs.rules import Caller


@dataclass(frozen=True, slots=True)
class Line:
    """One group of an answer, over all its currencies. `cost` is in the reporting currency and adds up; `billed` is
    per billing currency and never does."""

    values: tuple[int, ...] = ()
    bucket: date | None = None
    calls: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost: Decimal = Decimal(0)
    listed: Mapping[str, Decimal] = field(default_factory=dict)
    billed: Mapping[str, Decimal] = field(default_factory=dict)

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    @property
    def cost_per_call(self) -> Decimal | None:
        return self.cost / self.calls if self.calls else None


class Reader:
    """Asks on behalf of one request: what was looked up for one question is known for the next."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._settled: date | None = None
        self._names: dict[str, dict[int, str]] = {}

    def ask(self, question: SpendQuestion) -> list[SpendRow]:
        """The ledger's rows."""
        if self._settled is None:
            self._settled = ledger.settled_until(question.organization_id)
        return list(ledger.spend(question, settled=self._settled))

    def names(self, scope: Scope, dimension: str, ids: Iterable[int]) -> dict[int, str]:
        """A name for every id, as `names`; those asked for before are not asked for again."""
        wanted = frozenset(ids)
        known = self._names.setdefault(dimension, {})
        if missing := wanted - known.keys():
            known.update(names(scope, self._caller, dimension, missing))
        return {one: known[one] for one in wanted}


def dimensions(caller: Caller) -> Dimensions:
    """Every name that may stand in an address of this organization."""
    return ledger.dimensions(caller.organization_id)


def lines(rows: Iterable[SpendRow]) -> list[Line]:
    """Rows of one group in several currencies become one line. The largest cost first, then by id: a total order."""
    groups: dict[tuple[tuple[int, ...], date | None], list[SpendRow]] = {}
    for row in rows:
        groups.setdefault((row.values, row.bucket), []).append(row)
    found = [_line(values, bucket, members) for (values, bucket), members in groups.items()]
    return sorted(found, key=lambda line: (-line.cost, -line.calls, line.values, line.bucket or date.min))


def total(rows: Iterable[SpendRow]) -> Line:
    return _line((), None, list(rows))


def _line(values: tuple[int, ...], bucket: date | None, rows: Sequence[SpendRow]) -> Line:
    listed: dict[str, Decimal] = {}
    billed: dict[str, Decimal] = {}
    for row in rows:
        listed[row.currency] = listed.get(row.currency, Decimal(0)) + row.list_cost
        billed[row.currency] = billed.get(row.currency, Decimal(0)) + row.effective_cost
    return Line(
        values=values,
        bucket=bucket,
        calls=sum(row.calls for row in rows),
        input_tokens=sum(row.input_tokens for row in rows),
        cached_tokens=sum(row.cached_tokens for row in rows),
        output_tokens=sum(row.output_tokens for row in rows),
        cost=sum((row.reporting_cost for row in rows), Decimal(0)),
        listed=listed,
        billed=billed,
    )


def names(scope: Scope, caller: Caller, dimension: str, ids: Iterable[int]) -> dict[int, str]:
    """A name for every id: the ledger's, "No team" for 0, the bare id for one that has lost its row."""
    wanted = frozenset(ids)
    known: dict[int, str] = {}
    if wanted - {0}:
        known = ledger.labels(caller.organization_id, scope.dimensions.column(dimension), wanted - {0})
    nobody = f"No {scope.dimensions.label(dimension).lower()}"
    return {one: (known.get(one) or f"#{one}") if one else nobody for one in wanted}


def owner_names(organization_id: int, kind: str, ids: Iterable[int]) -> dict[int, str]:
    """Names of owners by id, archived ones too."""
    return orgs.owner_names(organization_id, kind, frozenset(ids))


def slug_of(organization_id: int, kind: str, owner_id: int) -> str:
    """An owner's short name, as forms take it; '' for one that is gone."""
    try:
        return str(orgs.owner(organization_id, kind, owner_id).slug)
    except NotFound:
        return ""
