"""What both readers of session files share: how a file's calls are paid for, whole lines, and lines that are broken."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, Literal, NamedTuple

from finops.connectors.foreign import Part, Wrong, encode
from finops.connectors.seats import covered
from finops.connectors.types import UsageEvent

# A line longer than this holds a picture or a file somebody read, and no count.
LONGEST_LINE: Final = 16 * 1024 * 1024
_KINDS: Final = ("email", "provider_user", "github", "key_alias")

Billing = Literal["api", "subscription"]


class Owner(NamedTuple):
    """What no file says: whether its calls are paid for one by one or by a seat, and who made them.

    `identities` are pairs of a kind (email, github, …) and a value. There is no default for `billing`: a subscription's
    tokens told as dollars are dollars that nobody paid.
    """

    billing: Billing
    identities: tuple[tuple[str, str], ...] = ()


def owner_of(owner: Owner) -> dict[str, Any]:
    """The owner as a record keeps it."""
    return {"billing": owner.billing, "identities": dict(owner.identities)}


def owned(record: Part, event: UsageEvent) -> UsageEvent:
    """The event as the record's billing has it: what a seat pays for costs nothing, and keeps its counts."""
    billing = record.part("owner").needed("billing")
    if billing not in ("api", "subscription"):
        raise record.part("owner").invalid("billing", "expected api or subscription")
    return covered(event) if billing == "subscription" else event


def identities_of(record: Part) -> tuple[tuple[str, str], ...]:
    said = record.part("owner").part("identities")
    return tuple((kind, said.text(kind)) for kind in _KINDS if said.has(kind))


def broken(number: int) -> bytes:
    """Stands for a line that cannot be read. What is in it is not kept: it may be what somebody wrote."""
    return encode({"unreadable": f"line {number} is not the JSON it should be"})


def refuse_broken(record: Part) -> None:
    if record.has("unreadable"):
        raise Wrong("malformed", "$", f"{record.text('unreadable')}; what it holds is not kept")


def whole_lines(lines: Iterable[bytes], offset: int, number: int) -> Iterator[tuple[bytes, int, int]]:
    """(line without its end, offset behind it, its number) of every line that was written to its end.

    The last line of a file that is being written may be half of one; it is read the next time.
    """
    for line in lines:
        if not line.endswith(b"\n"):
            return
        offset += len(line)
        number += 1
        yield line.rstrip(b"\r\n"), offset, number
