"""Cursor paging: lists have a total order, and a page starts after the last row of the one before.

An answer is `{"items": [...], "next": "<cursor>"}`; `next` is null at the end. A cursor is opaque to clients: it holds
the sort values of the last row, and only what this list could have made is taken back.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, Generic, TypeVar

from django.db.models import Model, Q, QuerySet
from rest_framework.request import Request

from finops.core.errors import FinopsError

DEFAULT_LIMIT: Final = 100
MAX_LIMIT: Final = 500
_MAX_CURSOR: Final = 2000
_KINDS: Final[dict[str, type]] = {"i": int, "s": str, "t": datetime, "d": date}

M = TypeVar("M", bound=Model)


class CursorInvalid(FinopsError):
    code = "api.cursor_invalid"
    status = 400


class LimitInvalid(FinopsError):
    code = "api.limit_invalid"
    status = 400


@dataclass(frozen=True, slots=True)
class Paged(Generic[M]):
    """One page; `next_cursor` is '' at the end."""

    rows: list[M]
    next_cursor: str


def page(queryset: QuerySet[M], request: Request, *, order: tuple[str, ...]) -> Paged[M]:
    """The page the request asks for by `?cursor=` and `?limit=` (1 to 500, 100 when unsaid).

    `order` names columns that are never null and end in a unique one; `-` before a name turns it round. One query.
    Raises CursorInvalid and LimitInvalid.
    """
    cursor, limit = asked(request)
    rows = queryset.order_by(*order)
    if cursor:
        rows = rows.filter(_after(order, decode(cursor, count=len(order))))
    found = list(rows[: limit + 1])
    if len(found) <= limit:
        return Paged(found, "")
    last = found[limit - 1]
    return Paged(found[:limit], encode([getattr(last, name.lstrip("-")) for name in order]))


def asked(request: Request) -> tuple[str, int]:
    """The request's cursor ('' for the first page) and limit. Raises LimitInvalid."""
    raw = request.query_params.get("limit", str(DEFAULT_LIMIT))
    if not (raw.isascii() and raw.isdigit() and len(raw) <= 4 and 1 <= int(raw) <= MAX_LIMIT):
        raise LimitInvalid(f"limit is a whole number from 1 to {MAX_LIMIT}", field="limit")
    return request.query_params.get("cursor", ""), int(raw)


def answer(items: Any, next_cursor: str) -> dict[str, Any]:
    """The envelope of every list."""
    return {"items": items, "next": next_cursor or None}


def encode(values: list[Any]) -> str:
    """Sort values (whole numbers, text, instants, days) as an opaque cursor."""
    tagged = []
    for value in values:
        if isinstance(value, bool):
            raise TypeError("a cursor does not hold booleans")
        if isinstance(value, int):
            tagged.append(["i", value])
        elif isinstance(value, str):
            tagged.append(["s", value])
        elif isinstance(value, datetime):
            tagged.append(["t", value.isoformat()])
        elif isinstance(value, date):
            tagged.append(["d", value.isoformat()])
        else:
            raise TypeError(f"a cursor does not hold {type(value).__name__}")
    raw = json.dumps(tagged, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def decode(cursor: str, *, count: int) -> list[Any]:
    """The sort values of a cursor with `count` of them. Raises CursorInvalid for anything `encode` did not make."""
    try:
        if len(cursor) > _MAX_CURSOR:
            raise ValueError("too long")
        raw = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        tagged = json.loads(raw)
        if not isinstance(tagged, list) or len(tagged) != count:
            raise ValueError("other fields")
        return [_value(*item) for item in tagged]
    except (ValueError, TypeError, KeyError, RecursionError, binascii.Error):
        raise CursorInvalid("this cursor is not one of this list's; start again without one", field="cursor") from None


def _value(tag: str, held: Any) -> Any:
    kind = _KINDS[tag]
    if kind is int:
        if type(held) is not int or not -(2**63) <= held < 2**63:
            raise ValueError("not a whole number")
        return held
    if type(held) is not str:
        raise TypeError("not text")
    if kind is str:
        if "\x00" in held:
            raise ValueError("NUL")
        held.encode("utf-8")
        return held
    if kind is datetime:
        instant = datetime.fromisoformat(held)
        if instant.tzinfo is None:
            raise ValueError("no time zone")
        return instant
    return date.fromisoformat(held)


def _after(order: tuple[str, ...], values: list[Any]) -> Q:
    """Rows behind `values` in this order: a < x, or a = x and b < y, and so on."""
    behind = Q()
    equal = Q()
    for name, value in zip(order, values, strict=True):
        field, lookup = (name[1:], "lt") if name.startswith("-") else (name, "gt")
        try:
            behind |= equal & Q(**{f"{field}__{lookup}": value})
        except (TypeError, ValueError):
            raise CursorInvalid("this cursor is not one of this list's", field="cursor") from None
        equal &= Q(**{field: value})
    return behind
