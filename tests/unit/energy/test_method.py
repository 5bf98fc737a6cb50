"""The published method, held against what its own package says."""

from __future__ import annotations

import pytest

from finops.energy.book import RELEASE, book
from finops.energy.rules.estimating import Estimator
from finops.energy.rules.formula import gpus
from finops.energy.types import Use

# What `ecologits.tracers.utils.llm_impacts(provider, model, tokens, math.inf)` said, release 0.11.3, on 2026-11-23:
# kWh, kg of CO2e of using it and of making the machines, lower and upper each. By our names of providers.
RECORDED = [
    ("openai", "gpt-4o", 1, 9.053121974891465e-06, 1.0015203678490703e-05, 3.4800200871482793e-06,
     3.849844294011826e-06, 1.6237331081081081e-06, 1.6237331081081081e-06),
    ("openai", "gpt-4o", 1000, 0.001435746974891466, 0.0023978286784907027, 0.0005519011371482795,
     0.0009217253440118262, 3.6779983108108106e-05, 3.6779983108108106e-05),
    ("openai", "gpt-4o-mini", 500, 3.241725079152096e-05, 3.9250217436401904e-05, 1.2461191204260658e-05,
     1.5087783582552893e-05, 1.1180198444092828e-06, 1.1180198444092828e-06),
    ("openai", "gpt-5-pro", 12345, 0.570607799932821, 1.3480048012302261, 0.21934163829417638, 0.518173045592899,
     0.02188708333333333, 0.02188708333333333),
    ("anthropic", "claude-haiku-4-5", 800, 4.784782167773317e-05, 0.0001260506250168151, 1.8392702652920632e-05,
     4.845386025646373e-05, 1.7295869593881858e-06, 3.4591739187763717e-06),
    ("anthropic", "claude-opus-4-8", 2000, 0.005918371593829878, 0.011715266677043186, 0.002275022040668205,
     0.004503348510655401, 9.854448706377859e-05, 9.854448706377859e-05),
    ("mistral", "mistral-large-2512", 300, 0.0008490060095409451, 0.0008490060095409451, 2.9935951896413723e-05,
     2.9935951896413723e-05, 2.9674831081081078e-05, 2.9674831081081078e-05),
    ("google", "gemini-2.5-pro", 4096, 0.046268929069704756, 0.11134996629936078, 0.01778577633439451,
     0.04280292704547429, 0.0004925910039941903, 0.0004925910039941903),
    ("openai", "gpt-5-codex", 700, 0.0012974861909407682, 0.002112878674430335, 0.0004987536917976313,
     0.0008121905624510207, 0.00010899686848994131, 0.0001832087695219345),
    ("huggingface", "meta-llama/Meta-Llama-3.1-8B-Instruct", 1000, 8.101332895294711e-05, 8.472953670308228e-05,
     3.114152364951287e-05, 3.257003390866483e-05, 7.305620005541054e-06, 7.305620005541054e-06),
    ("huggingface", "openai/gpt-oss-120b", 1000, 0.0003111360589937297, 0.00032540835527784573, 0.0001196007010771897,
     0.0001250869717688039, 2.7928189129165763e-05, 2.7928189129165763e-05),
    ("cohere", "command-a-03-2025", 150, 7.701811221855963e-05, 7.701811221855963e-05, 2.9605762336814323e-05,
     2.9605762336814323e-05, 2.104571197411003e-06, 2.104571197411003e-06),
]  # fmt: skip


@pytest.mark.parametrize("said", RECORDED, ids=lambda said: f"{said[1]} {said[2]}")
def test_a_request_is_estimated_as_the_package_does(said: tuple[str, str, int, float, float, float, float]) -> None:
    provider, model, tokens, *kilos = said
    assert RELEASE == "0.11.3"
    found = Estimator(book()).of(Use(provider, model, 1, tokens))
    assert found.wh is not None
    assert found.grid_g is not None
    assert found.hardware_g is not None
    told = [bound for one in (found.wh, found.grid_g, found.hardware_g) for bound in (one.lower, one.upper)]
    assert [one / 1_000 for one in told] == pytest.approx(kilos, rel=1e-9)


def test_many_requests_are_the_sum_of_each() -> None:
    estimator = Estimator(book())
    each = [estimator.of(Use("openai", "gpt-4o", 1, tokens)) for tokens in (1, 250, 4_000)]
    assert None not in [one.wh for one in each]
    found = estimator.of(Use("openai", "gpt-4o", 3, 4_251))
    assert found.wh is not None
    assert found.wh.lower == pytest.approx(sum(one.wh.lower for one in each if one.wh))
    assert found.wh.upper == pytest.approx(sum(one.wh.upper for one in each if one.wh))


def test_every_model_of_the_data_has_bounds_in_order_and_uses_something() -> None:
    data, estimator = book(), Estimator(book())
    assert len(data.models) > 250
    assert len(data.zones) > 200
    for name in data.models:
        rate = estimator.rate("openai", name)
        assert rate is not None
        assert 0 < rate.token_wh.lower <= rate.token_wh.upper, name
        assert rate.token_hardware_g is not None
        assert 0 < rate.token_hardware_g.lower <= rate.token_hardware_g.upper, name


@pytest.mark.parametrize(("total", "number"), [(1, 1), (33, 1), (34, 2), (70, 4), (440, 16), (2_000, 64)])
def test_weights_are_spread_over_a_power_of_two_of_gpus(total: float, number: int) -> None:
    assert gpus(total) == number
