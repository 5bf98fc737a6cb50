"""Dresses measures for people: scores, differences, ratios, what a task costs. They are floats of statistics, no
money of the ledger, and nothing here is added up again.
"""

from __future__ import annotations

from decimal import Decimal
from math import floor, log10
from typing import Any, Final

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from dashboards.templatetags import figures
from dashboards.templatetags.figures import MINUS, MISSING

register = template.Library()

# Points either side of nothing that the small bar spans; what is beyond is cut off, and said in figures beside it.
REACH: Final = 20.0
# Templates give '' for what is not there.
_NOTHING: Final = (None, "")
# Of energy and of what it weighs: from which on the unit is used, and what it is divided by.
_WATT_HOURS: Final = ((1e9, "GWh"), (1e6, "MWh"), (1e3, "kWh"), (0.0, "Wh"))
_GRAMS: Final = ((1e6, "t"), (1e3, "kg"), (0.0, "g"))
UNKNOWN: Final = "unknown"
# What is less is said to be, for it is not nothing.
_LEAST: Final = 1e-6


@register.filter
def score(value: Any) -> str:
    """A mean score, 0 to 1, of 100: `87.3`."""
    return MISSING if value in _NOTHING else f"{value * 100:.1f}"


@register.filter
def points(value: Any) -> str:
    """A difference of scores in points of 100, with its sign: `+1.2`, `−0.4`."""
    if value in _NOTHING:
        return MISSING
    text = f"{abs(value) * 100:.1f}"
    return text if text == "0.0" else f"{MINUS if value < 0 else '+'}{text}"


@register.filter
def between(said: Any) -> str:
    """`−2.1 to +2.9`: the bounds of something that has `lower` and `upper`."""
    if said in _NOTHING or said.lower is None or said.upper is None:
        return ""
    return f"{points(max(said.lower, -1.0))} to {points(min(said.upper, 1.0))}"


@register.filter
def part(value: Any) -> str:
    """A share, 0 to 1, as a percentage."""
    return MISSING if value in _NOTHING else figures.percent(Decimal(repr(value)))


@register.filter
def each(value: Any) -> str:
    """What one task costs, in dollars: `$0.00124`; five places, so that a column has as many."""
    if value in _NOTHING:
        return MISSING
    return figures.signed(Decimal(repr(value)), "USD", 5, tiny=True)


@register.filter
def times(value: Any) -> str:
    return MISSING if value in _NOTHING else f"×\u202f{value:.2f}"


@register.filter
def times_between(said: Any) -> str:
    if said in _NOTHING or said.lower is None or said.upper is None:
        return ""
    return f"{said.lower:.2f} to {said.upper:.2f}"


@register.filter
def watt_hours(said: Any) -> str:
    """`1.20 to 3.45 kWh`: never one figure alone, but where both bounds are the same."""
    return _ranged(said, _WATT_HOURS)


@register.filter
def grams(said: Any) -> str:
    return _ranged(said, _GRAMS)


def _ranged(said: Any, units: tuple[tuple[float, str], ...]) -> str:
    if said in _NOTHING:
        return UNKNOWN
    size, unit = next((one for one in units if said.upper >= one[0]), units[-1])
    lower, upper = (_three(value / (size or 1.0)) for value in (said.lower, said.upper))
    return f"{upper}\u202f{unit}" if lower == upper else f"{lower} to {upper}\u202f{unit}"


def _three(value: float) -> str:
    """Three figures that count; an estimate has no more."""
    if not value:
        return "0"
    if value < _LEAST:
        return f"< {_LEAST:f}"
    return f"{value:,.{min(max(0, 2 - floor(log10(value))), 6)}f}"


@register.filter
def per_thousand(rate: Any) -> Any:
    """Watt-hours of a thousand tokens."""
    return rate.token_wh.times(1_000)


@register.filter
def shares(said: Any) -> str:
    """`41.2 % to 63.0 %`."""
    return "" if said in _NOTHING else f"{part(said.lower)} to {part(said.upper)}"


@register.filter
def unknown_part(footprint: Any) -> str:
    """What of it nobody knows, in words; '' where all is known. The models are told beside it."""
    return f"{figures.count_short(footprint.unknown_tokens)} tokens unknown" if footprint.unknown else ""


@register.filter
def scored_of(line: Any) -> str:
    """How much of it was scored, in words."""
    scored = line.scored
    return (
        f"of {figures.count(scored.scored)} scored, {figures.count(scored.calls)} of {figures.count(line.calls)} calls"
    )


@register.simple_tag
def interval_bar(said: Any, margin: float | None = None, tone: str = "") -> SafeString | str:
    """A difference with its bounds on a line of REACH points either side, with a tick at nothing and one at the margin.
    Decoration beside the figures, so hidden from readers of the screen.
    """
    if said in _NOTHING:
        return ""
    low, high = _place(-1.0 if said.lower is None else said.lower), _place(1.0 if said.upper is None else said.upper)
    at = _place(said.value)
    tick = "" if margin is None else format_html('<path class="margin" d="M{0},0 V12"/>', f"{_place(-margin):.1f}")
    return format_html(
        '<svg class="interval {}" viewBox="0 0 100 12" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="axis" y="5" width="100" height="2"/><path class="zero" d="M50,0 V12"/>{}'
        '<path class="span" d="M{},6 H{}"/><path class="dot-at" d="M{},6 h0"/></svg>',
        tone, tick, f"{low:.1f}", f"{high:.1f}", f"{at:.1f}",
    )  # fmt: skip


def _place(difference: float) -> float:
    """Of 100 along the bar."""
    return 50.0 + 50.0 * min(max(difference * 100 / REACH, -1.0), 1.0)


@register.filter
def gap(one: Any) -> float:
    """The candidate's score minus the incumbent's."""
    difference: float = one.candidate - one.incumbent
    return difference


@register.filter
def incumbents_point(examined: Any) -> Any:
    """How the model that is used now did; None where it was not measured."""
    return next((one for one in examined.points if one.model == examined.incumbent), None)


@register.filter
def proposal_id(number: int) -> str:
    """What the panel of a proposal is called on its page."""
    return f"proposal-{number}"
