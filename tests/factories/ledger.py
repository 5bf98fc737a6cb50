"""A ledger to tell stories with, and the proof of its sums: an independent recomputation from the charges alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from finops.connectors.types import UsageEvent
from finops.core.tokens import METERS
from finops.ingest.services import take
from finops.ingest.types import Outcome, Received, Status
from finops.ledger.rules import CUBES, HOURLY, HOURLY_DAYS
from finops.ledger.services import reverse_in_transaction
from finops.orgs.models import Organization
from finops.sources.models import Source
from finops.sources.services import add_source
from tests.factories.orgs import HOUSE
from tests.factories.pricing import counts, provider, seed
from tests.factories.small_book import SMALL_BOOK

# When the stories happen: usage of October, booked on the first of November.
AT = datetime(2026, 11, 1, 12, tzinfo=UTC)
THEN = datetime(2026, 10, 14, 9, 30, tzinfo=UTC)


def small_book() -> None:
    """Providers with round prices."""
    seed(
        [*(provider(name, models) for name, models in SMALL_BOOK.items()), provider("azure", {}, fallbacks=["openai"])],
        at=AT - timedelta(days=100),
    )


def event(external_id: str = "call-1", **given: Any) -> UsageEvent:
    """One call of gpt on 14 October: 1,000 tokens in and 100 out, so 0.012 dollars in the small book."""
    usual: dict[str, Any] = {
        "external_id": external_id,
        "occurred_at": THEN,
        "provider": "openai",
        "model": "gpt",
        "counts": counts(input_uncached=1_000, output_text=100, requests=1),
    }
    return UsageEvent(**usual | given)


PRICE = Decimal("0.012")


@dataclass
class Book:
    """An organization's ledger, with a clock that moves on with every act."""

    organization: Organization
    at: datetime = AT
    sources: dict[str, Source] = field(default_factory=dict)

    def now(self) -> datetime:
        self.at += timedelta(seconds=1)
        return self.at

    def source(self, slug: str = "gateway", *, revises: bool = False) -> Source:
        if slug not in self.sources:
            self.sources[slug] = add_source(
                organization_id=self.organization.id, slug=slug, revises=revises, by=HOUSE, at=self.now()
            )
        return self.sources[slug]

    def outcomes(self, *events: UsageEvent, source: str = "gateway", revises: bool = False) -> list[Outcome]:
        return take(
            organization_id=self.organization.id,
            source_id=self.source(source, revises=revises).id,
            parser="capstan",
            received=[Received(one.external_id.encode(), one) for one in events],
            at=self.now(),
        )

    def take(self, *events: UsageEvent, source: str = "gateway", revises: bool = False) -> list[Status]:
        return [outcome.status for outcome in self.outcomes(*events, source=source, revises=revises)]

    def reverse(self, *charges: tuple[UUID, datetime]) -> set[UUID]:
        with transaction.atomic():
            return reverse_in_transaction(organization_id=self.organization.id, charges=charges, at=self.now())

    def standing(self) -> list[tuple[UUID, datetime]]:
        return list(
            rows(
                "SELECT c.id, c.occurred_at FROM ledger_charge c WHERE c.organization_id = %s AND c.reverses IS NULL"
                " AND NOT EXISTS (SELECT FROM ledger_charge r WHERE r.organization_id = c.organization_id"
                " AND r.reverses = c.id) ORDER BY c.occurred_at, c.id",
                self.organization.id,
            )
        )

    def charges(self, columns: str = "external_id, effective_cost, reason") -> list[tuple[Any, ...]]:
        """Every line, reversals too, in the order they were booked."""
        return list(
            rows(
                f"SELECT {columns} FROM ledger_charge WHERE organization_id = %s ORDER BY booked_at, id",
                self.organization.id,
            )
        )

    def total(self) -> Decimal:
        ((total,),) = rows(
            "SELECT coalesce(sum(effective_cost), 0) FROM ledger_charge WHERE organization_id = %s",
            self.organization.id,
        )
        return Decimal(total)

    def disagreements(self) -> list[str]:
        return disagreements(self.organization.id)


