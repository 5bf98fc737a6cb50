"""What reports of usage and of cost have in common: rows in buckets of time, ids made of what a row is grouped by, and
money as the text it is written in. Pure.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import msgspec

from finops.connectors import counting
from finops.connectors.capstan.record import LONGEST, MOST_TAGS
from finops.connectors.types import Counts, GivenCost, Problem, Received, UsageEvent
from finops.connectors.wording import WHOLE, clean, not_json, problem
from finops.core.money import to_ledger, to_pico
from finops.core.tokens import METERS

# A tag of a row of costs: the meter that its money is for (`core.tokens.METERS`, but `output` for all that a model
# writes), where the row says one. By it money meets the tokens it was paid for.
METER: Final = "meter"
# The widths reports have buckets of, narrowest first.
WIDTHS: Final = (("1m", timedelta(minutes=1)), ("1h", timedelta(hours=1)), ("1d", timedelta(days=1)))
_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_SECOND: Final = 253_402_300_799
# Signs of group values that stay as they are in an id; `/`, `=` and `#` divide it.
_PLAIN: Final = " ,.:;+-_()|@*!'[]{}&?$"
_DIGEST: Final = 16
_NUMBER: Final = re.compile(r"-?[0-9]{1,30}(\.[0-9]{0,60})?([eE][+-]?[0-9]{1,3})?")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
# NUMERIC(24,12) has this many digits before the point.
_MOST_DIGITS: Final = 12
# A number that stands for a text, an id say, is no larger.
_MOST: Final = 10**30
_MOST_EXPONENT: Final = 1_000
_MOST_PLACES: Final = 40
_LONGEST_KEY: Final = 60
_LONGEST_VALUE: Final = 200
_MAY_BE_NEGATIVE: Final = frozenset({"Credit", "Adjustment"})


class Wrong(Exception):
    """Carries a Problem out of the reading of a record; `parsed` catches it."""

    def __init__(self, code: str, field: str, message: str) -> None:
        super().__init__(message)
        self.problem = problem(code, field, message)


class Bucket(NamedTuple):
    """`width` is one of WIDTHS: the bucket's own, though the report may have been made before it was over."""

    start: datetime
    width: str


