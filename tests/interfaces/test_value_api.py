"""Cost, energy and value over REST: side by side, within what a caller may see."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest

from finops.connectors.types import Dimensions
from finops.orgs.models import User
from tests.factories.evidence import heard, outcome
from tests.factories.ledger import THEN, Book, event, small_book
from tests.factories.orgs import Cast
from tests.interfaces.conftest import Api, refused, told

OCTOBER = "value?period=2026-10"


@pytest.fixture
def book(cast: Cast) -> Book:
    """Three calls of Bob's and one of Dana's; two of Bob's were scored, one of them well."""
    small_book()
    book = Book(cast.acme)
    bob, dana = (Dimensions(person=one.slug) for one in (cast.bob, cast.dana))
    book.take(
        *(event(f"cap_ab12:c-{number}.1", dimensions=bob, model="gpt-4o" if number else "gpt") for number in range(3)),
        event("cap_ab12:c-3.1", dimensions=dana),
    )
    said = [outcome(f"c-{number}", "gpt", score) for number, score in ((0, 0.9), (1, 0.1))]
    heard(cast.acme.id, said, at=THEN + timedelta(hours=1))
    return book


def test_the_three_stand_side_by_side_by_person(alice: Api, cast: Cast, book: Book) -> None:
    found = told(alice.get(f"{OCTOBER}&by=person"))
    assert (found["by"], found["groups"], found["reporting_currency"]) == ("person", 2, "USD")
    bob, dana = found["lines"] if found["lines"][0]["group"]["id"] == cast.bob.id else found["lines"][::-1]
    assert bob["group"] == {"id": cast.bob.id, "value": cast.bob.slug, "name": cast.bob.name}
    value = bob["value"]
    assert (value["scored"], value["calls"], value["completed"], value["few"]) == (2, 2, 1, True)
    assert value["mean_score"] == pytest.approx(0.5)
    assert Decimal(value["cost_per_completed"]) == Decimal(value["cost"]) > 0
    # Of gpt, which was scored, nobody knows the energy; of all Bob's calls a part is known.
    assert value["wh_per_completed"] is None
    assert bob["footprint"]["unknown_models"] == ["openai/gpt"]
    assert 0 < bob["footprint"]["wh"]["lower"] < bob["footprint"]["wh"]["upper"]
    assert (dana["value"]["scored"], dana["value"]["cost_per_completed"]) == (0, None)
    assert dana["footprint"]["wh"] is None
    assert found["total"]["calls"] == 4
    assert Decimal(found["total"]["reporting_cost"]) == sum(Decimal(one["reporting_cost"]) for one in found["lines"])


def test_people_are_seen_as_spend_shows_them(
    cast: Cast, book: Book, login: Callable[[User], Api], by_key: Callable[..., Api]
) -> None:
    bob = login(cast.bob_login)
    assert refused(bob.get(f"{OCTOBER}&by=person"))[:2] == (403, "orgs.out_of_reach")
    mine = told(bob.get(f"{OCTOBER}&by=person&filter.person={cast.bob.slug}"))
    assert [one["group"]["id"] for one in mine["lines"]] == [cast.bob.id]
    assert told(bob.get(OCTOBER))["by"] == "project"
    # Scores are routing's, and amounts are spend's: it takes both.
    assert refused(by_key("spend.read").get(OCTOBER))[0] == 403
    assert refused(by_key("routing.read").get(OCTOBER))[0] == 403
    assert told(by_key("routing.read", "spend.read").get(OCTOBER))["total"]["calls"] == 4
    assert told(login(cast.charlie_login).get(OCTOBER))["total"]["calls"] == 0


@pytest.mark.parametrize(
    ("query", "status", "code", "field"),
    [
        ("value?period=2026", 400, "value.period_too_long", "period"),
        ("value?by=model", 400, "ledger.question_unclear", "by"),
        ("value?limit=0", 400, "ledger.question_unclear", "limit"),
        ("value?group_by=team", 400, "ledger.question_unclear", "group_by"),
    ],
)
def test_what_is_unclear_is_refused_by_its_name(alice: Api, query: str, status: int, code: str, field: str) -> None:
    assert refused(alice.get(query)) == (status, code, field)
