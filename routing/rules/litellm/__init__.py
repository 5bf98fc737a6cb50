"""Rules as a configuration of LiteLLM: what can be said in one, and of the rest why not. Pure."""

from __future__ import annotations

from routing.rules.litellm.config import Generated, generated, shown
from routing.rules.litellm.sayable import LimitUnsayable, Standing, Told
from routing.rules.litellm.served import Served

__all__ = ["Generated", "LimitUnsayable", "Served", "Standing", "Told", "generated", "shown"]