class Row:
    """An object of a report, read name by name. `where` is its path inside the record. Raises Wrong for what is not as
    it should be.
    """

    __slots__ = ("external_id", "said", "where")

    def __init__(self, said: Mapping[str, Any], where: str = "") -> None:
        self.said = said
        self.where = where
        # Of the record itself: its id, as soon as it is known, for a record that is refused after that.
        self.external_id = ""

    def has(self, name: str) -> bool:
        return self.said.get(name) is not None

    def text(self, name: str) -> str:
        """'' where it is not said. Whole: what is kept of it is cut by `event`, what an id is made of is not."""
        value = self.said.get(name)
        if value is None:
            return ""
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int) and -_MOST < value < _MOST:
            return str(value)
        if isinstance(value, Decimal) and _is_sane(value):
            return str(value)
        if not isinstance(value, str):
            raise self.wrong(name, "expected text")
        return clean(value)

    def flag(self, name: str) -> bool:
        value = self.said.get(name)
        if value is not None and not isinstance(value, bool):
            raise self.wrong(name, "expected true or false")
        return value is True

    def count(self, name: str) -> int:
        """0 where it is not said."""
        try:
            return counting.count(self.said, name)
        except counting.Unreadable as error:
            raise Wrong(error.problem.code, f"{self.where}{name}", error.problem.message) from None

    def inside(self, name: str) -> Row:
        """An object in it; one that says nothing where that is null or missing."""
        value = self.said.get(name)
        if value is None:
            value = {}
        if not isinstance(value, dict):
            raise self.wrong(name, "expected an object")
        return Row(value, f"{self.where}{name}.")

    def needed(self, name: str) -> Row:
        if not self.has(name):
            raise Wrong("connectors.field_missing", f"{self.where}{name}", f"{name} is required")
        return self.inside(name)

    def each(self, name: str) -> list[Row]:
        """The objects of a list; none where it is null or missing."""
        value = self.said.get(name)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            raise self.wrong(name, "expected a list of objects")
        return [Row(one, f"{self.where}{name}[{place}].") for place, one in enumerate(value)]

    def number(self, name: str) -> Decimal:
        """A decimal as it is written, as a JSON number or as text; 0 where it is not said."""
        value = self.said.get(name)
        if value is None:
            return Decimal(0)
        if type(value) is int and -_MOST < value < _MOST:
            value = Decimal(value)
        elif isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
            value = Decimal(value.strip())
        if not isinstance(value, Decimal) or not _is_sane(value):
            raise self.wrong(name, "expected a number")
        return value

    def instant(self, name: str) -> datetime:
        """A time as text with its offset (BigQuery's ` UTC` is one), in UTC."""
        value = self.said.get(name)
        if value is None:
            raise Wrong("connectors.field_missing", f"{self.where}{name}", f"{name} is required")
        try:
            moment = datetime.fromisoformat(str(value).strip().replace(" UTC", "+00:00"))
            if moment.tzinfo is not None:
                return moment.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
        raise self.wrong(name, "expected a time with its offset, like 2026-11-20T10:15:00Z")

    def day(self, name: str) -> datetime:
        """The beginning of a day in UTC, written as a date, or as that moment."""
        text = self.text(name)
        if not text:
            raise Wrong("connectors.field_missing", f"{self.where}{name}", f"{name} is required")
        try:
            moment = datetime.fromisoformat(text)
            moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        except (ValueError, OverflowError):
            raise self.wrong(name, "expected a date, like 2026-11-20") from None
        if moment != moment.replace(hour=0, minute=0, second=0, microsecond=0):
            raise self.wrong(name, "expected a whole day in UTC")
        return moment

    def seconds(self, name: str) -> datetime:
        """A time as whole seconds since 1970."""
        value = self.said.get(name)
        if value is None:
            raise Wrong("connectors.field_missing", f"{self.where}{name}", f"{name} is required")
        if type(value) is not int or not 0 <= value <= _LAST_SECOND:
            raise self.wrong(name, "expected whole seconds since 1970")
        return datetime.fromtimestamp(value, UTC)

    def wrong(self, name: str, message: str) -> Wrong:
        return Wrong("connectors.field_invalid", f"{self.where}{name}", f"{name}: {message}")


def parsed(raw: bytes, read: Callable[[Row], UsageEvent]) -> Received:
    """One record, read. Never raises for a record."""
    record = Row({})
    try:
        said = _decode(raw)
        if not isinstance(said, dict):
            raise Wrong("connectors.field_invalid", WHOLE, "a record is a JSON object")
        record = Row(said)
        made = read(record)
    except Wrong as wrong:
        return Received(raw, None, wrong.problem, record.external_id)
    except RecursionError:
        return Received(raw, None, problem("connectors.malformed", WHOLE, "the record is nested too deeply"))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Received(raw, None, not_json(str(error), raw))
    return Received(raw, made, None, made.external_id)


def bucket(start: datetime, end: datetime, field: str, *, days: bool = False) -> Bucket:
    """The bucket two times say. Raises Wrong for what is none: reports begin the first bucket where they are asked to
    begin, and such a piece would be counted beside the whole one. `days`: the report has no other buckets.
    """
    for width, length in WIDTHS[-1:] if days else WIDTHS:
        if timedelta(0) < end - start <= length:
            if (start - _BEGINNING) % length:
                break
            return Bucket(start, width)
    message = "the row covers no whole bucket: ask from the beginning of a day, in buckets of 1m, 1h or 1d"
    raise Wrong("connectors.no_bucket", field, message)


def counted(row: Row, **totals: int) -> Counts:
    """Totals and their parts (see `counting.meters`) as counts. Raises Wrong where they do not fit together."""
    made = counting.meters(**totals)
    if isinstance(made, Problem):
        raise Wrong(made.code, row.where + made.field.removeprefix("usage."), made.message)
    return tuple([made.get(name, 0) for name in METERS])


