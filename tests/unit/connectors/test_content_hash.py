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
        counts=(1200, *NO_COUNTS[1:-1], 3),
        dimensions=Dimensions(team="search"),
        identities=(("email", "alice@acme.example"),),
        tags=(("env", "prod"),),
        cost=GivenCost(1_500_000_000_000, "EUR"),
    )
    assert content_hash(PLAIN).hex() == "4b67c5be784a24edebc64cd5a1a77b84"
    assert content_hash(full).hex() == "2a13b605666bcc62060120bbb7983062"


def test_saying_a_default_is_saying_nothing() -> None:
    said = msgspec.structs.replace(PLAIN, dimensions=Dimensions(), category="Usage", service_tier="")
    assert content_hash(said) == content_hash(PLAIN)


def test_a_meter_that_is_added_later_changes_no_known_hash() -> None:
    assert content_hash(msgspec.structs.replace(PLAIN, counts=NO_COUNTS[:-1])) == content_hash(PLAIN)


@pytest.mark.parametrize(
    "change",
    [
        {"model": "gpt-5-mini"},
        {"session": "s"},
        {"tags": (("a", "b"),)},
        {"region": "eu"},
        {"host": "eu"},
        {"counts": (1, *NO_COUNTS[1:])},
        {"counts": (*NO_COUNTS[:-1], 1)},
        {"dimensions": Dimensions(team="eu")},
        {"dimensions": Dimensions(project="eu")},
        {"cost": GivenCost(0, "USD")},
        {"cost": GivenCost(10**30, "USD")},
    ],
)
def test_any_other_content_is_another_hash(change: dict[str, object]) -> None:
    assert content_hash(msgspec.structs.replace(PLAIN, **change)) != content_hash(PLAIN)
