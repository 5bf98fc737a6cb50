"""Which parser reads what: by name, as quarantine keeps it, so that a record is read again as it was read first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from finops.connectors.anthropic import analytics as anthropic_analytics
from finops.connectors.anthropic import claude_code as anthropic_claude_code
from finops.connectors.anthropic import cost_report as anthropic_cost_report
from finops.connectors.anthropic import usage_report as anthropic_usage_report
from finops.connectors.azure import cost_export as azure_cost_export
from finops.connectors.bedrock import cur as aws_cur
from finops.connectors.bedrock import invocations as bedrock
from finops.connectors.capstan import parse as capstan
from finops.connectors.cloudevents import parse as cloudevents
from finops.connectors.copilot import parse as copilot
from finops.connectors.cursor import parse as cursor
from finops.connectors.devin import parse as devin
from finops.connectors.files import parse as files
from finops.connectors.google import answers as google_answers
from finops.connectors.google import billing as google_billing
from finops.connectors.helicone import requests as helicone_requests
from finops.connectors.helicone import webhook as helicone_webhook
from finops.connectors.langfuse import observations as langfuse_observations
from finops.connectors.litellm import spend_logs as litellm_spend_logs
from finops.connectors.litellm import webhook as litellm_webhook
from finops.connectors.managed_agents import parse as managed_agents
from finops.connectors.openai import cost_report as openai_cost_report
from finops.connectors.openai import usage_report as openai_usage_report
from finops.connectors.openrouter import activity as openrouter_activity
from finops.connectors.openrouter import generation as openrouter_generation
from finops.connectors.otlp import logs as otlp_logs
from finops.connectors.otlp import metrics as otlp_metrics
from finops.connectors.otlp import spans as otlp_spans
from finops.connectors.portkey import logs as portkey_logs
from finops.connectors.sessions import claude_code, codex
from finops.connectors.types import Received
from finops.connectors.windsurf import parse as windsurf
from finops.core.errors import FinopsError

Parser = Callable[[bytes], Received]
PARSERS: Final[Mapping[str, Parser]] = {
    anthropic_analytics.PARSER: anthropic_analytics.parse,
    anthropic_claude_code.PARSER: anthropic_claude_code.parse,
    anthropic_cost_report.PARSER: anthropic_cost_report.parse,
    anthropic_usage_report.PARSER: anthropic_usage_report.parse,
    azure_cost_export.PARSER: azure_cost_export.parse,
    aws_cur.PARSER: aws_cur.parse,
    bedrock.PARSER: bedrock.parse,
    capstan.PARSER: capstan.parse,
    claude_code.PARSER: claude_code.parse,
    cloudevents.PARSER: cloudevents.parse,
    codex.PARSER: codex.parse,
    copilot.PARSER: copilot.parse,
    cursor.PARSER: cursor.parse,
    devin.PARSER: devin.parse,
    files.PARSER: files.parse,
    google_answers.PARSER: google_answers.parse,
    google_billing.PARSER: google_billing.parse,
    helicone_requests.PARSER: helicone_requests.parse,
    helicone_webhook.PARSER: helicone_webhook.parse,
    langfuse_observations.PARSER: langfuse_observations.parse,
    litellm_spend_logs.PARSER: litellm_spend_logs.parse,
    litellm_webhook.PARSER: litellm_webhook.parse,
    managed_agents.PARSER: managed_agents.parse,
    openai_cost_report.PARSER: openai_cost_report.parse,
    openai_usage_report.PARSER: openai_usage_report.parse,
    openrouter_activity.PARSER: openrouter_activity.parse,
    openrouter_generation.PARSER: openrouter_generation.parse,
    otlp_logs.PARSER: otlp_logs.parse,
    otlp_metrics.PARSER: otlp_metrics.parse,
    otlp_spans.PARSER: otlp_spans.parse,
    portkey_logs.PARSER: portkey_logs.parse,
    windsurf.PARSER: windsurf.parse,
}
# Readers of what tools tell of themselves: without the request id that an answer has, or with another. What such a
# record is a view of is known by what it says.
BY_CONTENT: Final = frozenset({claude_code.PARSER, codex.PARSER, otlp_logs.PARSER, otlp_spans.PARSER})


class ParserUnknown(FinopsError):
    code = "connectors.parser_unknown"
    status = 422


def reparse(parser: str, raw: bytes) -> Received:
    """Read a record again with the parser of that name. Raises ParserUnknown."""
    found = PARSERS.get(parser)
    if found is None:
        raise ParserUnknown(f"There is no parser {parser!r}; there are {', '.join(sorted(PARSERS))}.")
    return found(raw)
