"""What a rule saved, verified: calls that it treated against calls that were drawn to stay. Pure.

A session is drawn by its name alone, so that those who stay are like those who are treated, but for what the rule does.
A call that stayed, by a chance of q, stands for (1 - q) / q calls that were treated at that time: 19 where 5 % are held
back. What treated calls would have cost is their number times the weighted mean cost of those (the ratio of Hájek, for
the treated), or their tokens times the weighted mean cost of a token, whichever is surer: long calls cost more, and how
long a call is the rule does not decide.

Sessions are drawn, not calls, so that how far either may be off follows from sums over sessions (Cochran, "Sampling
techniques" (1977), section 6): from those that stayed, and from those that were treated, who are no more than a sample
either. What was spent on failed tries is in the cost of a call. Judges, checkers and shadows are charges of their own,
which a tag says are for the rule; they are taken off.
"""

from __future__ import annotations

from decimal import Decimal
from math import exp, isfinite, sqrt
from typing import Final, NamedTuple

from finops.core.money import to_ledger
from routing.evidence.statistics.student import half_width
from routing.rollouts.types import Means, Sums, Verified

CONFIDENCE: Final = 0.95
# So few sessions that stayed do not say what the others would have cost.
LEAST_SESSIONS: Final = 20
# Tokens are believed to say more than calls where they take off so much of the variance.
_SURER: Final = 0.9


def verified(sums: Sums) -> Verified:
    if not sums.treated_calls:
        return Verified(why="No call was treated.")
    if not sums.stayed_sessions or sums.n <= 0:
        return Verified(why="No hold-back, no verified saving: no call was drawn to stay as it was.")
    if sums.stayed_sessions < LEAST_SESSIONS:
        return Verified(
            why=f"Too little stayed as it was to tell: {sums.stayed_sessions} of {LEAST_SESSIONS} sessions."
        )
    found = _expected(sums, Means.CALLS)
    if sums.x > 0 and sums.treated_tokens > 0:
        told = _expected(sums, Means.TOKENS)
        if told.error < _SURER * found.error:
            found = told
    below, above = _bounds(found)
    would = _money(found.value)
    saved = would - sums.treated_cost
    lower, upper = saved - (would - below), saved + (above - would)
    return Verified(
        expected=would,
        saved=saved,
        lower=lower,
        upper=upper,
        net=saved - sums.beside_cost,
        net_lower=lower - sums.beside_cost,
        net_upper=upper - sums.beside_cost,
        by=found.by.value,
    )


class _Estimate(NamedTuple):
    """`alike` is how many sessions would say as much, stood each of them for equally much."""

    by: Means
    value: float
    error: float
    alike: float


def _bounds(found: _Estimate) -> tuple[Decimal, Decimal]:
    """On the scale of logarithms: sums of costs lean to the right, and so does what may be missing from them."""
    if found.value <= 0:
        return _money(found.value), _money(found.value)
    away = half_width(CONFIDENCE, found.alike - 1, found.error) / found.value
    return _money(found.value * exp(-away)), _money(found.value * exp(min(away, 20.0)))


def _expected(sums: Sums, by: Means) -> _Estimate:
    """What those that were treated would have cost."""
    if by is Means.CALLS:
        size, whole, cs, ss, own_cs, own_ss = (
            float(sums.treated_calls), sums.n, sums.cn, sums.nn, sums.own_cn, sums.own_nn,
        )  # fmt: skip
    else:
        size, whole, cs, ss, own_cs, own_ss = (
            sums.treated_tokens, sums.x, sums.cx, sums.xx, sums.own_cx, sums.own_xx,
        )  # fmt: skip
    ratio = sums.c / whole
    apart = max(sums.cc - 2 * ratio * cs + ratio**2 * ss, 0.0)
    own = max(sums.own_cc - 2 * ratio * own_cs + ratio**2 * own_ss, 0.0)
    # A session that outweighs others takes its own share of the ratio along: it is off by more than it seems.
    alike = max(whole**2 / ss, 2.0)
    error = sqrt(alike / (alike - 1) * (apart * (size / whole) ** 2 + own))
    return _Estimate(by, size * ratio, error, alike)


def _money(value: float) -> Decimal:
    if not isfinite(value):
        raise ValueError("sums of costs are finite")
    return to_ledger(Decimal(repr(value)))
