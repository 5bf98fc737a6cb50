"""The content hash decides duplicate or conflict for as long as a key is kept: it must never change by accident."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from finops.connectors.types import NO_COUNTS, Dimensions, GivenCost, UsageEvent, content_hash

PLAIN = UsageEvent(
    external_id="call-1",
    occurred_at=datetime(2026, 10, 1, 12, tzinfo=UTC),
    provider="openai",
    model="gpt-5",
    counts=NO_COUNTS,
)


def test_known_hashes_stay_what_they_are() -> None:
    full = msgspec.structs.replace(
        PLAIN,
        dimensions=Dimensions(team="search"),
        identities=(("email", "alice@acme.example"),),
        tags=(("env", "prod"),),
        cost=GivenCost(1_500_000_000_000, "EUR"),
    )
    assert content_hash(PLAIN).hex() == "4d0d109536d6ad0fa2c97e572308fa3e"
    assert content_hash(full).hex() == "8b48dc4da533041d3d9fcd4225f4ebf4"


def test_saying_a_default_is_saying_nothing() -> None:
    said = msgspec.structs.replace(PLAIN, dimensions=Dimensions(), category="Usage", service_tier="")
    assert content_hash(said) == content_hash(PLAIN)


@pytest.mark.parametrize(
    "change", [{"model": "gpt-5-mini"}, {"session": "s"}, {"tags": (("a", "b"),)}, {"region": "eu"}]
)
def test_any_other_content_is_another_hash(change: dict[str, object]) -> None:
    assert content_hash(msgspec.structs.replace(PLAIN, **change)) != content_hash(PLAIN)
