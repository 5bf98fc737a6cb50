"""Caps over REST: acme on the first of November, with a little spend of that day."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine

from finops.connectors.types import Dimensions
from finops.orgs import services as orgs
from finops.orgs.models import User
from tests.factories.ledger import AT, Book, event, small_book
from tests.factories.orgs import HOUSE, NOON, Cast, member
from tests.interfaces.conftest import Api, told

BOB = Dimensions(person="bob", team="search")
ALICE = Dimensions(person="alice", team="chat")
PER_PERSON = {"name": "A week each", "limit": "200", "period": "week", "each": "person"}
SEARCH = {"name": "Search", "limit": "100", "period": "month", "scope": {"team": ["search"]}}


@pytest.fixture(autouse=True)
def first_of_november() -> Iterator[None]:
    with time_machine.travel(AT + timedelta(hours=1), tick=True):
        yield


@pytest.fixture
def book(cast: Cast) -> Book:
    """Bob's two calls of Search, Alice's one of Chat, nobody's one: 0.012 each."""
    small_book()
    made = Book(cast.acme)
    made.take(
        event("one", occurred_at=AT, dimensions=BOB),
        event("two", occurred_at=AT + timedelta(minutes=1), dimensions=BOB),
        event("three", occurred_at=AT, dimensions=ALICE),
        event("four", occurred_at=AT),
    )
    return made


@pytest.fixture
def bob(cast: Cast, login: Callable[[User], Api]) -> Api:
    """An engineer of Search."""
    return login(cast.bob_login)


@pytest.fixture
def viewer(cast: Cast, login: Callable[[User], Api]) -> Api:
    return login(user_of(cast, "Vera", "viewer"))


@pytest.fixture
def lead(cast: Cast, login: Callable[[User], Api]) -> Api:
    """Lena leads Search."""
    lena = user_of(cast, "Lena", "viewer")
    orgs.change_role(
        organization_id=cast.acme.id,
        user_id=lena.id,
        role="team_lead",
        team_ids=[cast.search.id],
        by=HOUSE,
        at=NOON,
    )
    return login(lena)


def user_of(cast: Cast, name: str, role: str) -> User:
    found = member(cast.acme, name, role).user
    assert found is not None
    return found


def made(api: Api, body: dict[str, Any]) -> Any:
    return told(api.post("budgets", body), 201)
