"""Charges of an invented large company, made inside the database: the same people and days at every size.

20,000 people in 400 teams over 120 days, heavy-tailed in how much they use, each with a few models of the 50. Calls
come in bursts of four that share everything but the hour and the tokens. Mostly US dollars, some euros at a dated rate,
a few credits, a few unpriced.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import Any, Final

from django.db import connection

from bench import support

FIRST_DAY: Final = date(2026, 7, 1)
DAYS: Final = 120
LAST_DAY: Final = FIRST_DAY + timedelta(days=DAYS - 1)
PEOPLE, TEAMS, PROJECTS, AGENTS, MODELS, KEYS = 20_000, 400, 300, 200, 50, 4_000
BURST: Final = 4
_CHUNK: Final = 250_000


def _uniform(what: str, salt: int) -> str:
    """A number in [0, 1) that depends on `what` alone. It shapes the data; no amount is made of it."""
    return f"((hashint8extended(({what})::bigint, {salt}) & 1048575) / 1048576.0::float8)"


def _pick(what: str, salt: int, count: int) -> str:
    """1 … count, evenly."""
    return f"(1 + floor({count} * {_uniform(what, salt)}))::int"


def _ranked(what: str, salt: int, count: int, head: float) -> str:
    """1 … count, low numbers more often: the share of rank r is about 1 / (r + head)."""
    return f"least({count}, 1 + floor({head} * (power({count + head} / {head}, {_uniform(what, salt)}) - 1)))::int"


# Step by step: the burst's person and day, what follows from the person, then the call's own tokens and money.
_ROWS: Final = f"""
WITH burst AS (
    SELECT n, n / {BURST} AS k, {_ranked(f"n / {BURST}", 1, PEOPLE, 200.0)} AS person,
        floor({DAYS} * {_uniform(f"n / {BURST}", 2)})::int AS day_index
    FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n
), dated AS (
    -- Four of five calls that would fall on a weekend are made in the days before it.
    SELECT *, DATE '{FIRST_DAY}' + CASE
        WHEN extract(isodow FROM DATE '{FIRST_DAY}' + day_index) > 5 AND {_uniform("k", 3)} < 0.8
        THEN greatest(0, day_index - 3) ELSE day_index END AS day
    FROM burst
), owned AS (
    SELECT *, {_pick("person", 10, TEAMS)} AS team, 1 + (k %% 3)::int AS habit,
        {_ranked("person * 8 + least(k %% 6, 5) / 2", 11, MODELS, 4.0)} AS model
    FROM dated
), placed AS (
    SELECT *, {_pick("team * 8 + habit", 12, PROJECTS)} AS project, 1 + model %% 6 AS provider
    FROM owned
), used AS (
    SELECT *, (200 + floor(power({_uniform("n", 20)}, 4) * 60000))::bigint AS input_tokens,
        (CASE WHEN n %% 3 = 0 THEN 2000 + (hashint8(n) & 16383) ELSE 0 END)::bigint AS cached_tokens,
        (20 + floor(power({_uniform("n", 21)}, 3) * 4000))::bigint AS output_tokens,
        CASE WHEN {_uniform("n", 22)} < 0.001 THEN -1 WHEN {_uniform("k", 23)} < 0.005 THEN 0 ELSE 1 END AS sign,
        CASE WHEN team %% 12 = 0 THEN 'EUR' ELSE 'USD' END AS currency,
        (100000 * (1 + (model * 7919) %% 97))::bigint AS rate
    FROM placed
), rated AS (
    SELECT *, sign * (input_tokens * rate + cached_tokens * rate / 10 + output_tokens * rate * 5)
        * 0.000000000001::numeric AS list_cost
    FROM used
), discounted AS (
    SELECT *, round(list_cost * CASE WHEN provider = 1 THEN 0.87 ELSE 1 END, 12) AS cost FROM rated
)
INSERT INTO ledger_charge (id, occurred_at, booked_at, organization_id, source_id, team_id, person_id, project_id,
    agent_id, customer_id, key_id, provider_id, model_id, model_raw_id, service_tier_id, region_id, provider_account_id,
    task_type_id, category_id, evidence_id, state_id, tag1_id, tag2_id, tag3_id, calls, input_uncached, cache_read,
    output_text, list_cost, contracted_cost, effective_cost, reporting_cost, fx_rate, currency, reporting_currency,
    external_id, session)
SELECT uuidv7(), day::timestamp AT TIME ZONE 'UTC' + make_interval(secs => 25200 + (hashint8(n) & 32767)), now(),
    %(organization)s, 1 + team %% 4, team, person, project,
    CASE WHEN {_uniform("k", 30)} < 0.3 THEN {_pick("project * 4 + k %% 3", 31, AGENTS)} ELSE 0 END,
    CASE WHEN project %% 6 = 0 THEN 1 + project / 6 ELSE 0 END,
    {_pick("person * 2 + k %% 2", 32, KEYS)}, provider, model, model,
    CASE WHEN {_uniform("k", 33)} < 0.1 THEN 2 ELSE 1 END, 1 + team %% 5, 1 + provider %% 8,
    {_pick("person * 4 + k %% 4", 34, 12)}, CASE WHEN sign < 0 THEN 2 ELSE 1 END, 1 + (team %% 4) / 3,
    CASE WHEN sign = 0 THEN 3 WHEN {_uniform("k", 35)} < 0.03 THEN 2 ELSE 1 END,
    CASE WHEN {_uniform("k", 36)} < 0.8 THEN 1 ELSE 2 END, 1 + team %% 40, {_pick("project * 4 + k %% 2", 37, 120)},
    1, input_tokens, nullif(cached_tokens, 0), output_tokens, list_cost, cost, cost,
    CASE currency WHEN 'EUR' THEN round(cost * 1.0837, 12) ELSE cost END,
    CASE currency WHEN 'EUR' THEN 1.0837 ELSE 1 END, currency, 'USD', 'call-' || n, 'session-' || person || '-' || day
FROM discounted
"""


def load(organization_id: int, count: int, say: Callable[[str], Any]) -> None:
    """Insert `count` charges straight into the ledger, past the corridor: rollups are not touched."""
    from finops.core.periods import DayRange, months
    from finops.ledger.services import ensure_months

    ensure_months(months(DayRange(FIRST_DAY, LAST_DAY + timedelta(days=1))))
    with ThreadPoolExecutor(2) as pool:
        chunks = [(first, min(first + _CHUNK, count)) for first in range(0, count, _CHUNK)]
        for done, _ in enumerate(pool.map(lambda chunk: _insert(organization_id, *chunk), chunks), start=1):
            say(f"{chunks[done - 1][1]} of {count} charges loaded")
    with connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE) ledger_charge")


def _insert(organization_id: int, first: int, end: int) -> None:
    with support.connect() as own:
        own.execute(_ROWS, {"first": first, "last": end - 1, "organization": organization_id})
