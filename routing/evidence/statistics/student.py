"""Student's t, by scipy.special: scipy.stats takes longer to load than the rest of a process of ours."""

from __future__ import annotations


def half_width(confidence: float, degrees: float, error: float) -> float:
    """How far a two-sided interval reaches from an estimate with this standard error."""
    # Loaded by whoever computes: most processes that know of statistics never do.
    from scipy.special import stdtrit

    return float(stdtrit(degrees, (1 + confidence) / 2)) * error
