"""Every provider that is made up, by the name of its account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.fakes.reporting import Reporting
from tests.fakes.reports.anthropic import AnthropicReports
from tests.fakes.reports.azure import AzureReports
from tests.fakes.reports.bedrock import BedrockReports
from tests.fakes.reports.copilot import CopilotReports
from tests.fakes.reports.cursor import CursorReports
from tests.fakes.reports.devin import DevinReports
from tests.fakes.reports.google import GoogleReports
from tests.fakes.reports.helicone import HeliconeReports
from tests.fakes.reports.langfuse import LangfuseReports
from tests.fakes.reports.litellm import LiteLLMReports
from tests.fakes.reports.openai import OpenAIReports
from tests.fakes.reports.openrouter import OpenRouterReports
from tests.fakes.reports.portkey import PortkeyReports
from tests.fakes.reports.windsurf import WindsurfReports

FAKES: Final[Mapping[str, type[Reporting]]] = {
    one.account: one
    for one in (
        AnthropicReports,
        AzureReports,
        BedrockReports,
        CopilotReports,
        CursorReports,
        DevinReports,
        GoogleReports,
        HeliconeReports,
        LangfuseReports,
        LiteLLMReports,
        OpenAIReports,
        OpenRouterReports,
        PortkeyReports,
        WindsurfReports,
    )
}  # fmt: skip
