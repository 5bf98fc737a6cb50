"""Real production traces, imported as two services, against DuckDB reading the same files and genai-prices' own prices.

The files are not part of the project: they are looked for beside the checkout, or in CAPSTAN_TRACES.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any, Final, NamedTuple

import duckdb
import pytest
from django.core.management import call_command
from django.db import connection
from genai_prices import Usage, calc_price

from finops.orgs import services
from finops.pricing.services import seed_price_book
from tests.factories.orgs import HOUSE, NOON, Cast, the_cast

CHECKOUT: Final = Path(__file__).resolve().parents[2]
TRACES: Final = Path(os.environ.get("CAPSTAN_TRACES") or CHECKOUT.parent / "shared" / "data" / "azure-llm-traces-2023")
pytestmark = pytest.mark.skipif(
    not TRACES.is_dir(), reason="the Azure LLM traces are not here; set CAPSTAN_TRACES to the folder that has them"
)
MAP: Final = "occurred_at=TIMESTAMP,usage.input_uncached=ContextTokens,usage.output_text=GeneratedTokens"
SERVICES: Final = {"code": ("openai", "gpt-4o"), "conv": ("anthropic", "claude-3-5-haiku-latest")}


class Totals(NamedTuple):
    calls: int
    input_tokens: int
    output_tokens: int
    cost: Decimal


def file_of(service: str) -> Path:
    return TRACES / f"AzureLLMInferenceTrace_{service}.csv"


def per_million(provider: str, model: str, usage: Usage) -> Decimal:
    """The price of a million of one kind of token on the day of the traces, by genai-prices itself."""
    day = datetime(2023, 11, 16, tzinfo=UTC)
    return calc_price(usage, model_ref=model, provider_id=provider, genai_request_timestamp=day).total_price


def computed(service: str) -> Totals:
    """Count, tokens and cost by DuckDB; exact, in whole numbers of millionths."""
    provider, model = SERVICES[service]
    price_in = per_million(provider, model, Usage(input_tokens=1_000_000, output_tokens=0))
    price_out = per_million(provider, model, Usage(input_tokens=0, output_tokens=1_000_000))
    found = duckdb.execute(
        "SELECT count(*), sum(ContextTokens)::HUGEINT, sum(GeneratedTokens)::HUGEINT"
        f" FROM read_csv('{file_of(service)}', header=true)"
    ).fetchall()
    calls, tokens_in, tokens_out = (int(value) for value in found[0])
    cost = (Decimal(tokens_in) * price_in + Decimal(tokens_out) * price_out) / 1_000_000
    return Totals(calls, tokens_in, tokens_out, cost)


def booked(cast: Cast, project_id: int) -> Totals:
    """The same from the charges."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), sum(input_uncached), sum(output_text), sum(effective_cost) FROM ledger_charge"
            " WHERE organization_id = %s AND project_id = %s",
            [cast.acme.id, project_id],
        )
        row: Any = cursor.fetchone()
    return Totals(int(row[0]), int(row[1]), int(row[2]), row[3])


def import_trace(service: str) -> str:
    provider, model = SERVICES[service]
    said = StringIO()
    call_command(
        "import_usage", str(file_of(service)), organization="acme", source="azure-traces", map=MAP,
        set=[f"provider={provider}", f"model={model}", f"project={service}"], stdout=said,
    )  # fmt: skip
    return said.getvalue()


@pytest.mark.django_db(transaction=True)
def test_both_traces_tie_to_an_independent_computation_and_a_second_run_adds_nothing() -> None:
    cast = the_cast()
    seed_price_book(by=HOUSE, at=NOON)
    projects = {
        service: services.add_project(organization_id=cast.acme.id, name=service, slug=service, by=HOUSE, at=NOON)
        for service in SERVICES
    }
    first = {service: import_trace(service) for service in SERVICES}
    for service, project in projects.items():
        expected = computed(service)
        assert expected.calls > 8000
        assert expected.cost > 1
        assert booked(cast, project.id) == expected
        assert first[service].strip().endswith(f"{expected.calls:,} rows: {expected.calls:,} charged.")
    for service, project in projects.items():
        expected = computed(service)
        assert import_trace(service).strip().endswith(f"{expected.calls:,} rows: {expected.calls:,} duplicate.")
        assert booked(cast, project.id) == expected
