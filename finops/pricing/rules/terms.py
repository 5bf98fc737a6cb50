"""What people may write into prices: checked, and put into the form the book keeps. Raises what it refuses."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NamedTuple

from finops.core.errors import Invalid
from finops.core.money import to_price
from finops.core.tokens import COUNT_METERS, METERS
from finops.pricing.rules.currencies import CURRENCIES
from finops.pricing.types import StepRates

_MILLION: Final = 1_000_000
# A million dollars a million tokens, or a million a request: beyond it a figure is in the wrong unit.
_HIGHEST: Final = Decimal(10) ** 6
_HIGHEST_RATE: Final = Decimal(10) ** 12
_PLACES: Final = 12
MAX_STEPS: Final = 20
MAX_RATES: Final = 100_000


class PriceInvalid(Invalid):
    code = "pricing.price_invalid"


class CurrencyUnknown(Invalid):
    code = "pricing.currency_unknown"


class PeriodInvalid(Invalid):
    code = "pricing.period_invalid"


class RatesUnreadable(Invalid):
    """A file of exchange rates that cannot be taken. Names the line and the column; nothing of it is kept."""

    code = "pricing.rates_unreadable"


class GivenRate(NamedTuple):
    """An exchange rate as somebody gives it."""

    day: date
    from_currency: str
    to_currency: str
    rate: Decimal
    source: str = ""


def currency(code: str, *, field: str) -> str:
    """An ISO 4217 code in upper case. Raises CurrencyUnknown."""
    upper = code.strip().upper()
    if upper not in CURRENCIES:
        raise CurrencyUnknown(f"{code!r} is not an ISO 4217 currency", field=field)
    return upper


def period(start: date, end: date | None) -> None:
    """Raises PeriodInvalid when it ends on or before its first day."""
    if end is not None and end <= start:
        raise PeriodInvalid(f"the period ends on {end}, before it has begun on {start}", field="effective_to")


def percent(value: Decimal) -> Decimal:
    """A discount, 0 to 100, at most four places. Raises PriceInvalid."""
    if not value.is_finite() or not 0 <= value <= 100:
        raise PriceInvalid("a discount is between 0 and 100 percent", field="percent")
    if value != value.quantize(Decimal("0.0001")):
        raise PriceInvalid("a discount has at most four decimal places", field="percent")
    return value


def steps_as_kept(steps: Sequence[StepRates]) -> list[dict[str, Any]]:
    """Prices as people write them (per million tokens, or each for what is counted) as the book keeps them: per million
    units, rounded half-even to six places, as text. Raises PriceInvalid naming the step and meter.
    """
    if not 1 <= len(steps) <= MAX_STEPS:
        raise PriceInvalid(f"a price has 1 to {MAX_STEPS} steps", field="steps")
    kept: list[dict[str, Any]] = []
    before = -1
    for index, step in enumerate(steps):
        here = f"steps[{index}]"
        if index == 0 and step.above_input_tokens != 0:
            raise PriceInvalid("the first step is above 0 tokens", field=f"{here}.above_input_tokens")
        if step.above_input_tokens <= before:
            raise PriceInvalid("each step is above more tokens than the last", field=f"{here}.above_input_tokens")
        if not step.rates:
            raise PriceInvalid("a step without a single price says nothing", field=f"{here}.rates")
        before = step.above_input_tokens
        kept.append({"above_input_tokens": before, "rates": _rates(step.rates, here)})
    return kept


def steps_as_given(steps: Sequence[StepRates]) -> list[dict[str, Any]]:
    """The same as JSON, untouched: for the record."""
    return [
        {"above_input_tokens": step.above_input_tokens, "rates": {name: str(rate) for name, rate in step.rates.items()}}
        for step in steps
    ]


def _rates(given: Mapping[str, Decimal], here: str) -> dict[str, str]:
    kept = {}
    for meter in METERS:
        if meter not in given:
            continue
        price = given[meter]
        if not price.is_finite() or not 0 <= price <= _HIGHEST:
            raise PriceInvalid(f"a price is between 0 and {_HIGHEST}", field=f"{here}.rates.{meter}")
        kept[meter] = format(to_price(price * _MILLION if meter in COUNT_METERS else price), "f")
    if unknown := sorted(given.keys() - set(METERS)):
        raise PriceInvalid(f"no such meter: {unknown[0]}", field=f"{here}.rates.{unknown[0]}")
    return kept


def exchange_rate(given: GivenRate, *, field: str = "rates[0]") -> GivenRate:
    """The same with its currencies in upper case. Raises CurrencyUnknown or PriceInvalid, below `field`."""
    source, target = (
        currency(given.from_currency, field=f"{field}.from_currency"),
        currency(given.to_currency, field=f"{field}.to_currency"),
    )
    if source == target:
        raise PriceInvalid("a rate is between two currencies", field=f"{field}.to_currency")
    if not given.rate.is_finite() or not 0 < given.rate < _HIGHEST_RATE:
        raise PriceInvalid("a rate is above 0", field=f"{field}.rate")
    if given.rate != given.rate.quantize(Decimal(1).scaleb(-_PLACES)):
        raise PriceInvalid(f"a rate has at most {_PLACES} decimal places", field=f"{field}.rate")
    return given._replace(from_currency=source, to_currency=target)


def read_rates_csv(text: str, *, source: str = "") -> list[GivenRate]:
    """A file with the columns day, from, to and rate (and source, if there is one), in any order.

    Raises RatesUnreadable naming the first line and column that cannot be read.
    """
    if "\x00" in text:
        raise RatesUnreadable("the file is not text", field="line 1")
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    try:
        columns = {(name or "").strip().lower(): name for name in reader.fieldnames or ()}
        for wanted in ("day", "from", "to", "rate"):
            if wanted not in columns:
                raise RatesUnreadable(f"there is no column {wanted!r}", field="line 1")
        found: list[GivenRate] = []
        for row in reader:
            if len(found) >= MAX_RATES:
                raise RatesUnreadable(f"more than {MAX_RATES} rates in one file", field=f"line {reader.line_num}")
            found.append(_rate_of_row(row, columns, reader.line_num, source))
    except csv.Error as error:
        raise RatesUnreadable(f"not readable as CSV: {error}", field=f"line {reader.reader.line_num}") from None
    return found


def _rate_of_row(row: Mapping[str, Any], columns: Mapping[str, str], line: int, source: str) -> GivenRate:
    def said(name: str) -> str:
        return str(row.get(columns[name]) or "").strip() if name in columns else ""

    try:
        day = date.fromisoformat(said("day"))
    except ValueError:
        raise RatesUnreadable(f"{said('day')!r} is not a day", field=f"line {line}, day") from None
    try:
        rate = Decimal(said("rate"))
    except InvalidOperation:
        raise RatesUnreadable(f"{said('rate')!r} is not a number", field=f"line {line}, rate") from None
    given = GivenRate(day, said("from"), said("to"), rate, said("source") or source)
    try:
        return exchange_rate(given, field=f"line {line}")
    except Invalid as error:
        raise RatesUnreadable(error.message, field=error.field) from None


def steps_as_shown(kept: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Steps of the book as people read and write them: per million tokens, each for what is counted, no idle zeros."""
    return [
        {
            "above_input_tokens": step["above_input_tokens"],
            "rates": {meter: _shown(meter, Decimal(price)) for meter, price in step["rates"].items()},
        }
        for step in kept
    ]


def _shown(meter: str, price: Decimal) -> str:
    plain = price / _MILLION if meter in COUNT_METERS else price
    return format(plain.normalize() + Decimal(0), "f")
