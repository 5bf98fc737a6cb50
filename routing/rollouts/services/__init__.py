"""Rules followed step by step, and what they saved; audited."""

from __future__ import annotations

from routing.rollouts.services.following import HOUSE, begin, change_pace, follow, observe
from routing.rollouts.services.measuring import KEPT, forget_sessions, measure

__all__ = ["HOUSE", "KEPT", "begin", "change_pace", "follow", "forget_sessions", "measure", "observe"]
