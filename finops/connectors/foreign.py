"""A part of a foreign record, whose fields may hold anything: each is read by its kind, or is Wrong. Pure.

Decimals are read from the text as it stands, never through a float. Text is free of NUL and at most 300 long.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import msgspec

from finops.connectors.counting import Meters, Unreadable
from finops.connectors.pages import BodyUnreadable
from finops.connectors.types import Counts, GivenCost, Problem, Received, UsageEvent
from finops.connectors.wording import WHOLE, clean, not_json, problem
from finops.core.money import to_ledger, to_pico
from finops.core.tokens import MAX_COUNT, METERS

LONGEST: Final = 300
MOST_TAGS: Final = 50
_LONGEST_KEY: Final = 60
_LONGEST_VALUE: Final = 200
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# Milliseconds and seconds until the year 5138.
_LAST_MS: Final = 10**14
_LAST_S: Final = 10**11
_DECIMAL: Final = re.compile(r"[+-]?[0-9]{1,20}(\.[0-9]{0,30})?([eE][+-]?[0-9]{1,2})?")
# More digits before the point than the ledger has, or an exponent nobody writes, is a mistake of the source's.
_MOST: Final = Decimal(10) ** 12
_FARTHEST: Final = 40
decode: Final = msgspec.json.Decoder(float_hook=Decimal).decode
# What `decode` raises for what it cannot read.
UNDECODABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, InvalidOperation)
encode: Final = msgspec.json.Encoder(decimal_format="number").encode


class Wrong(Exception):
    """What is wrong with a record; never leaves the connectors."""

    def __init__(self, code: str, field: str, message: str) -> None:
        super().__init__(message)
        self.problem = problem(f"connectors.{code}", field, message)


class Part:
    """An object of a record, and the path it stands at ('' is the record itself). Raises Wrong for no object."""

    __slots__ = ("path", "values")

    def __init__(self, values: Any, path: str = "") -> None:
        if not isinstance(values, Mapping):
            raise Wrong("field_invalid", path or WHOLE, f"{path or 'the record'}: expected an object")
        self.values: Mapping[str, Any] = values
        self.path = path

    def at(self, name: str) -> str:
        return f"{self.path}.{name}".lstrip(".")

    def get(self, name: str) -> Any:
        return self.values.get(name)

    def has(self, name: str) -> bool:
        return self.values.get(name) is not None

    def part(self, name: str) -> Part:
        """An empty one where nothing is said."""
        value = self.values.get(name)
        return Part({} if value is None else value, self.at(name))

    def text(self, name: str) -> str:
        """'' where nothing is said."""
        value = self.values.get(name)
        if value is None:
            return ""
        if not isinstance(value, str) or len(value) > LONGEST:
            raise self.invalid(name, f"expected text of at most {LONGEST} characters")
        return clean(value)

    def needed(self, name: str) -> str:
        value = self.text(name)
        if not value:
            raise self.missing(name)
        return value

    def flag(self, name: str) -> bool | None:
        """None where nothing is said."""
        value = self.values.get(name)
        if value is not None and type(value) is not bool:
            raise self.invalid(name, "expected true or false")
        return value

    def count(self, name: str) -> int:
        """0 where nothing is said."""
        value = self.values.get(name)
        if value is None:
            return 0
        if type(value) is not int or not 0 <= value <= MAX_COUNT:
            raise self.invalid(name, f"expected a whole number from 0 to {MAX_COUNT}")
        return value

    def decimal(self, name: str) -> Decimal | None:
        """A number, or one written as text; None where nothing is said."""
        value = self.values.get(name)
        if value is None or value == "":
            return None
        if type(value) is int:
            value = Decimal(value) if abs(value) < _MOST * _MOST else None
        elif isinstance(value, str):
            value = Decimal(value) if _DECIMAL.fullmatch(value.strip()) else None
        if not isinstance(value, Decimal) or not _is_believable(value):
            raise self.invalid(name, "expected a number")
        return value or Decimal(0)

    def moment(self, name: str) -> datetime:
        """ISO 8601 as UTC; without an offset it is UTC already."""
        try:
            found = datetime.fromisoformat(self.needed(name))
            return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
        except (ValueError, OverflowError):
            raise self.invalid(name, "expected a time, like 2026-11-20T10:15:00Z") from None

    def of_milliseconds(self, name: str) -> datetime:
        """Milliseconds since 1970, as a number or its digits."""
        return _EPOCH + timedelta(milliseconds=self._since_1970(name, _LAST_MS))

    def of_seconds(self, name: str) -> datetime:
        return _EPOCH + timedelta(seconds=self._since_1970(name, _LAST_S))

    def missing(self, name: str) -> Wrong:
        return Wrong("field_missing", self.at(name), f"{self.at(name)} is required")

    def invalid(self, name: str, message: str) -> Wrong:
        return Wrong("field_invalid", self.at(name), f"{self.at(name)}: {message}")

    def _since_1970(self, name: str, last: int) -> int:
        value = self.values.get(name)
        if value is None:
            raise self.missing(name)
        if isinstance(value, str) and len(value) <= 20 and value.isascii() and value.isdigit():
            value = int(value)
        if type(value) is not int or not 0 <= value < last:
            raise self.invalid(name, "expected the time since 1970 as a whole number")
        return value


def received(raw: bytes, read: Callable[[Part], UsageEvent], name: Callable[[Part], str] | None = None) -> Received:
    """A record as `read` understands it, or its Problem. `name` makes out its id where the rest cannot be read."""
    try:
        values = decode(raw)
        event = read(Part(values))
    except Wrong as wrong:
        return Received(raw, None, wrong.problem, _named(raw, name))
    except Unreadable as error:
        return Received(raw, None, error.problem, _named(raw, name))
    except RecursionError:
        return Received(raw, None, problem("connectors.malformed", WHOLE, "the record is nested too deeply"))
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return Received(raw, None, not_json(str(error), raw))
    except (ArithmeticError, ValueError):
        # A number or a time that no reader above has thought of: one bad record costs its neighbours nothing.
        return Received(raw, None, problem("connectors.malformed", WHOLE, "the record holds a number nobody can read"))
    return Received(raw, event, None, event.external_id)


def body_of(body: bytes, what: str) -> Mapping[str, Any]:
    """A whole body as its object. Raises BodyUnreadable: `what` says what was expected."""
    try:
        values = decode(body)
    except UNDECODABLE:
        values = None
    if not isinstance(values, dict):
        raise BodyUnreadable(f"This is not {what}: the body is no JSON object.")
    return values


def rows_of(body: Mapping[str, Any], name: str, what: str) -> list[Any]:
    """The list of that name in it. Raises BodyUnreadable."""
    rows = body.get(name)
    if not isinstance(rows, list):
        raise BodyUnreadable(f"This is not {what}: there is no list {name!r} in it.")
    return rows


def counts_of(made: Meters | Problem) -> Counts:
    """Meters by their names in the order of METERS. Raises Wrong for what is wrong with them."""
    if isinstance(made, Problem):
        wrong = Wrong("usage_unreadable", made.field, made.message)
        wrong.problem = made
        raise wrong
    return tuple([made.get(name, 0) for name in METERS])


def given_cost(amount: Decimal, currency: str, field: str) -> GivenCost:
    """Rounded half-even to twelve places, once. Raises Wrong for what no charge costs, or an odd currency."""
    if not _is_believable(amount) or abs(amount) >= _MOST:
        raise Wrong("field_invalid", field, f"{field}: no single charge is this large")
    if len(currency) != 3 or not currency.isascii() or not currency.isalpha():
        raise Wrong("field_invalid", field, f"{field}: {clean(currency)[:20]!r} is no currency, like USD")
    return GivenCost(to_pico(to_ledger(amount)), currency.upper())


def tags_of(told: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Sorted, without those that say nothing, and bounded."""
    kept = {clean(key)[:_LONGEST_KEY]: clean(value)[:_LONGEST_VALUE] for key, value in told.items() if key and value}
    return tuple(sorted(kept.items())[:MOST_TAGS])


def key_of(parts: Iterable[str]) -> str:
    """A readable id of values, equal exactly when all of them are; its tail is a hash where it would be too long."""
    made = "|".join([clean(part).replace("%", "%25").replace("|", "%7C") for part in parts])
    if len(made) <= LONGEST:
        return made
    return f"{made[: LONGEST - 33]}|{digest(made)}"


def digest(text: str) -> str:
    """32 hexadecimal digits."""
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).hexdigest()


def plain(value: Decimal) -> str:
    """A number as people write it: `1200`, not `1.2E+3`."""
    return format(value.normalize(), "f")


def _is_believable(value: Decimal) -> bool:
    return value.is_finite() and (not value or abs(value.adjusted()) <= _FARTHEST)


def _named(raw: bytes, name: Callable[[Part], str] | None) -> str:
    if name is None:
        return ""
    try:
        return name(Part(decode(raw)))
    except (Wrong, Unreadable, ArithmeticError, ValueError):
        return ""
