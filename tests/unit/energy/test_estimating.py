"""Whose figure holds, which model a name is, and what becomes of what nobody knows."""

from __future__ import annotations

import pytest

from finops.energy.book import book
from finops.energy.rules.estimating import Estimator, Figure, Grid, together
from finops.energy.rules.names import plain
from finops.energy.types import NOTHING, Footprint, Range, Use

USUAL = Estimator(book())


def wh(estimator: Estimator, provider: str, model: str, *, calls: int = 1, tokens: int = 1_000) -> Range:
    found = estimator.of(Use(provider, model, calls, tokens)).wh
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("gpt-4.1", "gpt-4-1"),
        ("anthropic/claude-opus-4.5:batch", "claude-opus-4-5"),
        ("global.anthropic.claude-haiku-4-5-20251001-v1:0", "claude-haiku-4-5-20251001"),
        ("regional.anthropic.claude-opus-4-6-v1:0", "claude-opus-4-6"),
        ("openai.gpt-oss-120b-1:0", "gpt-oss-120b"),
        ("@cf/openai/gpt-oss-20b", "gpt-oss-20b"),
        ("Meta-Llama-3.1-8B-Instruct", "meta-llama-3-1-8b-instruct"),
    ],
)
def test_a_name_is_its_makers_whoever_serves_it(said: str, name: str) -> None:
    assert plain(said) == name
    assert USUAL.rate("somebody", said) is not None


@pytest.mark.parametrize("name", ["claude-opus-9", "gpt-4o-2031-01-01", "text-embedding-3-large", "", "gpt"])
def test_a_name_that_is_no_known_one_is_not_guessed(name: str) -> None:
    assert USUAL.rate("openai", name) is None


def test_what_nobody_knows_is_unknown_and_never_nothing() -> None:
    found = USUAL.footprint([Use("acme", "house-model", 3, 500)])
    assert (found.wh, found.grid_g, found.hardware_g) == (None, None, None)
    assert (found.unknown_tokens, found.unknown, found.whole) == (500, ("acme/house-model",), False)
    both = USUAL.footprint([Use("acme", "house-model", 3, 500), Use("openai", "gpt-4o", 1, 1_000)])
    assert both.wh == wh(USUAL, "openai", "gpt-4o")
    assert (both.output_tokens, both.unknown_tokens, both.whole) == (1_500, 500, False)
    assert USUAL.footprint([Use("openai", "gpt-4o", 1, 1_000)]).whole
    assert together([]) == Footprint()


def test_what_runs_on_a_machine_of_ones_own_is_in_no_data_centre_that_was_studied() -> None:
    assert USUAL.rate("ollama", "gpt-oss-20b") is None
    assert USUAL.rate("groq", "openai/gpt-oss-20b") is not None
    own = Estimator(book(), [Figure("ollama", "gpt-oss-20b", Range(0.2, 0.3), "our meter")])
    assert wh(own, "ollama", "gpt-oss-20b") == Range(0.2, 0.3)


def test_the_organizations_figure_goes_before_the_methods_and_one_of_the_provider_first() -> None:
    own = Estimator(
        book(),
        [Figure("", "GPT-4o", Range(2.0, 3.0), "a paper"), Figure("azure", "gpt-4o", Range(1.0, 1.0), "a meter")],
    )
    assert wh(own, "openai", "gpt-4o", calls=7) == Range(2.0, 3.0)
    assert wh(own, "Azure", "gpt-4o") == Range(1.0, 1.0)
    rate = own.rate("azure", "gpt-4o")
    assert rate is not None
    assert (rate.basis, rate.source) == ("configured", "a meter")
    assert wh(own, "openai", "gpt-4o-mini") == wh(USUAL, "openai", "gpt-4o-mini")


def test_a_figure_says_nothing_of_machines_that_nobody_knows() -> None:
    own = Estimator(book(), [Figure("", "house-model", Range(1.0, 2.0), "a meter")])
    found = own.footprint([Use("acme", "house-model", 1, 1_000), Use("openai", "gpt-4o", 1, 1_000)])
    alone = USUAL.of(Use("openai", "gpt-4o", 1, 1_000))
    assert found.hardware_g == alone.hardware_g
    assert found.wh is not None
    assert alone.wh is not None
    assert found.wh.lower == pytest.approx(alone.wh.lower + 1.0)


def test_electricity_is_that_of_where_models_run_or_as_the_organization_says() -> None:
    zones = book().zones
    usual = USUAL.of(Use("openai", "gpt-4o", 1, 1_000))
    assert usual.wh is not None
    assert usual.grid_g is not None
    assert usual.grid_g.upper == pytest.approx(usual.wh.upper / 1_000 * zones["USA"])
    own = Estimator(book(), (), [Grid("openai", "wind farm", Range(10.0, 20.0)), Grid("", "FRA", Range(40.0, 40.0))])
    found = own.of(Use("openai", "gpt-4o", 1, 1_000))
    assert found.wh == usual.wh
    assert found.grid_g == Range(usual.wh.lower * 0.01, usual.wh.upper * 0.02)
    other = own.rate("anthropic", "claude-opus-4-8")
    assert other is not None
    assert (other.zone, other.grid) == ("FRA", Range(40.0, 40.0))
    unknown = USUAL.rate("somebody", "gpt-4o")
    assert unknown is not None
    assert (unknown.zone, unknown.grid.lower) == ("WOR", zones["WOR"])


def test_of_a_model_that_several_may_have_answered_the_bounds_hold_all_of_them() -> None:
    use = Use("", "gpt-4o", 2, 1_000)
    each = [wh(USUAL, name, "gpt-4o", calls=2) for name in ("openai", "somebody")]
    found = USUAL.among(("openai", "somebody"), use)
    assert found.wh == each[0].around(each[1])
    assert (found.output_tokens, found.unknown) == (1_000, ())
    assert USUAL.among(("openai",), use).wh == each[0]
    # One of them on a machine that nobody studied: then nobody knows.
    assert USUAL.among(("openai", "ollama"), use).wh is None
    assert USUAL.among(("openai", "ollama"), use).unknown_tokens == 1_000


def test_calls_that_were_taken_back_use_nothing_and_never_less() -> None:
    assert USUAL.of(Use("openai", "gpt-4o", 0, 0)).wh == NOTHING
    assert USUAL.of(Use("openai", "gpt-4o", -1, -50)).wh == NOTHING
