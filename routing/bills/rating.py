"""What a month's calls would have cost elsewhere, or at other prices. Pure.

A line keeps what it really cost, and what changes is a proportion: of what its tokens cost at the other model to what
they cost at its own, both at the prices of that day, contracts included. What cubes do not tell apart (writes into a
cache, reasoning, tiers of service, fees) is by that in the same proportion to the rest there as here; and where nothing
changes, the proportion is 1, so that the bill is the bill to the last digit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from fractions import Fraction
from typing import Final, NamedTuple

from finops.core.money import from_pico, to_pico
from finops.core.tokens import METERS
from finops.pricing.rules import Exchange, Pricer, explain, rate
from routing.bills.types import (
    CACHED,
    READ,
    WRITTEN,
    Basis,
    Bill,
    Change,
    Compared,
    Drop,
    Line,
    Mix,
    Move,
    Offer,
    Plan,
    Reprice,
)

# Prices by the hour of the day are those of noon (UTC).
_NOON: Final = time(12, tzinfo=UTC)
_HUNDRED: Final = Fraction(100)
_NONE: Final = Fraction(0)
# (task type, model, other model) -> what a completed task costs at the other, over what it costs at the model.
Measured = Mapping[tuple[str, str, str], float]
# A model -> the vendor that made it.
Vendors = Callable[[str, str], str]


class Prices:
    """What tokens cost on a day, in the reporting currency."""

    def __init__(self, pricer: Pricer, exchange: Exchange) -> None:
        self._pricer = pricer
        self._exchange = exchange

    def cost(self, line: Line, offer: Offer, *, host: str = "", changes: Iterable[Reprice] = ()) -> Fraction | None:
        """Picodollars of the reporting currency, of a line's tokens; None where a price or a rate is not known."""
        found, noon = self._pricer.find(offer.provider, offer.model, "", host, line.day), _noon(line.day)
        rated = rate(found, line.counts, noon)
        into = self._exchange.rate(rated.currency, line.day)
        if not rated.priced or into is None:
            return None
        whole = Fraction(rated.effective_pico)
        more = _percents(offer, changes)
        if more:
            whole += sum(
                (
                    one.effective_pico * more.get(one.meter, _NONE) / _HUNDRED
                    for one in explain(found, line.counts, noon)
                ),
                _NONE,
            )
        return whole * Fraction(into.rate)


def _noon(day: date) -> datetime:
    return datetime.combine(day, _NOON)


def _percents(offer: Offer, changes: Iterable[Reprice]) -> dict[str, Fraction]:
    """By meter; of several changes the first that is about the model."""
    for one in changes:
        if one.model == offer.model and one.provider in ("", offer.provider):
            said = {METERS[READ]: one.read, METERS[CACHED]: one.cached, METERS[WRITTEN]: one.written}
            return {meter: Fraction(percent) for meter, percent in said.items() if percent}
    return {}


class _Elsewhere(NamedTuple):
    """What a line would have cost; None where nobody can tell, and why."""

    to: Offer
    basis: Basis
    pico: Fraction | None
    why: str = ""


class Asked(NamedTuple):
    """What is to be worked out: changes by their kind, in the order they were said."""

    moves: tuple[Move | Drop, ...]
    reprices: tuple[Reprice, ...]
    plans: tuple[Plan, ...]


def asked_of(changes: Iterable[Change]) -> Asked:
    said = list(changes)
    return Asked(
        tuple(one for one in said if isinstance(one, Move | Drop)),
        tuple(one for one in said if isinstance(one, Reprice)),
        tuple(one for one in said if isinstance(one, Plan)),
    )


NOTHING: Final[Measured] = {}
TOKENS: Final = (
    "Another model is taken to use as many tokens for the same work. It will not use exactly as many: tokenizers and"
    " habits differ."
)
MEASURED: Final = (
    "Where both models did the same tasks, what a completed task cost at each was taken instead of prices and tokens."
)
DAYS: Final = "Prices are those of each day, with what was agreed; prices by the hour are those of noon (UTC)."
COARSE: Final = (
    "Cubes tell read, cached and written tokens apart. What was written into a cache, what was reasoned and what was"
    " had in another tier of service is taken to cost there in the same proportion as here."
)
TWICE: Final = (
    "What was tried twice is there twice: a call that failed at a small model and went on to a large one counts at the"
    " frontier model with both, so that this bill is rather too high."
)
UNPRICED: Final = "What has no price, there or here, is in no difference: it is said apart."


def what_if(
    mix: Mix, changes: Sequence[Change], prices: Prices, *, vendor_of: Vendors, measured: Measured = NOTHING
) -> Bill:
    """The month with these changes. Each line goes where the first move that fits says; then the prices of where it is
    change; then the first plan that is about it takes off its percents. Fees of plans are added once.
    """
    asked = asked_of(changes)

    def elsewhere(line: Line) -> _Elsewhere:
        found = _moved(line, asked.moves, prices, vendor_of, measured, asked.reprices)
        if found.pico is None:
            return found
        off = _off(found.to, asked.plans, vendor_of)
        return found._replace(pico=found.pico * (1 - off / _HUNDRED)) if off else found

    fees = sum((one.fee for one in asked.plans), Decimal(0))
    notes = (TOKENS,) if asked.moves else ()
    return _bill(mix, elsewhere, fees=fees, notes=notes)


def all_at(mix: Mix, offer: Offer, prices: Prices) -> Bill:
    """The month with every call at one model: what would have been paid without any orchestration. Calls that write
    nothing (embeddings), and what is no call, stay as they are.
    """

    def elsewhere(line: Line) -> _Elsewhere:
        return _at(line, offer, prices, ()) if line.of_a_model else _stays(line)

    return _bill(mix, elsewhere, fees=Decimal(0), notes=(TOKENS, TWICE))


