"""What nobody answers for: an organization's report without what its people's reports say. Pure.

Asked for one user, GitHub tells the same credits again that the organization's report tells. Whoever keeps both would
count them twice; whoever keeps the people's alone loses what GitHub attributes to nobody.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

from finops.connectors.foreign import UNDECODABLE, decode, encode

_AMOUNTS: Final = ("grossQuantity", "grossAmount", "discountQuantity", "discountAmount", "netQuantity", "netAmount")
_GROUPS: Final = ("product", "sku", "model", "unitType")

_Key = tuple[str, ...]


def without(whole: Iterable[bytes], people: Iterable[bytes], *, emptied: bool = False) -> tuple[bytes, ...]:
    """Records of an organization's report (of `parse.cut`), less what records of its people say of the same period and
    groups; those that nothing is left of are left out. Together with the people's they are the whole, exactly.

    With `emptied` those too, as 0: whoever was told before that something was left of them must hear that it is not.

    What cannot be read stays as it is, for its problem to be named. Where people have more than the whole, which two
    reports of different minutes may say, what is left is negative and becomes an adjustment.
    """
    told: dict[_Key, dict[str, Decimal]] = defaultdict(lambda: dict.fromkeys(_AMOUNTS, Decimal(0)))
    for raw in people:
        record = _record(raw)
        if record is not None:
            sums = told[_key(record)]
            for name in _AMOUNTS:
                sums[name] += _number(record["row"].get(name))
    left = []
    for raw in whole:
        record = _record(raw)
        sums = told.pop(_key(record), {}) if record is not None else {}
        if record is None or not sums:
            left.append(raw)
            continue
        row = record["row"]
        less = {name: _number(row[name]) - sums[name] for name in _AMOUNTS if name in row}
        if emptied or any(less.values()):
            left.append(encode({**record, "row": {**row, **less}}))
    return tuple(left)


def _record(raw: bytes) -> dict[str, Any] | None:
    try:
        record = decode(raw)
    except UNDECODABLE:
        return None
    return record if isinstance(record, dict) and isinstance(record.get("row"), dict) else None


def _key(record: dict[str, Any]) -> _Key:
    return (repr(record.get("period")), *(str(record["row"].get(name, "")) for name in _GROUPS))


def _number(value: Any) -> Decimal:
    return Decimal(value) if type(value) in (int, Decimal) else Decimal(0)
