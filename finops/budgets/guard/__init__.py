"""Whether a call may be made at all, before anybody asks for its money: stops, allowed models, limits by the minute and
circuit breakers. In memory: no database, no Django, no clock. `budgets.pulse` brings processes together.
"""

from __future__ import annotations

from finops.budgets.guard.answers import Lacking, ModelNotAllowed, RateLimited, Refusal, Stopped, Trip
from finops.budgets.guard.guard import Guard
from finops.budgets.guard.terms import BreakerTerms, GuardRules, LimitTerms

__all__ = [
    "BreakerTerms",
    "Guard",
    "GuardRules",
    "Lacking",
    "LimitTerms",
    "ModelNotAllowed",
    "RateLimited",
    "Refusal",
    "Stopped",
    "Trip",
]
