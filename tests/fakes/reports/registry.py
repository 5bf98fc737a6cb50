"""Every provider that is made up, by the name of its account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.fakes.reporting import Reporting
from tests.fakes.reports.anthropic import AnthropicReports
from tests.fakes.reports.openai import OpenAIReports
from tests.fakes.reports.openrouter import OpenRouterReports

FAKES: Final[Mapping[str, type[Reporting]]] = {
    one.account: one
    for one in (
        AnthropicReports,
        OpenAIReports,
        OpenRouterReports,
    )
}  # fmt: skip
