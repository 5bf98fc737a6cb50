"""What keys wish: set, cleared, in the key's trail, published with the key."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from finops.audit.models import AuditEvent
from finops.core.errors import NotFound
from finops.orgs import services as orgs
from finops.orgs.models import VirtualKey
from finops.orgs.services.keys import KeyRevoked
from routing.configuration import wire
from routing.configuration.models import Published
from routing.configuration.services import organization, publish_changes
from routing.upstreams import selectors, services
from routing.upstreams.models import KeyWishes
from routing.upstreams.rules import UpstreamInvalid
from routing.upstreams.types import WishesDraft
from tests.factories.orgs import HOUSE, NOON, Cast
from tests.factories.upstreams import wishes

WHO: dict[str, Any] = {"by": HOUSE, "at": NOON}


def issued(organization_id: int, name: str = "Bob's laptop") -> VirtualKey:
    return orgs.issue_key(organization_id=organization_id, name=name, permissions=["calls.make"], **WHO).key


@pytest.fixture
def key(cast: Cast) -> VirtualKey:
    return issued(cast.acme.id)


def clear(key: VirtualKey) -> None:
    services.clear_wishes(organization_id=key.organization_id, key_id=key.id, **WHO)


def told(key: VirtualKey) -> wire.Wishes | None:
    """What the key wishes, as it is published."""
    body = bytes(Published.objects.get(organization_id=key.organization_id).body)
    [found] = [one.wishes for one in wire.decode_organization(body).keys if one.key_id == key.id]
    return found


def test_a_keys_wishes_from_their_setting_to_their_clearing(key: VirtualKey) -> None:
    row = wishes(key, order=("Azure", "openai"), only=True, most_per_million=Decimal("2.5"), at=NOON)
    assert (row.order, row.only, row.sort, row.most_per_million) == (["azure", "openai"], True, "", Decimal("2.5"))
    row = wishes(key, order=("azure", "openai"), sort="floor", most_per_million=Decimal("2.50"), at=NOON)
    wishes(key, order=("azure", "openai"), sort="floor", most_per_million=Decimal("2.5"), at=NOON)
    assert services.wishes_draft(selectors.wishes_of(key.organization_id, key.id)) == services.wishes_draft(row)
    clear(key)
    with pytest.raises(NotFound):
        clear(key)
    trail = AuditEvent.objects.filter(subject_kind="key", subject_id=str(key.id), verb__startswith="key.wishes")
    assert [(one.verb, one.details) for one in trail.order_by("id")] == [
        (
            "key.wishes_set",
            {"order": [[], ["azure", "openai"]], "only": [False, True], "most_per_million": [None, "2.500000"]},
        ),
        ("key.wishes_set", {"only": [True, False], "sort": ["", "floor"]}),
        (
            "key.wishes_cleared",
            {"order": ["azure", "openai"], "only": False, "sort": "floor", "most_per_million": "2.500000"},
        ),
    ]
    assert "Bob" not in str(list(AuditEvent.objects.filter(verb__startswith="key.wishes").values()))


def test_a_revoked_key_wishes_nothing_new_and_what_it_wished_may_be_cleared(key: VirtualKey) -> None:
    wishes(key, sort="floor", at=NOON)
    orgs.revoke_key(organization_id=key.organization_id, key_id=key.id, **WHO)
    with pytest.raises(KeyRevoked):
        wishes(key, sort="nitro", at=NOON)
    clear(key)


def test_nobody_reaches_into_another_organization(cast: Cast) -> None:
    theirs = issued(cast.globex.id)
    wishes(theirs, sort="floor", at=NOON)
    there: dict[str, Any] = {"organization_id": cast.acme.id, "key_id": theirs.id, **WHO}
    for act in (
        lambda: services.set_wishes(draft=WishesDraft(sort="nitro"), **there),
        lambda: services.clear_wishes(**there),
        lambda: selectors.wishes_of(cast.acme.id, theirs.id),
    ):
        with pytest.raises(NotFound), transaction.atomic():
            act()
    assert list(selectors.wishes(cast.acme.id)) == []
    assert KeyWishes.objects.get().sort == "floor"


def test_what_a_key_wishes_is_published_with_it_and_so_is_that_it_wishes_nothing_more(key: VirtualKey) -> None:
    publish_changes(NOON)
    publish_changes(NOON)
    assert told(key) is None
    wishes(key, order=("azure",), only=True, sort="nitro", most_per_million=Decimal(5), at=NOON)
    assert publish_changes(NOON) == [key.organization_id]
    assert told(key) == wire.Wishes(order=("azure",), only=True, sort="nitro", most_per_million=Decimal(5))
    with pytest.raises(UpstreamInvalid):
        wishes(key, only=True, at=NOON)
    assert publish_changes(NOON) == []
    clear(key)
    assert publish_changes(NOON) == [key.organization_id]
    assert told(key) is None


def test_many_keys_are_published_in_as_many_queries_as_one(cast: Cast, key: VirtualKey) -> None:
    def asked() -> int:
        # What attribution remembers it remembers for as long as no key is issued.
        organization(cast.acme.id, NOON)
        with CaptureQueriesContext(connection) as queries:
            found = organization(cast.acme.id, NOON)
        assert {one.wishes for one in found.keys} == {wire.Wishes(sort="floor")}
        return len(queries)

    wishes(key, sort="floor", at=NOON)
    before = asked()
    for number in range(5):
        wishes(issued(cast.acme.id, f"Key {number}"), sort="floor", at=NOON)
    assert asked() == before


@pytest.mark.parametrize(
    "wrong",
    [
        {"order": []},
        {"order": [""]},
        {"order": [f"upstream-{number}" for number in range(21)]},
        {"sort": "dear"},
        {"most_per_million": -1},
        {"most_per_million": 1_000_001},
    ],
)
def test_the_database_refuses_wishes_that_cannot_be(key: VirtualKey, wrong: dict[str, Any]) -> None:
    wishes(key, order=("azure",), only=True, at=NOON)
    with pytest.raises(IntegrityError, match="wishes_"), transaction.atomic():
        KeyWishes.objects.filter(key=key).update(**wrong)


def test_the_database_refuses_wishes_that_wish_nothing_and_those_of_anothers_key(cast: Cast, key: VirtualKey) -> None:
    wishes(key, sort="floor", at=NOON)
    with pytest.raises(IntegrityError, match="wishes_something"), transaction.atomic():
        KeyWishes.objects.filter(key=key).update(sort="")
    with pytest.raises(IntegrityError, match="wishes_same_organization"), transaction.atomic():
        KeyWishes.objects.filter(key=key).update(organization=cast.globex)
