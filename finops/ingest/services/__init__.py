"""The corridor, and work that goes through it again: replay, re-rating, re-attribution, allocation."""

from __future__ import annotations

from finops.ingest.services.take import take

__all__ = ["take"]
