"""Dresses numbers for people. In: Decimal and int. Out: text. Nothing here is added up again, and nothing is a float.

A real minus sign, thin grouping by comma, one number of decimals per column. Missing is "n/a", never 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import Final

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()

MINUS: Final = "\u2212"
MISSING: Final = "n/a"
_SYMBOLS: Final = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "CNY": "CN¥", "INR": "₹", "KRW": "₩", "BRL": "R$"}
_WHOLE: Final = frozenset({"JPY", "KRW", "VND", "CLP", "ISK", "HUF"})
_STEPS: Final = ((12, "T"), (9, "B"), (6, "M"), (3, "k"))
# Below this much of the base a percentage says nothing.
PERCENT_FLOOR: Final = Decimal(1)


def places_of(currency: str) -> int:
    """Decimals a person expects of a currency."""
    return 0 if currency in _WHOLE else 2


def number(value: Decimal | int, places: int = 0) -> str:
    """`1234567.891` with 2 places is `1,234,567.89`; half-even, as the ledger rounds."""
    rounded = Decimal(value).quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_EVEN)
    text = f"{abs(rounded):,f}"
    return f"{MINUS}{text}" if rounded < 0 else text


@register.filter
def money(value: Decimal | None, currency: str = "USD") -> str:
    """`$1,234.50`; `CHF 12.00` where there is no sign; a tiny amount as `< $0.01`, because it is not nothing."""
    if value is None:
        return MISSING
    return signed(value, currency, places_of(currency), tiny=True)


def signed(value: Decimal, currency: str, places: int, *, tiny: bool = False) -> str:
    smallest = Decimal(1).scaleb(-places)
    mark = _SYMBOLS.get(currency, f"{currency}\u00a0")
    if tiny and value and abs(value) < smallest / 2:
        edge = f"{mark}{smallest:f}"
        return f"< {edge}" if value > 0 else f"> {MINUS}{edge}"
    text = number(value, places)
    return f"{MINUS}{mark}{text[1:]}" if text.startswith(MINUS) else f"{mark}{text}"


@register.filter
def money_exact(value: Decimal | None, currency: str = "USD") -> str:
    """Every place the ledger keeps, without the zeros that say nothing: `$0.000123`, never fewer than two places."""
    if value is None:
        return MISSING
    places = max(places_of(currency), -int(value.normalize().as_tuple().exponent) if value else 0)
    return signed(value, currency, min(places, 12))


@register.filter
def money_fine(value: Decimal | None, currency: str = "USD") -> str:
    """Six places, for columns of single charges."""
    return MISSING if value is None else signed(value, currency, 6)


@register.filter
def money_each(value: Decimal | None, currency: str = "USD") -> str:
    """Four places: what one call costs on average."""
    return MISSING if value is None else signed(value, currency, 4, tiny=True)


@register.filter
def money_short(value: Decimal | None, currency: str = "USD") -> str:
    """For tiles and axes: `$1.24M`. The exact amount belongs beside it, in a title and one click away."""
    if value is None:
        return MISSING
    for power, letter in _STEPS[1:]:
        if abs(value) >= Decimal(10) ** power and power >= 6:
            return signed(value.scaleb(-power), currency, 2) + letter
    if abs(value) >= 10_000:
        return signed(value, currency, 0)
    return money(value, currency)


@register.filter
def rate(value: Decimal | None, currency: str = "USD") -> str:
    """A unit price per million: at least two places, at most six."""
    if value is None:
        return MISSING
    places = -int(value.normalize().as_tuple().exponent) if value else 0
    return signed(value, currency, min(max(2, places), 6))


@register.filter
def normal(value: Decimal | None) -> str:
    """A plain decimal without trailing zeros: an exchange rate."""
    return MISSING if value is None else f"{value.normalize():f}"


@register.filter
def count(value: int | None) -> str:
    return MISSING if value is None else number(value)


@register.filter
def count_short(value: int | None) -> str:
    """`12.4M`; exact below ten thousand."""
    if value is None:
        return MISSING
    for power, letter in _STEPS:
        if abs(value) >= 10**power and abs(value) >= 10_000:
            return number(Decimal(value).scaleb(-power), 1) + letter
    return number(value)


@register.filter
def percent(value: Decimal | None) -> str:
    """A share between 0 and 1 as `41.2 %`; a share that is not nothing is never shown as 0."""
    if value is None:
        return MISSING
    if value and abs(value) < Decimal("0.0005"):
        return "< 0.1\u202f%" if value > 0 else f"> {MINUS}0.1\u202f%"
    return f"{number(value * 100, 1)}\u202f%"


def share(part: Decimal, whole: Decimal) -> Decimal | None:
    """The part of the whole, or None where that says nothing."""
    return part / whole if whole else None


def change(now: Decimal, before: Decimal) -> Decimal | None:
    """Relative change, or None when the base is under the floor and a percentage would only impress."""
    return (now - before) / before if before >= PERCENT_FLOOR else None


def tied(values: Sequence[Decimal], places: int) -> list[Decimal]:
    """Rounds a column so that what is shown adds up to its rounded total (largest remainder, earlier row on a tie)."""
    unit = Decimal(1).scaleb(-places)
    floors = [value.quantize(unit, rounding=ROUND_FLOOR) for value in values]
    target = sum(values, Decimal(0)).quantize(unit, rounding=ROUND_HALF_EVEN)
    spare = int((target - sum(floors, Decimal(0))) / unit)
    by_remainder = sorted(range(len(values)), key=lambda index: (floors[index] - values[index], index))
    for index in by_remainder[:spare]:
        floors[index] += unit
    return floors


@register.filter
def when(value: datetime | None) -> str | SafeString:
    """`22 Nov 2026 05:16 UTC`, as a <time>."""
    if value is None:
        return MISSING
    utc = value.astimezone(UTC)
    return format_html('<time datetime="{}">{}</time>', f"{utc:%Y-%m-%dT%H:%M:%SZ}", f"{utc.day} {utc:%b %Y %H:%M} UTC")


@register.filter
def moment(value: datetime | None) -> str | SafeString:
    """As `when`, to the second."""
    if value is None:
        return MISSING
    utc = value.astimezone(UTC)
    return format_html(
        '<time datetime="{}">{}</time>', f"{utc:%Y-%m-%dT%H:%M:%SZ}", f"{utc.day} {utc:%b %Y %H:%M:%S} UTC"
    )


@register.filter
def day(value: date | None) -> str | SafeString:
    if value is None:
        return MISSING
    return format_html('<time datetime="{}">{}</time>', f"{value:%Y-%m-%d}", f"{value.day} {value:%b %Y}")


@register.filter
def ago(value: datetime | None, now: datetime) -> str:
    """`4 minutes ago`, `3 hours ago`, `12 days ago`."""
    if value is None:
        return "never"
    seconds = int((now - value).total_seconds())
    if seconds < 60:
        return "just now"
    for size, word in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            many = seconds // size
            return f"{many} {word}{'' if many == 1 else 's'} ago"
    return "just now"
