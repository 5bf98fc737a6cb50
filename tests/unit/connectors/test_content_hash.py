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
    assert content_hash(PLAIN).hex() == "15a23f162acbb90b9de8c87b30c3c14a"
    assert content_hash(full).hex() == "ee566cafb8c93f2f3315cc53a653dbd0"


def test_saying_a_default_is_saying_nothing() -> None:
    said = msgspec.structs.replace(PLAIN, dimensions=Dimensions(), category="Usage", service_tier="")
    assert content_hash(said) == content_hash(PLAIN)


def test_a_meter_that_is_added_later_changes_no_known_hash() -> None:
    grown = msgspec.structs.replace(PLAIN, counts=(*NO_COUNTS, 0, 0))
    assert content_hash(grown) == content_hash(PLAIN)
    used = [msgspec.structs.replace(PLAIN, counts=(*NO_COUNTS, *more)) for more in ((1,), (0, 1), (1, 0, 0))]
    assert content_hash(used[0]) == content_hash(used[2]) != content_hash(used[1])
    assert content_hash(PLAIN) not in {content_hash(one) for one in used}


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