def rows(sql: str, *params: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        found: list[tuple[Any, ...]] = cursor.fetchall()
    return found


# --- The proof --------------------------------------------------------------------------------------------------------
# Written apart from the product's SQL on purpose: what follows is the definition of each rollup, over charges alone.

OWNER_NAMES = ("team", "person", "project", "agent", "customer", "key", "source")
WORD_NAMES = (
    *("provider", "model", "service_tier", "region", "host"),
    *("provider_account", "task_type", "category", "evidence", "state"),
)
TAG_NAMES = tuple(f"tag{slot}" for slot in range(1, 11))
ALL_NAMES = OWNER_NAMES + WORD_NAMES + TAG_NAMES
SUMS = (
    *("calls", "input_tokens", "cached_tokens", "output_tokens"),
    *("list_cost", "contracted_cost", "effective_cost", "reporting_cost"),
)
_NOTHING = {meter: f"coalesce({meter}, 0)" for meter in METERS}
TRUTH = f"""
SELECT (occurred_at AT TIME ZONE 'UTC')::date - DATE '1970-01-01' AS day,
    date_trunc('hour', occurred_at, 'UTC') AS hour, occurred_at, session, currency,
    {", ".join(f"{name}_id AS {name}" for name in ALL_NAMES)}, calls,
    {" + ".join(_NOTHING[m] for m in METERS if m.startswith(("input_", "cache_")))} AS input_tokens,
    {_NOTHING["cache_read"]} + {_NOTHING["cache_read_audio"]} AS cached_tokens,
    {" + ".join(_NOTHING[m] for m in METERS if m.startswith("output_"))} AS output_tokens,
    list_cost, contracted_cost, effective_cost, reporting_cost
FROM ledger_charge WHERE organization_id = %(organization)s
"""
# What is not folded yet, in the same shape.
DELTAS = f"""
SELECT (hour AT TIME ZONE 'UTC')::date - DATE '1970-01-01' AS day, hour, currency,
    {", ".join(f"{name}_id AS {name}" for name in ALL_NAMES)}, {", ".join(SUMS)}
FROM ledger_rollup_delta WHERE organization_id = %(organization)s
"""
_SETTLED = (
    "coalesce((SELECT until - DATE '1970-01-01' FROM ledger_settled WHERE organization_id = %(organization)s), 0)"
)


def _differences(keys: Sequence[str], kept: Sequence[str], truth: str, measures: Sequence[str] = SUMS) -> str:
    """Groups in which what is kept (selects of keys and measures) differs from the truth."""
    columns = ", ".join([*keys, *measures])
    minus = ", ".join([*keys, *(f"-{measure}" for measure in measures)])
    both = " UNION ALL ".join([*kept, f"SELECT {minus} FROM ({truth}) AS t"])
    names = ", ".join(keys)
    return (
        f"SELECT {names} FROM (SELECT {columns} FROM ({both}) AS b) AS x GROUP BY {names}"
        f" HAVING {' OR '.join(f'sum({measure}) <> 0' for measure in measures)} ORDER BY {names} LIMIT 3"
    )


def _levels(source: str, a: str, b: str) -> str:
    """A source's rows once per block they belong to: their day, and every larger block that is settled."""
    return (
        f"SELECT level, day >> (2 * level) AS block, {a} AS a, {b} AS b, currency, {', '.join(SUMS)}"
        f" FROM ({source}) AS s CROSS JOIN generate_series(0, 4) AS level"
        f" WHERE level = 0 OR ((day >> (2 * level)) + 1) << (2 * level) <= {_SETTLED}"
    )


def _checks() -> Iterator[tuple[str, str]]:
    sums = ", ".join(SUMS)
    block = ("level", "block", "a", "b", "currency")
    for number, dimensions in CUBES.items():
        a, b = (*dimensions, "0", "0")[:2]
        kept = f"SELECT {', '.join(block)}, {sums} FROM ledger_cube_{number} WHERE organization_id = %(organization)s"
        title = f"the cube of {' and '.join(dimensions) or 'totals'}"
        yield title, _differences(block, [kept, _levels(DELTAS, a, b)], _levels(TRUTH, a, b))
    wide = ("day", *ALL_NAMES, "currency")
    daily = (
        f"SELECT day - DATE '1970-01-01' AS day, {', '.join(f'{name}_id AS {name}' for name in ALL_NAMES)},"
        f" currency, {', '.join(SUMS[:4])}, {_daily_costs()} FROM ledger_daily"
        " WHERE organization_id = %(organization)s"
    )
    yield (
        "the wide daily cube",
        _differences(
            wide,
            [
                daily,
                f"SELECT {', '.join(wide)}, {sums} FROM ({DELTAS}) AS d",
            ],
            TRUTH,
        ),
    )
    money = ("calls", "effective_cost", "reporting_cost")
    hourly = ("hour", *HOURLY, "currency")
    recent = f"day >= (SELECT max(day) FROM ({TRUTH}) AS newest) - {HOURLY_DAYS}"
    kept = (
        f"SELECT hour, {', '.join(f'{name}_id AS {name}' for name in HOURLY)}, currency, {', '.join(money)}"
        " FROM (SELECT *, (hour AT TIME ZONE 'UTC')::date - DATE '1970-01-01' AS day FROM ledger_hourly"
        f" WHERE organization_id = %(organization)s) AS h WHERE {recent}"
    )
    shape = f"SELECT {', '.join((*hourly, *money))} FROM"
    unfolded = f"{shape} ({DELTAS}) AS d WHERE {recent}"
    yield "spend by hour", _differences(hourly, [kept, unfolded], f"{shape} ({TRUTH}) AS t WHERE {recent}", money)
    whose = ("session", "currency", "person_id", "agent_id", "project_id")
    sessions = " UNION ALL ".join(
        f"SELECT {', '.join(whose)}, first_at, last_at, {sums} FROM {table} WHERE organization_id = %(organization)s"
        for table in ("ledger_session", "ledger_session_delta")
    )
    said = (
        f"SELECT {', '.join(whose)}, min(first_at) AS began, max(last_at) AS ended, {_total()} FROM ({sessions}) AS s"
    )
    true = (
        "SELECT session, currency, person AS person_id, agent AS agent_id, project AS project_id, min(occurred_at),"
        f" max(occurred_at), {_total()} FROM ({TRUTH}) AS t WHERE session <> ''"
    )
    said, true = (
        f"({said} GROUP BY {', '.join(whose)})",
        f"({true} GROUP BY session, currency, person, agent, project)",
    )
    yield "sessions", f"({said} EXCEPT {true}) UNION ALL ({true} EXCEPT {said}) LIMIT 3"


def _daily_costs() -> str:
    """The wide cube keeps a cost as what it has beyond the effective one, and nothing where they are the same."""
    beyond = {
        "list": "list_extra",
        "contracted": "contracted_extra",
        "effective": "NULL",
        "reporting": "reporting_extra",
    }
    return ", ".join(f"effective_cost + coalesce({column}, 0) AS {name}_cost" for name, column in beyond.items())


def _total() -> str:
    return ", ".join(f"sum({measure}) AS {measure}" for measure in SUMS)


# Rules of the key table that must hold whatever happened.
_STANDS = (
    "c.organization_id = %(organization)s AND c.reverses IS NULL AND NOT EXISTS (SELECT FROM ledger_charge r"
    " WHERE r.organization_id = c.organization_id AND r.reverses = c.id)"
)
KEY_CHECKS = {
    "a standing charge whose key leads elsewhere": (
        f"SELECT c.id, c.external_id FROM ledger_charge c WHERE {_STANDS} AND NOT EXISTS (SELECT FROM ledger_charge_key"
        " k WHERE k.organization_id = c.organization_id AND k.external_id = c.external_id AND k.charge_id = c.id"
        " AND k.occurred_at = c.occurred_at AND k.source_id ="
        " CASE WHEN c.external_id LIKE 'alloc:%%' THEN 0 ELSE c.source_id END)"
    ),
    "one id of a source charged twice": (
        f"SELECT c.source_id, c.external_id FROM ledger_charge c WHERE {_STANDS}"
        " GROUP BY c.source_id, c.external_id HAVING count(*) > 1"
    ),
    "one request of a provider charged twice": (
        f"SELECT c.provider_id, c.provider_request_id FROM ledger_charge c WHERE {_STANDS}"
        " AND c.provider_request_id <> '' GROUP BY c.provider_id, c.provider_request_id HAVING count(*) > 1"
    ),
    "a key that leads to no charge": (
        "SELECT k.source_id, k.external_id FROM ledger_charge_key k WHERE k.organization_id = %(organization)s"
        " AND NOT EXISTS (SELECT FROM ledger_charge c WHERE c.id = k.charge_id AND c.occurred_at = k.occurred_at"
        " AND c.organization_id = k.organization_id)"
        # A sighting's key keeps the time its own source told.
        " AND NOT (k.revision = -1 AND EXISTS (SELECT FROM ledger_charge c WHERE c.id = k.charge_id))"
    ),
    "a standing charge whose request key leads elsewhere": (
        f"SELECT c.id, c.provider_request_id FROM ledger_charge c WHERE {_STANDS} AND c.provider_request_id <> ''"
        " AND NOT EXISTS (SELECT FROM ledger_charge_key k WHERE k.organization_id = c.organization_id"
        " AND k.source_id = 0 AND k.charge_id = c.id AND k.external_id = 'req:' || coalesce((SELECT value"
        " FROM ledger_term WHERE id = c.provider_id), '') || ':' || c.provider_request_id)"
    ),
    "a charge reversed twice": (
        "SELECT reverses FROM ledger_charge WHERE organization_id = %(organization)s AND reverses IS NOT NULL"
        " GROUP BY reverses HAVING count(*) > 1"
    ),
    "a reversal that does not cancel its original": (
        "SELECT r.id FROM ledger_charge r LEFT JOIN ledger_charge c ON c.id = r.reverses AND c.occurred_at ="
        " r.occurred_at WHERE r.organization_id = %(organization)s AND r.reverses IS NOT NULL AND (c.id IS NULL"
        " OR c.effective_cost + r.effective_cost <> 0 OR c.reporting_cost + r.reporting_cost <> 0"
        " OR c.calls + r.calls <> 0 OR c.state_id <> r.state_id OR c.person_id <> r.person_id)"
    ),
    "a sighting of no charge": (
        "SELECT s.external_id FROM ledger_sighting s WHERE s.organization_id = %(organization)s"
        " AND NOT EXISTS (SELECT FROM ledger_charge c WHERE c.id = s.charge_id)"
    ),
}


# From here on the planner needs to know how many there are, or it compares each with each.
_MANY = 2_000


def disagreements(organization_id: int) -> list[str]:
    """Where the rollups, deltas included, are not the sum of the charges, or the keys do not lead to them."""
    found = []
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM ledger_charge WHERE organization_id = %s", [organization_id])
        if (cursor.fetchone() or (0,))[0] > _MANY:
            cursor.execute("ANALYZE")
        for title, sql in [*_checks(), *KEY_CHECKS.items()]:
            cursor.execute(sql, {"organization": organization_id})
            wrong = cursor.fetchall()
            if wrong:
                found.append(f"{title}: {wrong[:3]}")
    return found
