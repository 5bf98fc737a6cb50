"""Why a call is refused, as errors with stable codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

from finops.budgets.guard import ModelNotAllowed, RateLimited, Refusal, Stopped
from finops.budgets.guard.answers import CONCURRENT
from finops.core.errors import FinopsError


class Refused(FinopsError):
    """What the budgets, or the guard, say to a call."""


class Exceeded(Refused):
    """Budgets have too little left; `budgets` says how each of them stands."""

    code = "budgets.exceeded"
    status = 429

    def __init__(self, message: str, budgets: Sequence[Mapping[str, Any]], retry_after_s: int | None) -> None:
        super().__init__(message)
        self.budgets = budgets
        self.retry_after_s = retry_after_s


class IsStopped(Refused):
    """Somebody, or a breaker, stopped whom the call concerns."""

    code = "budgets.stopped"
    status = 429


class NotAllowed(Refused):
    """The model is not among those that may be used."""

    code = "budgets.model_not_allowed"
    status = 403


class TooMany(Refused):
    """A limit of requests or tokens per minute, or of calls at once, is reached."""

    code = "budgets.rate_limited"
    status = 429


def guarded(found: Refusal) -> Refused:
    """What the guard said, as an error."""
    whom = f"{found.dimension} {found.subject}".strip()
    error: Refused
    if isinstance(found, Stopped):
        until = f" until {found.until}" if found.until else " until somebody lifts it"
        error = IsStopped(f"Calls of {whom} are stopped{until}: {found.reason}.")
        left_s = found.left_s
    elif isinstance(found, ModelNotAllowed):
        allowed = ", ".join(found.allowed[:20]) or "none"
        error = NotAllowed(f"{found.model} is not allowed for {whom}; allowed: {allowed}.", field="model")
        left_s = None
    else:
        error, left_s = _too_many(found, whom), found.retry_after_s
    error.retry_after_s = None if left_s is None else max(1, ceil(left_s))
    return error


def _too_many(found: RateLimited, whom: str) -> TooMany:
    if found.measure == CONCURRENT:
        return TooMany(f"{whom} may have {found.limit:,} calls at once (concurrency), and as many are under way.")
    limit, wanted = f"{found.limit:,} {found.measure}", f"{found.wanted:,}"
    return TooMany(f"{whom} may have {limit} a minute, and this call needs {wanted} more.")
