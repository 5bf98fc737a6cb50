"""What keys wish, on the page of upstreams: shown to who may change it, set, changed and cleared."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from finops.orgs import services as orgs
from finops.orgs.models import VirtualKey
from routing.upstreams.models import KeyWishes
from tests.factories.company import Company
from tests.factories.orgs import HOUSE
from tests.factories.upstreams import wishes
from tests.interfaces.pages.conftest import at, text_of


def issued(company: Company, name: str = "Bob’s laptop") -> VirtualKey:
    who: dict[str, Any] = {"by": HOUSE, "at": company.at}
    return orgs.issue_key(organization_id=company.cast.acme.id, name=name, permissions=["calls.make"], **who).key


@pytest.fixture
def key(company: Company) -> VirtualKey:
    return issued(company)


def test_a_keys_wishes_are_set_changed_and_cleared(alice: Client, key: VirtualKey) -> None:
    assert f'value="{key.prefix}"' in text_of(alice.get(at("wishes_add")))
    said = {"key": key.prefix, "order": "Azure, openai", "only": "on", "sort": "", "most_per_million": "2.5"}
    page = text_of(alice.post(at("wishes_add"), said, follow=True))
    assert "The key’s wishes are saved." in page
    for shown in ("Bob’s laptop", "only <span", "azure, openai", "2.50"):
        assert shown in page
    change = at("wishes_change", key_id=key.id)
    form = alice.get(change).context["form"]
    assert {name: form[name].value() for name in form.fields} == {
        "order": "azure, openai", "only": True, "sort": "", "most_per_million": "2.5",
    }  # fmt: skip
    assert alice.post(change, {"sort": "floor"}).status_code == 302
    row = KeyWishes.objects.get()
    assert (row.order, row.only, row.sort, row.most_per_million) == ([], False, "floor", None)
    assert "The cheapest first" in text_of(alice.get(at("upstreams")))
    trail = text_of(alice.get(at("audit"), {"about": "key"}))
    assert "key.wishes_set" in trail
    assert key.prefix in trail
    page = text_of(alice.post(at("wishes_clear", key_id=key.id), follow=True))
    assert "The key wishes nothing any more." in page
    assert not KeyWishes.objects.exists()
    for gone in (alice.get(change), alice.post(at("wishes_clear", key_id=key.id))):
        assert gone.status_code == 404


def test_what_cannot_be_is_said_beside_its_field(company: Company, alice: Client, key: VirtualKey) -> None:
    revoked = issued(company, "Gone")
    orgs.revoke_key(organization_id=key.organization_id, key_id=revoked.id, by=HOUSE, at=company.at)
    said = {"key": key.prefix, "order": "azure"}
    for wrong, field in (
        ({"key": "cap_nobodys"}, "key"),
        ({"key": ""}, "key"),
        ({"order": "two words"}, "order"),
        ({"order": "", "only": "on"}, "order"),
        ({"sort": "dear"}, "sort"),
        ({"most_per_million": "-1"}, "most_per_million"),
        ({"most_per_million": "1e300"}, "most_per_million"),
        ({"key": revoked.prefix}, "__all__"),
    ):
        answer = alice.post(at("wishes_add"), said | wrong)
        assert (answer.status_code, list(answer.context["form"].errors)) == (422, [field]), wrong
    assert not KeyWishes.objects.exists()


def test_engineers_do_not_see_what_keys_wish(company: Company, key: VirtualKey, browser: Callable[..., Client]) -> None:
    wishes(key, order=("azure",), most_per_million=Decimal(5), at=company.at)
    bob = browser(company.cast.bob_login)
    assert "What keys wish" not in text_of(bob.get(at("upstreams")))
    for answer in (
        bob.get(at("wishes_add")),
        bob.get(at("wishes_change", key_id=key.id)),
        bob.post(at("wishes_change", key_id=key.id), {"sort": "floor"}),
        bob.post(at("wishes_clear", key_id=key.id)),
    ):
        assert answer.status_code == 403
    assert KeyWishes.objects.get().order == ["azure"]


def test_more_keys_ask_no_more_questions(company: Company, alice: Client, key: VirtualKey) -> None:
    def asked() -> int:
        alice.get(at("upstreams"))
        with CaptureQueriesContext(connection) as queries:
            alice.get(at("upstreams"))
        return len(queries)

    wishes(key, sort="floor", at=company.at)
    before = asked()
    for number in range(5):
        wishes(issued(company, f"Key {number}"), order=("azure",), at=company.at)
    assert asked() == before
