"""What a gateway needs of this room, without Django: which calls are chosen, and their contents sealed and opened."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec

from finops.core.sealing import CannotOpen, Sealer

PURPOSE: Final = "capstan.captures.v1.{}"
# Of how many calls a share is: percent with two places.
WHOLE: Final = 10_000
# Prompts repeat themselves; more effort than the least gains little.
_EFFORT: Final = 1


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """One call and its answer, with what it takes to make the same call again. No credential is in it.

    `body` is as the client sent it, `headers` are the few that say how it is meant. `answer` is what the client was
    sent, from its beginning; unless it is `whole`, it was longer than is kept, or broke off. `upstream_model` is what
    `upstream` was asked for. `owners` are ids of ours by dimension. `tokens` are meters of `core.tokens`; `cost` is a
    decimal, None where nobody knows it. `charge` is what the ledger knows it by. `tags` are the call's, None where they
    were not kept.
    """

    call_id: str
    at: datetime
    dialect: str
    path: str
    query: str
    headers: Mapping[str, str]
    model: str
    body: bytes
    status: int
    code: str
    answer_type: str
    answer: bytes
    whole: bool
    stream: bool
    upstream: str
    provider: str
    upstream_model: str
    tries: int
    first_byte_s: float | None
    took_s: float
    task_type: str
    session: str
    owners: Mapping[str, int]
    tokens: Mapping[str, int]
    cost: str | None
    currency: str
    charge: str
    tags: Mapping[str, str] | None = None


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Exchange).decode


def chosen(call_id: str, share: int) -> bool:
    """Whether a call is of the share of `WHOLE`: by its id, so whoever asks hears the same."""
    return zlib.crc32(call_id.encode()) * WHOLE >> 32 < share


def sealer(secrets: Sequence[str], organization_id: int) -> Sealer:
    """`secrets` are the house's secret key and then the former ones. What is one organization's opens as no other's."""
    return Sealer(secrets, purpose=PURPOSE.format(organization_id))


def seal(with_: Sealer, exchange: Exchange) -> bytes:
    return with_.seal_bytes(zlib.compress(_encode(exchange), _EFFORT))


def open_sealed(with_: Sealer, sealed: bytes | memoryview, call_id: str) -> Exchange:
    """Raises CannotOpen, also for what was sealed for another call."""
    found = _decode(zlib.decompress(with_.open_bytes(sealed)))
    if found.call_id != call_id:
        raise CannotOpen("It was sealed for another call.")
    return found
