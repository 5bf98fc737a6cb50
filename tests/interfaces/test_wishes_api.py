"""What keys wish, over REST: by the key's id, whole each time, for whoever manages the gateway."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from finops.audit.models import AuditEvent
from finops.orgs import services as orgs
from finops.orgs.models import User, VirtualKey
from tests.factories.orgs import HOUSE, NOON, Cast
from tests.factories.upstreams import wishes
from tests.interfaces.conftest import Api, refused, told

EU = {"order": ["azure-eu", "openai-eu"], "only": True, "most_per_million": "5"}


def issued(organization_id: int, name: str = "Bob's laptop") -> VirtualKey:
    return orgs.issue_key(organization_id=organization_id, name=name, permissions=["calls.make"], by=HOUSE, at=NOON).key


@pytest.fixture
def key(cast: Cast) -> VirtualKey:
    return issued(cast.acme.id)


def test_a_keys_wishes_are_set_replaced_listed_and_cleared(alice: Api, key: VirtualKey) -> None:
    path = f"upstreams/wishes/{key.id}"
    assert refused(alice.get(path))[:2] == (404, "core.not_found")
    made = told(alice.put(path, EU))
    assert made == {
        "key_id": key.id,
        "prefix": key.prefix,
        "order": ["azure-eu", "openai-eu"],
        "only": True,
        "sort": "",
        "most_per_million": "5.000000",
        "changed_at": made["changed_at"],
    }
    assert told(alice.get(path)) == made
    assert told(alice.get("upstreams/wishes"))["items"] == [made]
    # What is not said again is not wished any more.
    again = told(alice.put(path, {"sort": "floor"}))
    assert (again["order"], again["only"], again["sort"], again["most_per_million"]) == ([], False, "floor", None)
    assert alice.delete(path).status_code == 204
    assert refused(alice.delete(path))[:2] == (404, "core.not_found")
    assert told(alice.get("upstreams/wishes"))["items"] == []
    verbs = AuditEvent.objects.filter(subject_kind="key", subject_label=key.prefix).order_by("id")
    assert list(verbs.values_list("verb", flat=True))[1:] == ["key.wishes_set", "key.wishes_set", "key.wishes_cleared"]


def test_a_list_is_read_page_by_page(alice: Api, cast: Cast) -> None:
    keys = [issued(cast.acme.id, f"Key {number}") for number in range(3)]
    for one in keys:
        wishes(one, sort="nitro", at=NOON)
    page = told(alice.get("upstreams/wishes?limit=2"))
    rest = told(alice.get(f"upstreams/wishes?limit=2&cursor={page['next']}"))
    assert [one["key_id"] for one in (*page["items"], *rest["items"])] == [one.id for one in keys]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({}, (422, "upstreams.invalid", "order")),
        ({"only": True, "sort": "floor"}, (422, "upstreams.invalid", "order")),
        ({"order": ["two words"]}, (422, "upstreams.invalid", "order")),
        ({"order": [f"upstream-{number}" for number in range(21)]}, (400, "api.invalid", "order")),
        ({"order": ["a" * 61]}, (400, "api.invalid", "order[0]")),
        ({"order": "azure"}, (400, "api.invalid", "order")),
        ({"sort": "dear"}, (400, "api.invalid", "sort")),
        ({"most_per_million": "-1"}, (400, "api.invalid", "most_per_million")),
        ({"most_per_million": "1000000.5"}, (400, "api.invalid", "most_per_million")),
        ({"most_per_million": "0.0000001"}, (400, "api.invalid", "most_per_million")),
        ({"most_per_million": "NaN"}, (400, "api.invalid", "most_per_million")),
        ({"most": "1"}, (400, "api.invalid", "most")),
    ],
)
def test_what_cannot_be_is_refused_by_its_field(
    alice: Api, key: VirtualKey, wrong: dict[str, Any], said: tuple[int, str, str]
) -> None:
    assert refused(alice.put(f"upstreams/wishes/{key.id}", wrong)) == said


def test_a_revoked_key_wishes_nothing_new(alice: Api, key: VirtualKey) -> None:
    orgs.revoke_key(organization_id=key.organization_id, key_id=key.id, by=HOUSE, at=NOON)
    assert refused(alice.put(f"upstreams/wishes/{key.id}", EU))[:2] == (409, "orgs.key_revoked")


def test_only_who_manages_the_gateway_sees_or_changes_them(
    cast: Cast, key: VirtualKey, login: Callable[[User], Api], by_key: Callable[..., Api]
) -> None:
    wishes(key, sort="floor", at=NOON)
    path = f"upstreams/wishes/{key.id}"
    for reader in (login(cast.bob_login), login(cast.dana_login), by_key("gateway.read"), by_key("calls.make")):
        for answer in (reader.get("upstreams/wishes"), reader.get(path), reader.put(path, EU), reader.delete(path)):
            assert refused(answer)[:2] == (403, "orgs.permission_missing")
    charlie = login(cast.charlie_login)
    for answer in (charlie.get(path), charlie.put(path, EU), charlie.delete(path)):
        assert refused(answer)[:2] == (404, "core.not_found")
    assert told(by_key("gateway.manage").put(path, EU))["only"] is True
