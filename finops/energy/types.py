"""What crosses the room: ranges, what is known of a model, and what calls are estimated to have used.

Energy is an estimate with bounds, never a figure alone. These are floats of physics, and are never added to money.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec


class Range(msgspec.Struct, frozen=True):
    """From `lower` to `upper`, both possible: the parameters of most models are guesses of whoever studied them."""

    lower: float
    upper: float

    def plus(self, other: Range) -> Range:
        return Range(self.lower + other.lower, self.upper + other.upper)

    def times(self, number: float) -> Range:
        """`number` is not negative."""
        return Range(self.lower * number, self.upper * number)

    def by(self, other: Range) -> Range:
        """The product of two that are not negative and know nothing of each other."""
        return Range(self.lower * other.lower, self.upper * other.upper)

    def around(self, other: Range) -> Range:
        """The narrowest that holds both."""
        return Range(min(self.lower, other.lower), max(self.upper, other.upper))


NOTHING: Final = Range(0.0, 0.0)


class Architecture(msgspec.Struct, frozen=True):
    """What is known, or guessed, of a model: parameters in billions, those that work on a token (`active`) and all of
    them; tokens it writes in a second and seconds to the first one, None where nobody measured. `released`: its maker
    says how large it is.
    """

    active: Range
    total: Range
    tokens_per_s: float | None = None
    first_token_s: float | None = None
    released: bool = True


class Site(msgspec.Struct, frozen=True):
    """Where a provider's models run: how much more a data centre uses than its machines (PUE), and the grams of CO2e of
    a kilowatt hour there. `zone` is an ISO 3166-1 alpha-3 code (WOR: the world's mean), or the organization's word.
    """

    pue: Range
    grid: Range
    zone: str


class Rate(msgspec.Struct, frozen=True):
    """What calls of a model use. `wh` of a token that is written and of a call, in watt-hours with all that the data
    centre needs beside; `grid` in grams of CO2e for each kilowatt hour; `hardware` the grams of CO2e of making the
    machines, for a token and a call, None where nobody knows them. `basis` is `ecologits` or `configured`, `source`
    where the figure is from.
    """

    token_wh: Range
    call_wh: Range
    grid: Range
    basis: str
    source: str
    zone: str
    token_hardware_g: Range | None = None
    call_hardware_g: Range | None = None


class Use(NamedTuple):
    """Some calls of one model at one provider."""

    provider: str
    model: str
    calls: int
    output_tokens: int


class Footprint(NamedTuple):
    """What calls are estimated to have used. `wh`: watt-hours; `grid_g`: grams of CO2e of that electricity;
    `hardware_g`: of making the machines, of those calls of which that is known. None: nothing is known of any of them.

    Of `output_tokens`, `unknown_tokens` are of models that nobody knows (`unknown`, as `provider/model`), and are in
    none of the above: what is unknown is not nothing.
    """

    wh: Range | None = None
    grid_g: Range | None = None
    hardware_g: Range | None = None
    output_tokens: int = 0
    unknown_tokens: int = 0
    unknown: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether something is known, and of all of them."""
        return self.wh is not None and not self.unknown
