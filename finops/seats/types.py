"""What crosses rooms about seats: a plan as somebody describes it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import NamedTuple


class HolderName(NamedTuple):
    """Who has a seat: `email`, `github`, `provider_user` or `key_alias`, and the name of that kind."""

    kind: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanDraft:
    """A plan as it is to be. `price` and `included` are of one seat and one term, in `currency`.

    It is held `[start, end)`, to None for good. `anchor` is a day on which a term begins, the start where it is None.
    `included` is None where the contract names no amount. `covers` are slugs of the sources from which the holders'
    calls are paid for by their seats.
    """

    name: str
    provider: str
    price: Decimal
    currency: str
    seats: int
    start: date
    end: date | None = None
    anchor: date | None = None
    term_months: int = 1
    prorated: bool = True
    included: Decimal | None = None
    account: str = ""
    holders: tuple[HolderName, ...] = ()
    covers: tuple[str, ...] = ()
