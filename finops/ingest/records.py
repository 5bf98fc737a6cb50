"""What a gateway's journal keeps of a call, from the promise to what it came to. No Django.

Amounts are whole picodollars of the organization's reporting currency.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

import msgspec

from finops.connectors.types import UsageEvent

HELD: Final = "h"
SPENT: Final = "s"


class Held(msgspec.Struct, frozen=True, gc=False, tag=HELD, array_like=True):
    """A call was allowed: `amount` is held of each account, for at most `output` tokens of output.

    `event` is the call as it will be charged, without its counts; `charged` was spent of the hold already, when one
    that broke off is taken over. `moved_from` is the dead process that held it before, '' for none. `turns` are the
    answers that its output is shared by.
    """

    id: str
    # Who asked, and what they call it: the key's prefix and the caller's own id.
    asked_by: str
    asked_as: str
    organization_id: int
    source_id: int
    accounts: tuple[int, ...]
    amount: int
    output: int
    expires_at: datetime
    event: UsageEvent
    charged: int = 0
    moved_from: str = ""
    turns: int = 1


class Spent(msgspec.Struct, frozen=True, gc=False, tag=SPENT, array_like=True):
    """A call came to something: `spent` of what it held of each account, and `beyond` that. Unless it is `final`, the
    rest stays held until its figure comes. One that `expired` was never told of: it is the most it could have cost.
    """

    id: str
    organization_id: int
    source_id: int
    accounts: tuple[int, ...]
    spent: int
    beyond: int
    final: bool
    expired: bool
    event: UsageEvent


class Voided(msgspec.Struct, frozen=True, gc=False, tag="v", array_like=True):
    """A call never happened."""

    id: str


class HeldHead(msgspec.Struct, frozen=True, gc=False, tag=HELD, array_like=True):
    """How a `Held` begins; the rest is not looked at."""

    id: str


class SpentHead(msgspec.Struct, frozen=True, gc=False, tag=SPENT, array_like=True):
    """What the inbox has columns for: how a `Spent` begins."""

    id: str
    organization_id: int
    source_id: int
    accounts: list[int]
    spent: int


Record = Held | Spent | Voided
encode: Final = msgspec.msgpack.Encoder().encode
_decoder: Final = msgspec.msgpack.Decoder(Record)
read_head: Final = msgspec.msgpack.Decoder(HeldHead | SpentHead | Voided).decode


def decode(body: bytes) -> Record:
    """Raises msgspec.ValidationError."""
    found: Record = _decoder.decode(body)
    return found


def still_open(records: Iterable[Record]) -> dict[str, Held]:
    """What is still held after these, by id; of one that broke off, what was charged is counted."""
    found: dict[str, Held] = {}
    for record in records:
        if isinstance(record, Held):
            found[record.id] = record
        elif record.id in found:
            if isinstance(record, Voided) or record.final:
                del found[record.id]
            else:
                held = found[record.id]
                found[record.id] = msgspec.structs.replace(held, charged=held.charged + record.spent)
    return found
