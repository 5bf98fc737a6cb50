"""What is published is taken as it comes, and what cannot be used changes nothing and stands in nobody's way."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from routing.configuration import wire
from routing.gateway import configured as module
from routing.gateway.configured import CATALOGUE, Configured

ACME, GLOBEX = 1, 2


class Published:
    """The table, as a connection that is asked for it."""

    def __init__(self) -> None:
        self.rows: dict[int, tuple[str, bytes]] = {}

    def says(self, organization_id: int, body: str) -> None:
        self.rows[organization_id] = (f"{organization_id} {body}", body.encode())

    def execute(self, query: str, parameters: Any = None) -> Any:
        if parameters is None:
            return SimpleNamespace(fetchall=lambda: [(one, stamp) for one, (stamp, _) in sorted(self.rows.items())])
        return SimpleNamespace(fetchall=lambda: [(one, *self.rows[one]) for one in sorted(parameters[0])])


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> Published:
    def house(said: Any, public: str) -> Any:
        if "unusable" in said.text:
            raise AttributeError("no house can be made of it")
        return SimpleNamespace(said=said.text, public=public, keys={said.text: said})

    def decoded(body: bytes) -> Any:
        return SimpleNamespace(text=body.decode(), guard=None)

    monkeypatch.setattr(wire, "decode_catalogue", lambda body: body.decode())
    monkeypatch.setattr(wire, "decode_organization", decoded)
    monkeypatch.setattr(module, "public_of", lambda body: body)
    monkeypatch.setattr(module, "House", house)
    return Published()


@pytest.fixture
def configured() -> Configured:
    guard: Any = SimpleNamespace(rules_are=lambda rules: None)
    return Configured("", guard, lambda: None, lambda payload: None, lambda: None)


def test_what_cannot_be_used_leaves_what_was_and_keeps_nobody_from_new_prices(
    published: Published, configured: Configured
) -> None:
    read: Any = published
    published.says(CATALOGUE, "prices")
    published.says(ACME, "acme")
    published.says(GLOBEX, "globex")
    configured.refresh(read)
    assert configured.ready.is_set()
    published.says(ACME, "unusable")
    published.says(GLOBEX, "globex again")
    configured.refresh(read)
    houses: Any = configured
    assert {one: house.said for one, house in houses.houses.items()} == {ACME: "acme", GLOBEX: "globex again"}
    assert set(configured.by_prefix) == {"acme", "globex again"}
    published.says(CATALOGUE, "new prices")
    configured.refresh(read)
    # Each by the last that could be used, all at the prices of now.
    assert {one: (house.said, house.public) for one, house in houses.houses.items()} == {
        ACME: ("acme", "new prices"),
        GLOBEX: ("globex again", "new prices"),
    }
    published.says(ACME, "acme again")
    configured.refresh(read)
    assert houses.houses[ACME].said == "acme again"


def test_what_came_before_the_prices_and_cannot_be_used_stands_in_nobodys_way(
    published: Published, configured: Configured
) -> None:
    read: Any = published
    published.says(ACME, "unusable")
    published.says(GLOBEX, "globex")
    configured.refresh(read)
    assert not configured.ready.is_set()
    published.says(CATALOGUE, "prices")
    configured.refresh(read)
    assert list(configured.houses) == [GLOBEX]
    assert configured.ready.is_set()
