"""The upstream's own sums agree with the product's prices: what is compared later differs by usage alone."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from finops.pricing.rules import Pricer, rate
from finops.pricing.rules.catalogue import read
from tests.factories.pricing import catalogue_of, counts, provider
from tests.factories.small_book import SMALL_BOOK
from tests.fakes.upstream.bill import cost_pico

AT = datetime(2026, 11, 1, 12, tzinfo=UTC)
PRICER = Pricer(catalogue_of(read([provider(name, models) for name, models in SMALL_BOOK.items()])))
READ = ("input_uncached", "cache_read", "cache_write_5m", "cache_write_1h")
METERS = (*READ, "output_text", "output_reasoning", "web_searches")
MODELS = list(chain.from_iterable([(name, model) for model in models] for name, models in SMALL_BOOK.items()))


@given(st.sampled_from(MODELS), st.dictionaries(st.sampled_from(METERS), st.integers(0, 10**7)))
def test_a_line_costs_what_the_house_would_charge(which: tuple[str, str], meters: dict[str, int]) -> None:
    name, model = which
    rated = rate(PRICER.find(name, model, "", "", AT.date()), counts(**meters), AT)
    assert (rated.effective_pico if rated.priced else None) == cost_pico(SMALL_BOOK[name][model], meters)


def test_a_model_without_prices_has_none() -> None:
    assert cost_pico(None, {"input_uncached": 1}) is None
