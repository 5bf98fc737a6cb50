"""OpenTelemetry's own SDK and exporters, unmodified, at the doors: in protobuf, compressed, everything sent twice."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from finops.orgs.services import add_identity, issue_key
from finops.runtime.places import CHECKOUT
from tests.clients.running import run
from tests.clients.website import website
from tests.environments import installed
from tests.factories.ledger import rows, small_book
from tests.factories.orgs import HOUSE, Cast, the_cast

pytestmark = [pytest.mark.timeout(240), pytest.mark.django_db(transaction=True)]
CALLS = 100


class Stage:
    """Acme, whose applications export to a web process."""

    def __init__(self, address: str, cast: Cast) -> None:
        self.cast = cast
        self._base = f"{address}/api/v1/otlp"
        self._key = issue_key(organization_id=cast.acme.id, name="Collector", by=HOUSE, at=timezone.now()).secret

    def export(self, what: str) -> None:
        python = str(installed("clients") / "bin" / "python")
        run([python, str(CHECKOUT / "tests" / "clients" / "exporting.py"), what, self._base, self._key], {})


@pytest.fixture
def stage() -> Iterator[Stage]:
    small_book()
    cast, now = the_cast(), timezone.now()
    bob = {"organization_id": cast.acme.id, "person_id": cast.bob.id}
    add_identity(**bob, kind="email", value="bob.b@example.com", by=HOUSE, at=now)
    with tempfile.TemporaryDirectory(prefix="capstan-") as folder, website(Path(folder)) as address:
        yield Stage(address, cast)


def charges(columns: str = "input_uncached, cache_read, output_text, calls, effective_cost") -> list[tuple[Any, ...]]:
    return rows(f"SELECT {columns} FROM ledger_charge ORDER BY occurred_at, id")


def test_spans(stage: Stage) -> None:
    stage.export("spans")
    # 600 at 10, 400 at 1 and 100 at 20 dollars a million.
    assert charges() == [(600, 400, 100, 1, Decimal("0.0084"))] * CALLS
    assert set(charges("person_id, team_id")) == {(stage.cast.bob.id, stage.cast.search.id)}
    ((tags,),) = set(charges("tags::text"))
    assert json.loads(tags)["deployment.environment.name"] == "prod"
    assert "secret" not in tags
    assert rows("SELECT count(*) FROM ingest_quarantinedrecord") == [(0,)]


@pytest.mark.parametrize("temporality", ["delta", "cumulative"])
def test_metrics(stage: Stage, temporality: str) -> None:
    stage.export(temporality)
    assert charges("input_uncached, output_text, calls") == [(1_000, 100, 1)] * 2
    remembered = rows("SELECT value, calls FROM ingest_metricseries ORDER BY value")
    assert [tuple(map(int, one)) for one in remembered] == (
        [(200, 2), (2_000, 2)] if temporality == "cumulative" else []
    )
    # The process starts anew: its sums begin at nothing, and are added.
    stage.export(temporality)
    assert sum(tokens for (tokens,) in charges("input_uncached")) == 4_000
    assert rows("SELECT count(*) FROM ingest_quarantinedrecord") == [(0,)]
