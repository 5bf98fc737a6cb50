"""When a subject has gone beyond its breaker, and what is said of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from finops.budgets.guard.terms import AMOUNTS, BreakerTerms, Measure
from finops.budgets.guard.tracks import Track

_WHY: Final = {
    Measure.IDENTICAL_CALLS: "more than {0:,} identical calls in a row",
    Measure.CALLS_PER_MINUTE: "more than {0:,} calls in a minute",
    Measure.AMOUNT_PER_MINUTE: "more than {0} spent in a minute",
    Measure.DEPTH: "sub-agents more than {0:,} deep",
    Measure.SESSION_CALLS: "more than {0:,} calls in one session",
    Measure.SESSION_MINUTES: "a session longer than {0:,} minutes",
    Measure.SESSION_AMOUNT: "more than {0} spent in one session",
}


def first_breach(
    breakers: Mapping[str, BreakerTerms], track: Track | None, *, fingerprint: int, depth: int, now: float
) -> tuple[BreakerTerms, int] | None:
    """The first breaker that one more call would go beyond, and how far it would be."""
    for measure, one in breakers.items():
        seen = _with_one_more(measure, track, fingerprint, depth, now)
        if one.threshold is not None and seen > one.threshold:
            return one, seen
    return None


def reason(one: BreakerTerms, currency: str) -> str:
    threshold = one.threshold or 0
    said = f"{_amount(threshold)} {currency}".rstrip() if one.measure in AMOUNTS else threshold
    return _WHY[Measure(one.measure)].format(said)


def _with_one_more(measure: str, track: Track | None, fingerprint: int, depth: int, now: float) -> int:
    if measure == Measure.DEPTH:
        return depth
    if track is None:
        return 1 if measure in (Measure.SESSION_CALLS, Measure.CALLS_PER_MINUTE, Measure.IDENTICAL_CALLS) else 0
    if measure == Measure.IDENTICAL_CALLS:
        return track.run + 1 if track.goes_on(fingerprint, now) else 1
    if measure == Measure.CALLS_PER_MINUTE:
        return track.minute_calls + 1
    if measure == Measure.AMOUNT_PER_MINUTE:
        return track.minute_amount
    if measure == Measure.SESSION_CALLS:
        return track.calls + 1
    if measure == Measure.SESSION_MINUTES:
        return track.minutes(now)
    return track.amount


def _amount(pico: int) -> str:
    whole, rest = divmod(pico, 10**12)
    return f"{whole:,}.{rest // 10**10:02d}"
