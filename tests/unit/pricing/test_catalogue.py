"""Reading a release: its dates, hours, tiers and thresholds as prices of our own."""

from __future__ import annotations

from datetime import date, time
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from finops.core.tokens import METERS
from finops.pricing.rules.catalogue import METER_FIELDS, Draft, clause_json, read, steps_json
from finops.pricing.rules.outputs import LARGEST_OUTPUTS
from tests.factories.pricing import fields, from_day, provider, real_content

MAY, JUNE = date(2026, 5, 1), date(2026, 6, 1)


def drafts(prices: Any, variants: list[Any] | None = None) -> list[Draft]:
    one = provider("acme-ai", {"m": prices})
    one.models[0].price_variants = variants
    content = read([one])
    assert content.unread == []
    return content.drafts


def variant(when: dict[str, str], start: date | None = None, **prices: str) -> SimpleNamespace:
    return SimpleNamespace(when=when, constraint=from_day(start) if start else None, prices=fields(prices))


def hours(start: int, end: int) -> SimpleNamespace:
    return SimpleNamespace(start_time=time(start), end_time=time(end))


def spans(found: list[Draft], tier: str = "") -> list[tuple[str, date | None, date | None, str]]:
    return [
        (one.window, one.effective_from, one.effective_to, one.steps[0]["rates"]["input_uncached"])
        for one in found
        if one.tier == tier
    ]


def test_every_meter_of_ours_is_read_from_something() -> None:
    assert set(METER_FIELDS) == set(METERS)


def test_dates_become_half_open_periods_and_the_first_has_no_beginning() -> None:
    found = drafts(
        [(None, {"input_mtok": "3"}), (from_day(MAY), {"input_mtok": "2"}), (from_day(JUNE), {"input_mtok": "1"})]
    )
    assert spans(found) == [("", None, MAY, "3.000000"), ("", MAY, JUNE, "2.000000"), ("", JUNE, None, "1.000000")]


def test_a_date_that_changes_nothing_makes_no_new_price() -> None:
    found = drafts([(None, {"input_mtok": "3"}), (from_day(MAY), {"input_mtok": "3"})])
    assert spans(found) == [("", None, None, "3.000000")]


def test_hours_written_after_a_price_go_before_it_and_hours_written_before_never_apply() -> None:
    found = drafts(
        [
            (None, {"input_mtok": "4"}),
            (hours(1, 4), {"input_mtok": "2"}),
            (from_day(MAY), {"input_mtok": "3"}),
            (hours(22, 1), {"input_mtok": "1"}),
        ]
    )
    assert sorted(spans(found), key=str) == sorted(
        [
            ("", None, MAY, "4.000000"),
            ("01:00-04:00", None, MAY, "2.000000"),
            ("22:00-01:00", None, None, "1.000000"),
            ("", MAY, None, "3.000000"),
        ],
        key=str,
    )


def test_a_tier_costs_the_standard_price_until_its_own_is_stated() -> None:
    found = drafts({"input_mtok": "2", "output_mtok": "8"}, [variant({"processing": "batch"}, MAY, input_mtok="1")])
    assert spans(found, "batch") == [("", None, MAY, "2.000000"), ("", MAY, None, "1.000000")]
    before, after = [one for one in found if one.tier == "batch"]
    assert "stated from later" in before.source
    # What the tier does not say keeps the standard price.
    assert after.steps[0]["rates"]["output_text"] == "8.000000"


def test_tiers_are_named_by_their_word_and_the_standard_one_is_not_a_tier() -> None:
    found = drafts(
        {"input_mtok": "2"},
        [
            variant({"service_tier": "default"}),
            variant({"service_tier": "flex"}, input_mtok="1"),
            variant({"speed": "fast"}, input_mtok="4"),
            variant({"route": "eu"}, input_mtok="3"),
        ],
    )
    assert [one.tier for one in found] == ["", "flex", "fast", "route:eu"]


def test_thresholds_of_several_meters_are_one_ladder() -> None:
    tiered = SimpleNamespace(base=Decimal(1), tiers=[SimpleNamespace(start=200, price=Decimal(2))])
    other = SimpleNamespace(base=Decimal(5), tiers=[SimpleNamespace(start=300, price=Decimal(6))])
    made = steps_json({"input_mtok": tiered, "output_mtok": other})
    told = [(one["above_input_tokens"], one["rates"]["input_uncached"], one["rates"]["output_text"]) for one in made]
    assert told == [(0, "1.000000", "5.000000"), (200, "2.000000", "5.000000"), (300, "2.000000", "6.000000")]


def test_what_has_no_price_of_its_own_is_priced_as_what_it_is_part_of() -> None:
    [step] = steps_json({"input_mtok": Decimal(3), "cache_write_mtok": Decimal(4), "output_mtok": Decimal(9)})
    rates = step["rates"]
    assert rates["cache_read"] == rates["input_audio"] == "3.000000"
    assert rates["cache_write_5m"] == rates["cache_write_1h"] == "4.000000"
    assert rates["output_reasoning"] == rates["output_audio"] == "9.000000"
    assert "web_searches" not in rates


def test_prices_are_rounded_half_even_to_six_places_and_the_raw_one_is_kept() -> None:
    [draft] = drafts({"input_mtok": "0.0000005", "web_searches_kcount": "10"})
    assert draft.steps[0]["rates"]["input_uncached"] == "0.000000"
    # Ten a thousand is ten thousand a million.
    assert draft.steps[0]["rates"]["web_searches"] == "10000.000000"
    assert draft.raw == {"input_mtok": "5E-7", "web_searches_kcount": "10"}


@pytest.mark.parametrize(
    "odd",
    [
        [(None, {"input_mtok": "2"}), (hours(1, 5), {"input_mtok": "1"}), (hours(4, 6), {"input_mtok": "1"})],
        [(None, {"input_mtok": "2"}),
         (SimpleNamespace(start_time=time(1, 0, 30), end_time=time(2)), {"input_mtok": "1"})],
        [],
    ],
)  # fmt: skip
def test_what_cannot_be_represented_is_named_and_not_guessed(odd: Any) -> None:
    content = read([provider("acme-ai", {"m": odd, "n": {"input_mtok": "1"}})])
    assert [one.model for one in content.drafts] == ["n"]
    assert content.unread[0].startswith("acme-ai/m: ")


def test_variants_that_cannot_be_represented_are_named() -> None:
    for bad in (
        SimpleNamespace(when={"processing": "batch"}, constraint=hours(1, 2), prices=fields({"input_mtok": "1"})),
        variant({"service_tier": "default"}, input_mtok="1"),
    ):
        one = provider("acme-ai", {"m": {"input_mtok": "2"}})
        one.models[0].price_variants = [bad]
        assert len(read([one]).unread) == 1


def test_a_clause_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown match clause"):
        clause_json(SimpleNamespace(sounds_like="gpt"))


def test_the_installed_release_is_read_whole_and_always_the_same() -> None:
    content = real_content()
    assert content.unread == []
    assert content.digest() == content.digest()
    assert content.digest() != read([provider("acme-ai", {"m": {"input_mtok": "1"}})]).digest()


def test_models_whose_largest_answer_is_known_are_in_the_catalogue() -> None:
    known = {(one.provider, model.model) for one in real_content().providers for model in one.models}
    assert LARGEST_OUTPUTS.keys() <= known