def cost(row: Row, name: str, currency: str, *, places: int = 0) -> GivenCost:
    """Money as it is written, `places` digits behind the unit (2: cents), rounded half-even to the ledger's places."""
    if not row.has(name):
        raise Wrong("connectors.field_missing", f"{row.where}{name}", f"{name} is required")
    return money(row.number(name), currency, f"{row.where}{name}", places=places)


def money(amount: Decimal, currency: str, field: str, *, places: int = 0) -> GivenCost:
    currency = currency.upper()
    if not _CURRENCY.fullmatch(currency):
        raise Wrong("connectors.field_invalid", field, "its currency is no code of three letters")
    if not amount:
        return GivenCost(0, currency)
    if amount.adjusted() - places >= _MOST_DIGITS:
        raise Wrong("connectors.field_invalid", field, "no single charge is this large")
    return GivenCost(to_pico(to_ledger(amount.scaleb(-places))), currency)


def category(given: GivenCost, usual: str = "Usage") -> str:
    """What a row of money is: less than nothing is a credit, and of a tax or a purchase an adjustment."""
    if given.pico >= 0 or usual in _MAY_BE_NEGATIVE:
        return usual
    return "Credit" if usual == "Usage" else "Adjustment"


def key(report: str, start: datetime, groups: Iterable[tuple[str, str]], ordinal: int = 1) -> str:
    """A row's id: the report, when its bucket begins, and every group value that is said, in the order given. It can be
    read; where it would be too long, its end is a digest of the whole. `ordinal` tells rows apart that say the same.
    """
    said = (f"{name}={quote(value, safe=_PLAIN)}" for name, value in groups if value)
    whole = "/".join((report, moment(start), *said)) + (f"#{ordinal}" if ordinal > 1 else "")
    if len(whole) <= LONGEST:
        return whole
    digest = hashlib.blake2b(whole.encode(), digest_size=_DIGEST).hexdigest()
    return f"{whole[: LONGEST - 2 * _DIGEST - 1]}~{digest}"


def moment(at: datetime) -> str:
    """A time in UTC as ids and tags write it."""
    return at.isoformat().replace("+00:00", "Z")


def tags(ours: Mapping[str, str], theirs: Mapping[str, str] | None = None) -> tuple[tuple[str, str], ...]:
    """What is said, sorted and bounded. `theirs` are labels that people gave: one with a name of ours becomes
    `label.<name>`, and where there are too many, it is of them that some are left out.
    """
    made = {name: _value(value) for name, value in ours.items() if value}
    for name, value in sorted((theirs or {}).items()):
        name = clean(name)[:_LONGEST_KEY]
        name = f"label.{name}"[:_LONGEST_KEY] if name in ours else name
        if name and len(made) < MOST_TAGS:
            made.setdefault(name, _value(value))
    return tuple(sorted(made.items()))


def people(*, email: str = "", provider_user: str = "", key_alias: str = "") -> tuple[tuple[str, str], ...]:
    """Who a row may be of, in the order it is decided by."""
    said = (("email", email), ("provider_user", provider_user), ("key_alias", key_alias))
    return tuple((kind, value[:LONGEST]) for kind, value in said if value)


def event(**said: Any) -> UsageEvent:
    """A UsageEvent whose texts are no longer than texts may be."""
    kept: dict[str, Any] = {name: value[:LONGEST] if isinstance(value, str) else value for name, value in said.items()}
    return UsageEvent(**kept)


def plain(number: Decimal) -> str:
    """The same text for the same number, however it was written; '' for none."""
    return f"{number.normalize():f}" if number and abs(number.adjusted()) < _MOST_PLACES else ""


def _is_sane(number: Decimal) -> bool:
    """Whether arithmetic on it stays within what decimals can do."""
    return number.is_finite() and abs(number.adjusted()) < _MOST_EXPONENT


def _value(text: str) -> str:
    return clean(text)[:_LONGEST_VALUE]


def _number(text: str) -> Decimal | str:
    """A JSON number with a point or an exponent, exactly; as text where its exponent is beyond any reason."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return text


_decode: Final = msgspec.json.Decoder(float_hook=_number).decode
