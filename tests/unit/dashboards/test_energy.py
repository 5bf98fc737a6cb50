"""How energy is dressed: between two figures, in a unit that fits, and unknown where it is."""

from __future__ import annotations

import pytest

from dashboards.templatetags.measures import grams, shares, unknown_part, watt_hours
from finops.energy.types import Footprint, Range


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (Range(1.0, 2.0), "1.00 to 2.00\u202fWh"),
        (Range(0.0, 0.01234), "0 to 0.0123\u202fWh"),
        (Range(0.00000012, 0.00000034), "< 0.000001\u202fWh"),
        (Range(500.0, 2_500.0), "0.500 to 2.50\u202fkWh"),
        (Range(1_234_567.0, 98_765_432.0), "1.23 to 98.8\u202fMWh"),
        (Range(5e9, 1.5e12), "5.00 to 1,500\u202fGWh"),
        (Range(3.0, 3.0), "3.00\u202fWh"),
        (None, "unknown"),
        ("", "unknown"),
    ],
)
def test_energy_is_said_between_its_bounds(said: Range | None, shown: str) -> None:
    assert watt_hours(said) == shown


def test_weights_have_their_units() -> None:
    assert grams(Range(12.0, 999.0)) == "12.0 to 999\u202fg"
    assert grams(Range(900.0, 1_100.0)) == "0.900 to 1.10\u202fkg"
    assert grams(Range(2e6, 3e6)) == "2.00 to 3.00\u202ft"


def test_what_is_unknown_is_said_in_words() -> None:
    assert unknown_part(Footprint()) == ""
    assert unknown_part(Footprint(unknown_tokens=1_234, unknown=("a/b",))) == "1,234 tokens unknown"
    assert unknown_part(Footprint(unknown_tokens=12_345_678, unknown=("a/b", "c"))) == "12.3M tokens unknown"
    assert shares(Range(0.412, 0.63)) == "41.2\u202f% to 63.0\u202f%"
    assert shares(None) == ""
