"""A provider of models, scripted: OpenAI and Anthropic on loopback, over real HTTP, with a bill of what was served."""

from __future__ import annotations

from tests.fakes.upstream.bill import PICO, Bill, Line
from tests.fakes.upstream.running import Upstream, upstream
from tests.fakes.upstream.script import Plan, Script
from tests.fakes.upstream.server import Seen

__all__ = ["PICO", "Bill", "Line", "Plan", "Script", "Seen", "Upstream", "upstream"]
