"""What crosses rooms about models: who makes one, where, and in which class it is sold."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Tier(StrEnum):
    """The class a model is sold in, the dearest first. The strings are public."""

    FRONTIER = "frontier"
    MID = "mid"
    LIGHT = "light"

    @property
    def rank(self) -> int:
        """0 is the dearest."""
        return _RANKS[self]


_RANKS = {Tier.FRONTIER: 0, Tier.MID: 1, Tier.LIGHT: 2}


class By(StrEnum):
    """Where a tier comes from: the shipped register, the organization, the list price, or nothing but the name."""

    REGISTER = "register"
    ORGANIZATION = "organization"
    PRICE = "price"
    NAME = "name"


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What kind of model a model is. `model` is the name that was asked about. `vendor` is who made it, whoever serves
    it, and `origin` the country of that maker's seat (ISO 3166 alpha-2); both '' where nobody knows. `by` says where
    the tier comes from (`By`); by `name` it is a guess.
    """

    model: str
    vendor: str = ""
    origin: str = ""
    tier: Tier = Tier.MID
    open_weights: bool = False
    by: str = By.NAME.value


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What an organization says of a model itself, or of all whose names begin so (`gpt-*`). '' and None leave a thing
    as the register has it.
    """

    model: str
    vendor: str = ""
    origin: str = ""
    tier: Tier | None = None
    open_weights: bool | None = None
