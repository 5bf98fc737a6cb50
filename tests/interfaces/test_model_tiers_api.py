"""What kind of model a model is, over REST: asked, said and taken back, by whoever may."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.factories.ledger import small_book
from tests.factories.orgs import Cast
from tests.interfaces.conftest import Api, refused, told


@pytest.fixture
def prices(cast: Cast) -> None:
    small_book()


def test_asked_said_listed_and_taken_back(alice: Api, prices: None) -> None:
    known = told(alice.get("model-tiers/known?model=claude-opus-5"))
    assert known == {
        "model": "claude-opus-5", "vendor": "anthropic", "origin": "US", "tier": "frontier", "open_weights": False,
        "by": "register",
    }  # fmt: skip
    assert told(alice.get("model-tiers/known?model=gpt&provider=openai"))["by"] == "price"
    one = told(alice.put("model-tiers", {"model": "Claude-Opus-*", "tier": "mid", "origin": "IE"}))
    assert (one["model"], one["tier"], one["vendor"], one["origin"], one["open_weights"]) == (
        "claude-opus-*", "mid", "", "IE", None,
    )  # fmt: skip
    assert told(alice.get("model-tiers"))["items"] == [one] == [told(alice.get(f"model-tiers/{one['id']}"))]
    known = told(alice.get("model-tiers/known?model=claude-opus-5"))
    assert (known["tier"], known["by"], known["vendor"], known["origin"]) == ("mid", "organization", "anthropic", "IE")
    assert alice.delete(f"model-tiers/{one['id']}").status_code == 204
    assert refused(alice.get(f"model-tiers/{one['id']}"))[:2] == (404, "core.not_found")


def test_what_cannot_be_is_refused_by_its_field(alice: Api) -> None:
    assert refused(alice.put("model-tiers", {"model": "a", "tier": "best"})) == (400, "api.invalid", "tier")
    assert refused(alice.put("model-tiers", {"model": "a b", "tier": "mid"})) == (422, "tiers.invalid", "model")
    assert refused(alice.put("model-tiers", {"model": "a"}))[:2] == (422, "tiers.invalid")
    assert refused(alice.put("model-tiers", {"model": "a", "price": 1})) == (400, "api.invalid", "price")
    assert refused(alice.get("model-tiers/known")) == (400, "api.invalid", "model")


def test_who_reads_routing_may_ask_and_not_say(by_key: Callable[..., Api]) -> None:
    reader = by_key("routing.read")
    assert told(reader.get("model-tiers/known?model=gpt-5"))["tier"] == "frontier"
    assert refused(reader.put("model-tiers", {"model": "a", "tier": "mid"}))[:2] == (403, "orgs.permission_missing")
    viewer = by_key("spend.read")
    assert refused(viewer.get("model-tiers/known?model=gpt-5"))[:2] == (403, "orgs.permission_missing")
    assert refused(viewer.put("model-tiers", {"model": "a", "tier": "mid"}))[:2] == (403, "orgs.permission_missing")
