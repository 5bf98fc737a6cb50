"""Where a month went and what it would have come to, over REST."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
import time_machine

from tests.factories.ledger import AT, Book, event, small_book
from tests.factories.orgs import Cast
from tests.interfaces.conftest import Api, refused, told


@pytest.fixture
def spent(cast: Cast) -> Any:
    """October: two calls of gpt at 0.012, one of claude."""
    small_book()
    Book(cast.acme).take(event("1", task_type="triage"), event("2"), event("3", provider="anthropic", model="claude"))
    with time_machine.travel(AT, tick=False):
        yield


def test_a_month_and_the_same_at_one_frontier_model(alice: Api, spent: None) -> None:
    found = told(alice.get("tiers"))
    assert (found["month"], found["currency"], found["calls"], found["spend"]) == (
        "2026-10", "USD", 3, "0.028500000000",
    )  # fmt: skip
    assert [one["key"] for one in found["tiers"]] == ["frontier", "mid", "light"]
    assert sum(Decimal(one["spend_share"]) for one in found["vendors"]) == 1
    assert {one["need"] for one in found["frontier"]} == {"unknown"}
    assert found["all_frontier"]["model"] == "gpt"
    assert Decimal(found["all_frontier"]["after"]) == Decimal("0.036")
    other = told(alice.get("tiers?frontier=claude&month=2026-10"))["all_frontier"]
    assert (other["model"], other["provider"], Decimal(other["after"])) == ("claude", "anthropic", Decimal("0.0135"))
    assert told(alice.get("tiers?month=2026-09"))["all_frontier"] is None
    assert refused(alice.get("tiers?month=2026-12")) == (422, "bills.invalid", "month")


def what_if(api: Api, *changes: dict[str, Any]) -> Any:
    return told(api.post("what-if", {"changes": list(changes)}))


def test_what_if_of_every_kind(alice: Api, spent: None) -> None:
    moved = what_if(alice, {"kind": "move", "model": "gpt", "to": "gpt-mini", "task_type": "triage"})
    assert (moved["month"], Decimal(moved["difference"])) == ("2026-10", Decimal("-0.0108"))
    cheaper = what_if(alice, {"kind": "price", "model": "gpt", "read": "-50", "written": "-50", "cached": "0"})
    assert Decimal(cheaper["difference"]) == Decimal("-0.012")
    gone = what_if(alice, {"kind": "drop", "vendor": "anthropic", "otherwise": "gpt-mini"})
    assert Decimal(gone["difference"]) == Decimal("0.0012") - Decimal("0.0045")
    plan = what_if(alice, {"kind": "plan", "model": "gpt", "fee": "5", "percent": "50"})
    assert (Decimal(plan["difference"]), plan["fees"]) == (Decimal("4.988"), "5.000000")
    nobody = what_if(alice, {"kind": "move", "model": "gpt", "to": "never-heard-of"})
    assert nobody["rows"][0]["after"] is None
    assert Decimal(nobody["difference"]) == 0


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ([], (400, "api.invalid")),
        ([{"kind": "move", "model": "gpt"}], (400, "api.invalid")),
        ([{"kind": "move", "model": "gpt", "to": "x", "fee": "1"}], (400, "api.invalid")),
        ([{"kind": "price", "model": "gpt", "read": "-101"}], (400, "api.invalid")),
        ([{"kind": "plan", "fee": "1", "percent": "1"}], (422, "bills.invalid")),
        ([{"kind": "drop", "vendor": "openai"}], (422, "bills.invalid")),
        ([{"kind": "move", "model": "gpt", "to": "x", "project": "nobodys"}], (422, "bills.invalid")),
        ([{"kind": "price", "model": "gpt"}] * 21, (400, "api.invalid")),
    ],
)
def test_what_cannot_be_asked(alice: Api, wrong: list[Any], said: tuple[int, str]) -> None:
    assert refused(alice.post("what-if", {"changes": wrong}))[:2] == said


def test_it_takes_both_permissions(by_key: Callable[..., Api], spent: None) -> None:
    for half in ("routing.read", "spend.read"):
        assert refused(by_key(half).get("tiers"))[:2] == (403, "orgs.permission_missing")
    assert told(by_key("routing.read", "spend.read").get("tiers"))["calls"] == 3
