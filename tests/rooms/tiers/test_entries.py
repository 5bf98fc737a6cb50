"""What an organization says of models: kept, changed, taken back, bounded, and in the trail."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from finops.audit.models import AuditEvent
from finops.core.errors import NotFound
from routing.configuration import wire
from routing.configuration.models import Published
from routing.configuration.services import publish_changes
from routing.tiers import rules, selectors, services
from routing.tiers.models import ModelTier
from routing.tiers.types import Entry, Tier
from tests.factories.ledger import AT, Book
from tests.factories.orgs import HOUSE, Cast


def said(cast: Cast, model: str = "gpt", **given: object) -> ModelTier:
    entry = Entry(model=model, **{"tier": Tier.LIGHT} | given)  # type: ignore[arg-type]
    return services.set_entry(organization_id=cast.acme.id, entry=entry, by=HOUSE, at=AT)


def trail() -> list[str]:
    return list(AuditEvent.objects.filter(subject_kind="model_tier").order_by("id").values_list("verb", flat=True))


def test_said_changed_and_taken_back(cast: Cast, book: Book) -> None:
    assert selectors.register(cast.acme.id, AT).of("gpt", "openai").by == "price"
    first = said(cast)
    assert selectors.register(cast.acme.id, AT).of("gpt").tier is Tier.LIGHT
    assert said(cast, " GPT ").id == first.id
    assert trail() == ["model_tier.set"]
    again = said(cast, tier=Tier.MID, vendor="openai")
    assert again.id == first.id
    assert AuditEvent.objects.filter(verb="model_tier.set").latest("id").details == {
        "said": {"tier": "mid", "vendor": "openai", "origin": "", "open_weights": None},
        "before": {"tier": "light", "vendor": "", "origin": "", "open_weights": None},
    }
    services.remove_entry(organization_id=cast.acme.id, model_tier_id=first.id, by=HOUSE, at=AT)
    assert not ModelTier.objects.exists()
    assert trail() == ["model_tier.set", "model_tier.set", "model_tier.removed"]
    with pytest.raises(NotFound):
        services.remove_entry(organization_id=cast.acme.id, model_tier_id=first.id, by=HOUSE, at=AT)


def test_what_is_said_of_models_is_published(cast: Cast) -> None:
    publish_changes(AT)
    publish_changes(AT)
    row = said(cast, "our-own", vendor="our-lab", origin="DE")
    assert publish_changes(AT) == [cast.acme.id]
    assert _published(cast) == (Entry(model="our-own", vendor="our-lab", origin="DE", tier=Tier.LIGHT),)
    # Said again it changes nothing.
    said(cast, "our-own", vendor="our-lab", origin="DE")
    assert publish_changes(AT) == []
    services.remove_entry(organization_id=cast.acme.id, model_tier_id=row.id, by=HOUSE, at=AT)
    assert publish_changes(AT) == [cast.acme.id]
    assert _published(cast) == ()


def _published(cast: Cast) -> tuple[Entry, ...]:
    body = Published.objects.get(organization_id=cast.acme.id).body
    return wire.decode_organization(bytes(body)).models


def test_it_is_one_organizations_own(cast: Cast, book: Book) -> None:
    row = said(cast)
    assert selectors.register(cast.globex.id, AT).of("gpt", "openai").tier is Tier.FRONTIER
    with pytest.raises(NotFound):
        selectors.entry(cast.globex.id, row.id)


def test_prices_say_a_tier_by_the_day(cast: Cast, book: Book) -> None:
    register = selectors.register(cast.acme.id, AT)
    # 12.5 dollars blended; without a price of its output, an embedding goes by its input.
    assert (register.of("gpt", "openai").tier, register.of("embed", "openai").tier) == (Tier.FRONTIER, Tier.LIGHT)
    before_the_book = selectors.register(cast.acme.id, AT - timedelta(days=4_000))
    assert before_the_book.of("nobody-sells", "openai").by == "name"


def test_there_are_not_too_many(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "MOST_ENTRIES", 2)
    said(cast, "a")
    said(cast, "b")
    said(cast, "b", tier=Tier.MID)
    with pytest.raises(rules.TooManyEntries):
        said(cast, "c")


@pytest.mark.parametrize(
    "wrong",
    [{"model": ""}, {"tier": "tiny"}, {"origin": "us"}, {"tier": "", "vendor": "", "origin": ""}],
)
def test_the_database_refuses_what_cannot_be(cast: Cast, wrong: dict[str, str]) -> None:
    usual = {"organization_id": cast.acme.id, "model": "gpt", "tier": "mid", "changed_at": AT}
    with pytest.raises(IntegrityError), transaction.atomic():
        ModelTier.objects.create(**usual | wrong)


def test_the_database_keeps_one_for_a_name(cast: Cast) -> None:
    said(cast)
    with pytest.raises(IntegrityError, match="model_tier_once"), transaction.atomic():
        ModelTier.objects.create(organization_id=cast.acme.id, model="gpt", tier="mid", changed_at=AT)