def _bill(mix: Mix, elsewhere: Callable[[Line], _Elsewhere], *, fees: Decimal, notes: tuple[str, ...]) -> Bill:
    sums: dict[tuple[str, str, str, str, Basis], list[int]] = {}
    whys: dict[tuple[str, str, str, str, Basis], str] = {}
    for line in mix.lines:
        found = elsewhere(line)
        key = (line.provider, line.model, found.to.provider, found.to.model, found.basis)
        row = sums.setdefault(key, [0] * 6)
        row[0] += line.calls
        if line.unpriced:
            row[1] += line.calls
            continue
        pico = to_pico(line.spend)
        row[2] += pico
        if found.pico is None:
            row[3] += pico
            whys[key] = found.why
        else:
            # Each line to the ledger's places, half-even: fractions of many lines would have no end of digits.
            row[4] += round(found.pico)
            row[5] += 1
    rows = [
        Compared(
            provider=key[0],
            model=key[1],
            to_provider=key[2],
            to_model=key[3],
            basis=key[4],
            calls=calls,
            unpriced_calls=unknown,
            before=from_pico(before),
            after=from_pico(after) if told else None,
            unpriced=from_pico(unpriced),
            why=whys.get(key, ""),
        )
        for key, (calls, unknown, before, unpriced, after, told) in sums.items()
    ]
    rows.sort(key=lambda one: (-_moves(one), -one.before, one.model, one.provider, one.to_model, one.basis))
    unpriced = sum((one.unpriced for one in rows), Decimal(0))
    unpriced_calls = sum(one.unpriced_calls for one in rows)
    said = [*notes, DAYS]
    if any(one.basis is Basis.PRICES for one in rows):
        said.append(COARSE)
    if any(one.basis is Basis.MEASURED for one in rows):
        said.append(MEASURED)
    if unpriced or unpriced_calls:
        said.append(UNPRICED)
    return Bill(
        month=mix.month,
        currency=mix.currency,
        before=sum((one.before for one in rows), Decimal(0)),
        after=sum((one.after for one in rows if one.after is not None), fees),
        unpriced=unpriced,
        unpriced_calls=unpriced_calls,
        fees=fees,
        rows=tuple(rows),
        notes=tuple(said),
    )


def _moves(one: Compared) -> Decimal:
    return one.unpriced if one.after is None else abs(one.after - (one.before - one.unpriced)) + one.unpriced


def _stays(line: Line) -> _Elsewhere:
    return _Elsewhere(Offer(model=line.model, provider=line.provider), Basis.SAME, Fraction(to_pico(line.spend)))


def _moved(
    line: Line, moves: Iterable[Move | Drop], prices: Prices, vendor_of: Vendors, measured: Measured,
    reprices: Sequence[Reprice],
) -> _Elsewhere:  # fmt: skip
    here = Offer(model=line.model, provider=line.provider)
    if not line.model or not any(line.counts):
        return _stays(line)
    for one in moves:
        if isinstance(one, Drop):
            if vendor_of(line.model, line.provider) != one.vendor:
                continue
            to = one.instead.get(line.model, one.otherwise)
            if to is None:
                return _Elsewhere(here, Basis.PRICES, None, "nothing is named to take its place")
        elif not _fits(one, line):
            continue
        else:
            to = one.to
        ratio = measured.get((line.task_type, line.model, to.model))
        if ratio is not None and not line.unpriced:
            return _as_measured(line, to, ratio, prices, reprices)
        return _at(line, to, prices, reprices)
    return _at(line, here, prices, reprices) if _percents(here, reprices) else _stays(line)


def _fits(move: Move, line: Line) -> bool:
    return (
        move.model == line.model
        and move.provider in ("", line.provider)
        and move.task_type in (None, line.task_type)
        and move.project_id in (None, line.project_id)
    )


def _at(line: Line, to: Offer, prices: Prices, reprices: Sequence[Reprice]) -> _Elsewhere:
    """In proportion to what its tokens cost here; where that is not known, or it was had for nothing, by the prices
    there alone.
    """
    here = Offer(model=line.model, provider=line.provider)
    if to == here and not _percents(to, reprices):
        return _stays(line)
    there = prices.cost(line, to, host=line.host if to == here else "", changes=reprices)
    if there is None:
        why = f"nobody knows what {to.model} costs for such calls"
        return _Elsewhere(to, Basis.PRICES, None, why)
    now = prices.cost(line, here, host=line.host)
    if to == here and not now:
        # Whatever it was paid for has no tokens that a price could change of.
        return _stays(line)
    if not line.spend or not now:
        return _Elsewhere(to, Basis.PRICES, there)
    return _Elsewhere(to, Basis.PRICES, Fraction(to_pico(line.spend)) * there / now)


def _as_measured(line: Line, to: Offer, ratio: float, prices: Prices, reprices: Sequence[Reprice]) -> _Elsewhere:
    found = Fraction(to_pico(line.spend)) * Fraction(ratio).limit_denominator(10**9)
    if _percents(to, reprices):
        before, after = prices.cost(line, to), prices.cost(line, to, changes=reprices)
        if not before or after is None:
            return _Elsewhere(to, Basis.MEASURED, None, f"nobody knows what {to.model} costs for such calls")
        found *= after / before
    return _Elsewhere(to, Basis.MEASURED, found)


def _off(to: Offer, plans: Iterable[Plan], vendor_of: Vendors) -> Fraction:
    """Percents that the first plan about it takes off."""
    for one in plans:
        if one.model and one.model != to.model:
            continue
        if one.vendor and vendor_of(to.model, to.provider) != one.vendor:
            continue
        return Fraction(one.percent)
    return Fraction(0)
