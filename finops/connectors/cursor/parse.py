"""Reads Cursor's usage events: POST /teams/filtered-usage-events of its Admin API, one event a row.

Tokens are disjoint; cents are decimals; times are milliseconds as text. An event has no id: it is known by what it
says and by its place among those that say the same. See README.md beside this file.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any, Final

import msgspec

from finops.connectors.counting import meters
from finops.connectors.foreign import UNDECODABLE, Part, counts_of, decode, digest, given_cost, plain, received, tags_of
from finops.connectors.pages import BodyUnreadable, Page
from finops.connectors.types import Counts, Received, UsageEvent

PARSER: Final = "cursor"
PROVIDER: Final = "cursor"
_TOKENS: Final = ("inputTokens", "outputTokens", "cacheWriteTokens", "cacheReadTokens")
# What makes an event another: Cursor names none.
_IDENTITY: Final = ("timestamp", "userEmail", "model", "kind")
_CENTS: Final = Decimal(100)
# The web page's own interface writes kinds as USAGE_EVENT_KIND_INCLUDED_IN_BUSINESS.
_KIND_PREFIX: Final = "usage event kind "


class _Place(msgspec.Struct, rename="camel"):
    current_page: int = 1
    has_next_page: bool = False


class _Body(msgspec.Struct, rename="camel"):
    usage_events: list[msgspec.Raw]
    pagination: _Place = msgspec.field(default_factory=_Place)


class _Record(msgspec.Struct):
    event: msgspec.Raw
    ordinal: int


_body: Final = msgspec.json.Decoder(_Body).decode


def parse(raw: bytes) -> Received:
    """One record of `cut`: an event and its place among its equals."""
    return received(raw, _event, _name)


def cut(body: bytes, *, counted: Counter[str] | None = None) -> Page:
    """A page of events. Raises BodyUnreadable.

    `counted` goes from page to page of one snapshot: equals may stand on two of them.
    """
    counted = Counter() if counted is None else counted
    page = _page(body)
    events = [bytes(raw) for raw in page.usage_events]
    keys = [_key_of(raw) for raw in events]
    # Equals are told apart by all they say, so that another order of the same page makes the same ids.
    places: dict[int, int] = {}
    for place in sorted(range(len(events)), key=lambda place: (keys[place], events[place])):
        counted[keys[place]] += 1
        places[place] = counted[keys[place]]
    rows = [msgspec.json.encode(_Record(msgspec.Raw(raw), places[place])) for place, raw in enumerate(events)]
    return Page(tuple(rows), str(page.pagination.current_page + 1) if page.pagination.has_next_page else "")


def events_of(body: bytes) -> list[bytes]:
    """A page's events as they came. Raises BodyUnreadable."""
    return [bytes(raw) for raw in _page(body).usage_events]


def _page(body: bytes) -> _Body:
    try:
        return _body(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise BodyUnreadable("This is not a page of Cursor's usage events.") from None


def _key_of(raw: bytes) -> str:
    try:
        return _key(decode(raw))
    except UNDECODABLE:
        return digest(raw.decode("utf-8", "replace"))


def _key(event: Any) -> str:
    if not isinstance(event, dict):
        return digest(repr(event))
    tokens = event.get("tokenUsage")
    counts = [tokens.get(name) or 0 for name in _TOKENS] if isinstance(tokens, dict) else None
    return digest(repr([[event.get(name) for name in _IDENTITY], counts]))


def _name(record: Part) -> str:
    """The event's time, its hash, and its place among its equals."""
    event = record.part("event")
    return f"{event.of_milliseconds('timestamp').isoformat()}|{_key(event.values)}|{record.count('ordinal') or 1}"


def _event(record: Part) -> UsageEvent:
    event = record.part("event")
    kind = event.text("kind")
    cash = _cash(event, kind)
    value = _cents(event.part("tokenUsage"), "totalCents") or _cents(event, "chargedCents")
    fee = _cents(event, "cursorTokenFee")
    costs = event.decimal("requestsCosts")
    email = event.text("userEmail")
    account = event.text("serviceAccountId")
    tags = {
        "kind": kind,
        "max_mode": _yes(event.flag("maxMode")),
        "headless": _yes(event.flag("isHeadless")),
        "value_usd": "" if value is None else plain(value),
        "token_fee_usd": plain(fee) if fee else "",
        "request_units": plain(costs) if costs else "",
    }
    return UsageEvent(
        external_id=_name(record),
        occurred_at=event.of_milliseconds("timestamp"),
        provider=PROVIDER,
        model=event.needed("model"),
        counts=_counts(event),
        category="Credit" if cash < 0 else "Usage",
        evidence="billed",
        identities=tuple(pair for pair in (("email", email), ("provider_user", account)) if pair[1]),
        tags=tags_of(tags),
        cost=given_cost(cash, "USD", "event.chargedCents"),
    )


def _counts(event: Part) -> Counts:
    """One request, and its tokens where it is told of any. How long a write to the cache lives is not said."""
    usage = event.part("tokenUsage")
    # Cursor leaves a count of none out.
    told = {name: usage.count(name) for name in _TOKENS}
    read, written = told["cacheReadTokens"], told["cacheWriteTokens"]
    return counts_of(
        meters(
            input_tokens=told["inputTokens"] + read + written,
            cache_read_tokens=read,
            cache_write_tokens=written,
            output_tokens=told["outputTokens"],
        )
    )


def _cash(event: Part, kind: str) -> Decimal:
    """What is paid for the event, in dollars. What a seat includes has a value and costs nothing; see `value_usd`."""
    words = kind.lower().replace("_", " ").removeprefix(_KIND_PREFIX)
    if words.startswith(("included", "errored", "free")) or "not charged" in words:
        return Decimal(0)
    if event.flag("isChargeable") is False or event.flag("isFreeBugbot") is True:
        return Decimal(0)
    charged = _cents(event, "chargedCents")
    if charged is not None:
        return charged
    # Before there was `chargedCents`, the model's price and the fee stood alone.
    model = _cents(event.part("tokenUsage"), "totalCents")
    if model is None:
        raise event.missing("chargedCents")
    return model + (_cents(event, "cursorTokenFee") or Decimal(0))


def _cents(part: Part, name: str) -> Decimal | None:
    """Cents as dollars."""
    value = part.decimal(name)
    return None if value is None else value / _CENTS


def _yes(flag: bool | None) -> str:
    return "true" if flag else ""
