"""Decided from values alone: periods, whom a budget concerns, and the most a call can cost."""

from __future__ import annotations

from finops.budgets.rules.matching import Matcher, subject_of
from finops.budgets.rules.periods import window

__all__ = ["Matcher", "subject_of", "window"]
