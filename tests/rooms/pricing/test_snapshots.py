"""Snapshots are shared while nothing changes, and never outlive a change."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction

from finops.core.actors import system
from finops.core.errors import NotFound
from finops.pricing import selectors, services
from finops.pricing.rules import explain, rate
from tests.factories.orgs import Cast
from tests.factories.pricing import counts, provider, seed, steps

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("small_book")]

AT = datetime(2026, 11, 3, 9, tzinfo=UTC)
DAY = date(2026, 11, 3)


def discount(organization_id: int, percent: int) -> None:
    services.set_discount(
        organization_id=organization_id,
        about=services.Agreed(provider="openai", effective_from=DAY),
        percent=Decimal(percent),
        by=system("test"),
        at=AT,
    )


def contract_id(organization_id: int) -> int:
    return selectors.load_pricer(organization_id).find("openai", "gpt", "", "", DAY).cards[0].contract_id


def test_asking_again_costs_one_query(cast: Cast, django_assert_num_queries: Any) -> None:
    # Versions, providers, models, prices, everybody's aliases, contracts, own aliases.
    with django_assert_num_queries(7):
        first = selectors.load_pricer(cast.acme.id)
    with django_assert_num_queries(1):
        assert selectors.load_pricer(cast.acme.id) is first
    # Another organization shares the public part.
    with django_assert_num_queries(3):
        selectors.load_pricer(cast.globex.id)
    selectors.load_exchange(cast.acme.id)
    with django_assert_num_queries(2):
        selectors.load_exchange(cast.acme.id)


def test_a_change_of_ones_own_is_seen_at_once_and_leaves_others_alone(cast: Cast) -> None:
    theirs = selectors.load_pricer(cast.globex.id)
    assert contract_id(cast.acme.id) == 0
    discount(cast.acme.id, 10)
    assert contract_id(cast.acme.id) != 0
    assert selectors.load_pricer(cast.globex.id) is theirs


def test_a_new_book_is_seen_by_everybody(cast: Cast) -> None:
    before = selectors.load_pricer(cast.acme.id)
    seed([provider("openai", {"gpt": {"input_mtok": "3"}})], AT)
    assert selectors.load_pricer(cast.acme.id) is not before


def test_a_change_rolled_back_is_not_remembered(cast: Cast) -> None:
    with transaction.atomic():
        discount(cast.acme.id, 10)
        undone = contract_id(cast.acme.id)
        transaction.set_rollback(True)
    assert contract_id(cast.acme.id) == 0
    discount(cast.acme.id, 20)
    assert contract_id(cast.acme.id) not in (0, undone)


def test_a_charge_is_explained_by_the_prices_it_was_booked_at_whatever_came_after(cast: Cast) -> None:
    discount(cast.acme.id, 10)
    used = counts(input_uncached=1_000, output_text=200)
    booked = rate(selectors.load_pricer(cast.acme.id).find("openai", "gpt", "", "", DAY), used, AT)
    made = selectors.contracts(cast.acme.id)[0]
    services.close_contract(
        organization_id=cast.acme.id, contract_id=made.id, effective_to=DAY, by=system("test"), at=AT
    )
    seed([provider("openai", {"gpt": {"input_mtok": "3"}})], AT)
    names: dict[str, Any] = {"provider": "openai", "model": "gpt"}
    ids: dict[str, Any] = {"price_id": booked.price_id, "contract_id": booked.contract_id}
    found = selectors.charged(cast.acme.id, **ids, **names)
    assert found is not None
    assert sum(line.effective_pico for line in explain(found, used, AT)) == booked.effective_pico > 0
    # A contract is its organization's alone.
    with pytest.raises(NotFound):
        selectors.charged(cast.globex.id, **ids, **names)
    with pytest.raises(NotFound):
        selectors.charged(cast.acme.id, price_id=2**31 - 1, contract_id=0, **names)
    assert selectors.charged(cast.acme.id, price_id=0, contract_id=0, **names) is None


def test_an_own_models_charge_is_explained_by_its_contract(cast: Cast) -> None:
    made = services.add_custom_model(
        organization_id=cast.acme.id,
        about=services.Agreed(provider="vllm", model="llama", effective_from=DAY),
        steps=[steps(output_text="2")],
        by=system("test"),
        at=AT,
    )
    found = selectors.charged(cast.acme.id, price_id=0, contract_id=made.id, provider="vllm", model="llama")
    assert found is not None
    assert rate(found, counts(output_text=10), AT).effective_pico == 20_000_000


def test_only_so_many_organizations_are_kept(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selectors, "_KEPT", 1)
    monkeypatch.setattr(selectors, "_pricers", {})
    first = selectors.load_pricer(cast.acme.id)
    selectors.load_pricer(cast.globex.id)
    assert selectors.load_pricer(cast.acme.id) is not first


def test_before_the_first_seeding_everything_is_unknown(cast: Cast) -> None:
    with pytest.raises(NotFound):
        selectors.price(0)
    assert selectors.book() is not None
    assert selectors.load_catalogue().knows("openai", "gpt")
