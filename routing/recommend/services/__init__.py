"""Recommendations worked out, applied and dismissed; audited."""

from __future__ import annotations

from routing.recommend.services.acting import apply, dismiss, expire
from routing.recommend.services.computing import Recomputed, recompute, waiting

__all__ = ["Recomputed", "apply", "dismiss", "expire", "recompute", "waiting"]
