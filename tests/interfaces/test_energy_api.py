"""Energy over REST: what a period's calls used, by whose figures, and the organization's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from finops.audit.models import AuditEvent
from finops.connectors.types import Dimensions
from finops.orgs.models import User
from tests.factories.ledger import Book, event, small_book
from tests.factories.orgs import Cast
from tests.interfaces.conftest import Api, refused, told

FIGURE: dict[str, Any] = {"model": "gpt", "lower": "0.2", "upper": "0.5", "source": "our meter"}
OCTOBER = "energy?period=2026-10"


@pytest.fixture
def book(cast: Cast) -> Book:
    small_book()
    return Book(cast.acme)


def test_energy_is_told_by_model_with_bounds_and_what_is_unknown_beside(alice: Api, book: Book) -> None:
    book.take(event("1"), event("2"), event("3", model="gpt-mini"), event("4", model="gpt-4o"))
    told(alice.post("energy/models", FIGURE))
    found = told(alice.get(OCTOBER))
    assert found["method"] == "EcoLogits 0.11.3"
    by_model = {one["model"]: one for one in found["models"]}
    mine = by_model["gpt"]
    assert (mine["calls"], mine["basis"], mine["source"], mine["zone"]) == (2, "configured", "our meter", "USA")
    assert mine["footprint"]["wh"] == {"lower": pytest.approx(0.04), "upper": pytest.approx(0.1)}
    assert mine["footprint"]["hardware_g_co2e"] is None
    unknown = by_model["gpt-mini"]
    assert (unknown["basis"], unknown["footprint"]["wh"], unknown["wh_per_1000_output_tokens"]) == (
        "unknown", None, None,
    )  # fmt: skip
    assert unknown["reporting_cost"] == "0.001200000000"
    total = found["total"]
    assert total["unknown_models"] == ["openai/gpt-mini"]
    assert (total["output_tokens"], total["unknown_output_tokens"]) == (400, 100)
    known = by_model["gpt-4o"]["footprint"]["wh"]
    assert 0 < known["lower"] < known["upper"]
    assert total["wh"]["upper"] == pytest.approx(known["upper"] + 0.1)
    assert total["grid_g_co2e"]["lower"] < total["grid_g_co2e"]["upper"]
    # The method says what one model uses of a thousand tokens; a call has its first token to wait for besides.
    assert by_model["gpt-4o"]["wh_per_1000_output_tokens"]["lower"] == pytest.approx(1.4267, rel=0.01)
    assert len(told(alice.get(f"{OCTOBER}&limit=1"))["models"]) == 1


def test_no_calls_are_no_energy_that_looks_known(alice: Api, book: Book) -> None:
    found = told(alice.get(OCTOBER))
    assert (found["models"], found["total"]["wh"], found["total"]["output_tokens"]) == ([], None, 0)


def test_who_sees_a_part_of_spend_sees_that_parts_energy(
    alice: Api, book: Book, cast: Cast, login: Callable[[User], Api]
) -> None:
    book.take(event("1", model="gpt-4o", dimensions=Dimensions(team=cast.search.slug)), event("2", model="gpt-4o"))
    assert told(login(cast.bob_login).get(OCTOBER))["models"][0]["calls"] == 1
    assert told(alice.get(OCTOBER))["models"][0]["calls"] == 2
    assert told(alice.get(f"{OCTOBER}&filter.team={cast.search.slug}"))["models"][0]["calls"] == 1


def test_figures_are_said_listed_and_removed_by_who_manages_prices(
    alice: Api, cast: Cast, login: Callable[[User], Api]
) -> None:
    one = told(alice.post("energy/models", FIGURE | {"provider": "OpenAI"}))
    assert (one["provider"], one["lower"], one["upper"]) == ("openai", "0.200000", "0.500000")
    grid = told(alice.post("energy/grids", {"zone": "fra"}))
    assert (grid["zone"], grid["lower"]) == ("FRA", grid["upper"])
    assert told(alice.get("energy/models"))["items"] == [one]
    assert told(alice.get("energy/grids"))["items"] == [grid]
    bob = login(cast.bob_login)
    assert told(bob.get("energy/models"))["items"] == [one]
    assert refused(bob.post("energy/models", FIGURE))[:2] == (403, "orgs.permission_missing")
    assert refused(bob.post(f"energy/grids/{grid['id']}/remove"))[0] == 403
    charlie = login(cast.charlie_login)
    assert refused(charlie.post(f"energy/models/{one['id']}/remove"))[0] == 404
    assert told(alice.post(f"energy/models/{one['id']}/remove")) == {}
    assert told(alice.post(f"energy/grids/{grid['id']}/remove")) == {}
    assert refused(alice.post(f"energy/grids/{grid['id']}/remove"))[0] == 404
    assert AuditEvent.objects.filter(verb__startswith="energy.").count() == 4


@pytest.mark.parametrize(
    ("path", "wrong", "status", "field"),
    [
        ("energy/models", FIGURE | {"lower": "-1"}, 400, "lower"),
        ("energy/models", FIGURE | {"lower": "1"}, 422, "upper"),
        ("energy/models", FIGURE | {"kwh": "1"}, 400, "kwh"),
        ("energy/models", {"model": "gpt"}, 400, "lower"),
        ("energy/grids", {"zone": "nowhere"}, 422, "zone"),
        ("energy/grids", {"zone": "x", "lower": "1"}, 422, "upper"),
        ("energy/grids", {"zone": "x", "lower": "1", "upper": "6000"}, 400, "upper"),
    ],
)
def test_what_cannot_be_is_refused_by_its_field(
    alice: Api, path: str, wrong: dict[str, Any], status: int, field: str
) -> None:
    assert refused(alice.post(path, wrong))[::2] == (status, field)


def test_more_models_ask_no_more_questions(alice: Api, book: Book) -> None:
    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            told(alice.get(OCTOBER))
        return len(queries)

    book.take(event("1"))
    told(alice.get(OCTOBER))
    before = asked()
    book.take(*(event(f"m-{number}", model=f"gpt-{number}") for number in range(30)))
    assert asked() == before <= 16
