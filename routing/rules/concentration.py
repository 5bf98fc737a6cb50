"""How much of the spend goes to one maker of models, and whose models are tried last for it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final, TypeVar

from routing.rules.types import Within

# Full UTC days of spend that count.
DAYS: Final = 30
_WHOLE: Final = 100

Tried = TypeVar("Tried")


def shares_of(spend: Mapping[str, Decimal]) -> dict[str, int]:
    """What each maker has of all spend, in whole percent, by name; who has less than half of one is left out. What
    nobody knows the maker of ('') is in the whole and has no share: it may be many makers'.
    """
    spent = {maker: max(amount, Decimal(0)) for maker, amount in spend.items()}
    whole = sum(spent.values(), Decimal(0))
    if not whole:
        return {}
    shares = {maker: int((2 * _WHOLE * spent[maker] + whole) // (2 * whole)) for maker in sorted(spent) if maker}
    return {maker: share for maker, share in shares.items() if share}


def why_last(makers: Collection[str], shares: Mapping[str, int], limits: Iterable[Within]) -> str:
    """Why what these made is tried last; '' where it is not, for one of them has no more than all limits allow."""
    most = min((one.most_share for one in limits if one.most_share is not None), default=None)
    if most is None or not makers or any(shares.get(maker, 0) / _WHOLE <= most for maker in makers):
        return ""
    had = " and ".join(f"{maker} has {shares[maker]} %" for maker in sorted(makers))
    return f"{had} of the spend of {DAYS} days, and {most * _WHOLE:g} % is the most"


def beyond(shares: Mapping[str, int], limits: Iterable[float]) -> list[str]:
    """Makers that have more than the least of the limits (0 to 1), by name."""
    most = min(limits, default=None)
    return [] if most is None else sorted(maker for maker, share in shares.items() if share / _WHOLE > most)


def put_last(every: Sequence[Tried], why: Callable[[Tried], str]) -> tuple[list[Tried], list[tuple[Tried, str]]]:
    """What there is a reason for behind all else, each in its order; and of that what others now go before, and why."""
    told = [(one, why(one)) for one in every]
    kept = [place for place, (_, reason) in enumerate(told) if not reason]
    passed = [pair for pair in told[: kept[-1]] if pair[1]] if kept else []
    return [told[place][0] for place in kept] + [one for one, reason in told if reason], passed
