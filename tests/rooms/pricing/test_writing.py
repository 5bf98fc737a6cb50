"""Dana of finance writes what acme pays; Charlie of globex never sees it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from finops.audit.models import AuditEvent
from finops.core.errors import FinopsError, Invalid, NotFound
from finops.pricing import selectors, services
from finops.pricing.models import Contract, ExchangeRate
from finops.pricing.rules import rate
from finops.pricing.rules.terms import GivenRate, PeriodInvalid
from tests.factories.orgs import Cast, actor
from tests.factories.pricing import counts, steps

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("small_book")]

AT = datetime(2026, 11, 3, 9, tzinfo=UTC)
OCTOBER, NOVEMBER, DECEMBER = date(2026, 10, 1), date(2026, 11, 1), date(2026, 12, 1)
MILLION = counts(input_uncached=10**6)


def about(**given: Any) -> services.Agreed:
    usual: dict[str, Any] = {"provider": "openai", "effective_from": NOVEMBER}
    return services.Agreed(**usual | given)


def dana(cast: Cast) -> dict[str, Any]:
    return {"organization_id": cast.acme.id, "by": actor(cast.dana_login), "at": AT}


def cost(
    organization_id: int, model: str = "gpt", day: date = NOVEMBER, provider: str = "openai", host: str = ""
) -> Decimal | str:
    rated = rate(selectors.load_pricer(organization_id).find(provider, model, "", host, day), MILLION, AT)
    return Decimal(rated.contracted_pico).scaleb(-12) if rated.priced else rated.reason


def test_a_discount_holds_for_its_organization_from_its_day(cast: Cast) -> None:
    made = services.set_discount(about=about(provider="OpenAI"), percent=Decimal("12.5"), **dana(cast))
    assert (made.provider, made.model, made.tier) == ("openai", "", "*")
    assert cost(cast.acme.id) == Decimal("8.75")
    assert cost(cast.acme.id, day=OCTOBER) == 10
    assert cost(cast.globex.id) == 10
    event = AuditEvent.objects.get(verb="pricing.contract_set")
    assert (event.organization_id, event.actor) == (cast.acme.id, f"user:{cast.dana_login.id}")
    assert event.details["percent"] == "12.5"


def test_a_committed_price_for_a_model_by_any_of_its_names(cast: Cast) -> None:
    made = services.set_committed_prices(
        about=about(model="openai/GPT"), steps=[steps(input_uncached="7.1234565")], **dana(cast)
    )
    assert made.model == "gpt"
    # Rounded half-even to six places once; as given, beside.
    assert cost(cast.acme.id) == Decimal("7.123456")
    assert made.raw["steps"][0]["rates"] == {"input_uncached": "7.1234565"}


def test_an_own_model_on_an_own_machine(cast: Cast) -> None:
    services.add_custom_model(
        about=about(provider="vLLM", model="Llama-8B"), host="GPU-7.internal", currency="eur",
        steps=[steps(input_uncached="0.03", output_text="0.03", requests="0")], **dana(cast)
    )  # fmt: skip
    assert cost(cast.acme.id, "llama-8b", provider="vllm", host="gpu-7.internal") == Decimal("0.03")
    assert cost(cast.acme.id, "llama-8b", provider="vllm", host="elsewhere") == "model_unknown"
    assert cost(cast.globex.id, "llama-8b", provider="vllm", host="gpu-7.internal") == "model_unknown"


def test_a_price_agreed_in_another_currency_is_an_own_model_of_the_same_name(cast: Cast) -> None:
    services.add_custom_model(about=about(model="gpt"), currency="EUR", steps=[steps(input_uncached="8")], **dana(cast))
    find = selectors.load_pricer(cast.acme.id).find
    before, since = (rate(find("openai", "gpt", "", "", day), MILLION, AT) for day in (OCTOBER, NOVEMBER))
    assert (before.currency, before.list_pico, before.contracted_pico) == ("USD", 10 * 10**12, 10 * 10**12)
    assert (since.currency, since.list_pico, since.contracted_pico) == ("EUR", 8 * 10**12, 8 * 10**12)


@pytest.mark.parametrize(
    ("call", "code", "field"),
    [
        (lambda who: services.set_discount(about=about(provider="nobody"), percent=Decimal(5), **who),
         "pricing.provider_unknown", "provider"),
        (lambda who: services.set_discount(about=about(model="gpt-9"), percent=Decimal(5), **who),
         "pricing.model_unknown", "model"),
        (lambda who: services.set_discount(about=about(), percent=Decimal(101), **who),
         "pricing.price_invalid", "percent"),
        (lambda who: services.set_discount(about=about(effective_to=OCTOBER), percent=Decimal(5), **who),
         "pricing.period_invalid", "effective_to"),
        (lambda who: services.set_committed_prices(about=about(), steps=[steps(input_uncached="1")], **who),
         "core.invalid", "model"),
        (lambda who: services.set_committed_prices(about=about(model="gpt"), steps=[], **who),
         "pricing.price_invalid", "steps"),
        (lambda who: services.set_committed_prices(
            about=about(model="gpt"), steps=[steps(input_uncached="1")], currency="EUR", **who),
         "pricing.currency_unknown", "currency"),
        (lambda who: services.add_custom_model(about=about(), steps=[steps(input_uncached="1")], **who),
         "core.invalid", "model"),
        (lambda who: services.set_alias(pattern=" ", target_model="gpt", **who), "core.invalid", "pattern"),
        (lambda who: services.set_alias(pattern="x", target_model=" ", **who), "core.invalid", "target_model"),
        (lambda who: services.set_alias(pattern="x", target_model="nothing", **who),
         "pricing.model_unknown", "target_model"),
        (lambda who: services.set_alias(pattern="x", target_provider="azure", target_model="nothing", **who),
         "pricing.model_unknown", "target_model"),
    ],
)  # fmt: skip
def test_what_is_refused_names_its_field_and_leaves_nothing(cast: Cast, call: Any, code: str, field: str) -> None:
    with pytest.raises(FinopsError) as refused:
        call(dana(cast))
    assert (refused.value.code, refused.value.field) == (code, field)
    assert not Contract.objects.exists()
    assert not AuditEvent.objects.filter(verb__startswith="pricing.", organization_id=cast.acme.id).exists()


def test_two_contracts_may_not_say_the_same_for_one_day(cast: Cast) -> None:
    first = services.set_discount(about=about(), percent=Decimal(10), **dana(cast))
    with pytest.raises(services.ContractOverlaps):
        services.set_discount(about=about(effective_from=DECEMBER), percent=Decimal(20), **dana(cast))
    services.close_contract(contract_id=first.id, effective_to=DECEMBER, **dana(cast))
    services.set_discount(about=about(effective_from=DECEMBER), percent=Decimal(20), **dana(cast))
    assert [cost(cast.acme.id, day=day) for day in (NOVEMBER, date(2026, 11, 30), DECEMBER)] == [9, 9, 8]
    # Another model, tier or kind is another contract.
    services.set_discount(about=about(model="gpt"), percent=Decimal(15), **dana(cast))
    services.set_discount(about=about(tier="batch"), percent=Decimal(15), **dana(cast))


def test_a_contract_closed_on_its_first_day_was_never_in_force(cast: Cast) -> None:
    made = services.set_discount(about=about(), percent=Decimal(10), **dana(cast))
    services.close_contract(contract_id=made.id, effective_to=NOVEMBER, **dana(cast))
    assert cost(cast.acme.id) == 10
    services.set_discount(about=about(), percent=Decimal(20), **dana(cast))
    assert cost(cast.acme.id) == 8
    assert [row.percent for row in selectors.contracts(cast.acme.id, on=NOVEMBER)] == [20]


def test_a_contract_can_be_made_shorter_and_never_longer(cast: Cast) -> None:
    made = services.set_discount(about=about(effective_to=DECEMBER), percent=Decimal(10), **dana(cast))
    for bad in (date(2026, 10, 31), date(2026, 12, 2)):
        with pytest.raises(PeriodInvalid):
            services.close_contract(contract_id=made.id, effective_to=bad, **dana(cast))
    event_count = AuditEvent.objects.filter(verb="pricing.contract_closed").count()
    assert event_count == 0


def test_globex_cannot_close_what_is_acmes(cast: Cast) -> None:
    made = services.set_discount(about=about(), percent=Decimal(10), **dana(cast))
    with pytest.raises(NotFound):
        services.close_contract(
            organization_id=cast.globex.id, contract_id=made.id, effective_to=DECEMBER,
            by=actor(cast.charlie_login), at=AT,
        )  # fmt: skip
    assert list(selectors.contracts(cast.globex.id)) == []


def test_the_database_refuses_a_contract_that_says_what_its_kind_does_not(cast: Cast) -> None:
    row: dict[str, Any] = {
        "organization": cast.acme,
        "provider": "openai",
        "effective_from": NOVEMBER,
        "created_at": AT,
    }
    cases: list[tuple[dict[str, Any], str]] = [
        ({"kind": "discount", "percent": 101}, "contract_percent"),
        ({"kind": "committed", "model": "gpt"}, "contract_says_what_its_kind_says"),
        ({"kind": "custom", "steps": [{}]}, "contract_says_what_its_kind_says"),
        ({"kind": "discount", "steps": [{}]}, "contract_says_what_its_kind_says"),
        ({"kind": "discount", "effective_to": OCTOBER}, "contract_period_not_backwards"),
    ]
    for bad, name in cases:
        with pytest.raises(IntegrityError, match=name), transaction.atomic():
            Contract.objects.create(**row | bad)


def test_a_deployment_gets_its_models_price_by_an_alias_until_it_is_archived(cast: Cast) -> None:
    assert cost(cast.acme.id, "prod-chat", provider="azure") == "model_unknown"
    alias = services.set_alias(pattern="Prod-Chat", provider="azure_openai", target_model="gpt", **dana(cast))
    assert cost(cast.acme.id, "prod-chat", provider="azure") == 10
    assert cost(cast.globex.id, "prod-chat", provider="azure") == "model_unknown"
    with pytest.raises(services.AliasExists):
        services.set_alias(pattern="prod-chat", provider="azure", target_model="gpt-mini", **dana(cast))
    services.archive_alias(alias_id=alias.id, **dana(cast))
    assert cost(cast.acme.id, "prod-chat", provider="azure") == "model_unknown"
    with pytest.raises(NotFound):
        services.archive_alias(alias_id=alias.id, **dana(cast))


def test_an_alias_for_everybody_yields_to_ones_own(cast: Cast) -> None:
    house = {**dana(cast), "organization_id": None}
    services.set_alias(pattern="gpt-latest", kind="prefix", target_model="gpt", **house)
    assert cost(cast.globex.id, "gpt-latest-7") == 10
    services.set_alias(pattern="gpt-", kind="prefix", target_model="gpt-mini", **dana(cast))
    assert cost(cast.acme.id, "gpt-latest-7") == 1
    assert [row.pattern for row in selectors.model_aliases(cast.globex.id)] == ["gpt-latest"]


def test_an_alias_may_mean_an_own_model(cast: Cast) -> None:
    services.add_custom_model(
        about=about(provider="vllm", model="llama"), steps=[steps(input_uncached="3")], **dana(cast)
    )
    services.set_alias(pattern="chat", target_provider="vllm", target_model="Llama", **dana(cast))
    services.set_alias(pattern="talk", target_model="llama", **dana(cast))
    assert cost(cast.acme.id, "chat", provider="somewhere") == 3
    assert cost(cast.acme.id, "talk", provider="vllm") == 3


def given_rate(rate: str, source: str = "EUR") -> GivenRate:
    return GivenRate(NOVEMBER, source, "USD", Decimal(rate), "bank")


def test_rates_are_added_changed_and_left_alone(cast: Cast) -> None:
    first = services.add_exchange_rates(rates=[given_rate("1.1"), given_rate("1.3", source="GBP")], **dana(cast))
    again = services.add_exchange_rates(rates=[given_rate("1.15"), given_rate("1.3", source="gbp")], **dana(cast))
    assert (first, again) == ((2, 0, 0), (0, 1, 1))
    exchange = selectors.load_exchange(cast.acme.id)
    assert exchange.rate("EUR", NOVEMBER) == (Decimal("1.15"), NOVEMBER)
    assert selectors.load_exchange(cast.globex.id).rate("EUR", NOVEMBER) is None
    row = ExchangeRate.objects.get(from_currency="EUR")
    assert list(row.events.order_by("pgh_id").values_list("rate", flat=True)) == [  # type: ignore[attr-defined]
        Decimal("1.1"),
        Decimal("1.15"),
    ]
    assert [rate.from_currency for rate in selectors.exchange_rates(cast.acme.id, to_currency="USD")] == ["GBP", "EUR"]


def test_rates_are_all_kept_or_none(cast: Cast) -> None:
    with pytest.raises(Invalid) as refused:
        services.add_exchange_rates(rates=[given_rate("1.1"), given_rate("-1", source="GBP")], **dana(cast))
    assert refused.value.field == "rates[1].rate"
    with pytest.raises(Invalid, match="twice"):
        services.add_exchange_rates(rates=[given_rate("1.1"), given_rate("1.2")], **dana(cast))
    assert services.add_exchange_rates(rates=[], **dana(cast)) == (0, 0, 0)
    assert not ExchangeRate.objects.exists()


def test_rates_for_everybody_and_a_change_of_the_reporting_currency(cast: Cast) -> None:
    services.add_exchange_rates(**{**dana(cast), "organization_id": None}, rates=[given_rate("1.25")])
    assert selectors.load_exchange(cast.globex.id).rate("EUR", NOVEMBER) == (Decimal("1.25"), NOVEMBER)
    cast.acme.reporting_currency = "EUR"
    cast.acme.save()
    assert selectors.load_exchange(cast.acme.id).rate("USD", NOVEMBER) == (Decimal("0.8"), NOVEMBER)


def test_the_database_refuses_bad_rates(cast: Cast) -> None:
    good: dict[str, Any] = {
        "organization": cast.acme,
        "from_currency": "EUR",
        "to_currency": "USD",
        "day": NOVEMBER,
        "rate": 1,
    }
    ExchangeRate.objects.create(**good)
    cases: list[tuple[dict[str, Any], str]] = [
        ({}, "exchange_rate_once_a_day"),
        ({"rate": 0, "day": DECEMBER}, "exchange_rate_positive"),
        ({"to_currency": "EUR"}, "exchange_rate_currencies"),
        ({"to_currency": "usd"}, "exchange_rate_iso"),
    ]
    for bad, name in cases:
        with pytest.raises(IntegrityError, match=name), transaction.atomic():
            ExchangeRate.objects.create(**good | bad)
    everybody = {**good, "organization": None}
    ExchangeRate.objects.create(**everybody)
    with pytest.raises(IntegrityError, match="exchange_rate_once_a_day"), transaction.atomic():
        ExchangeRate.objects.create(**everybody)
