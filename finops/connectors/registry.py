"""Which parser reads what: by name, as quarantine keeps it, so that a record is read again as it was read first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from finops.connectors.capstan import parse as capstan
from finops.connectors.cloudevents import parse as cloudevents
from finops.connectors.files import parse as files
from finops.connectors.helicone import requests as helicone_requests
from finops.connectors.helicone import webhook as helicone_webhook
from finops.connectors.langfuse import observations as langfuse_observations
from finops.connectors.litellm import spend_logs as litellm_spend_logs
from finops.connectors.litellm import webhook as litellm_webhook
from finops.connectors.otlp import logs as otlp_logs
from finops.connectors.otlp import metrics as otlp_metrics
from finops.connectors.otlp import spans as otlp_spans
from finops.connectors.portkey import logs as portkey_logs
from finops.connectors.types import Received
from finops.core.errors import FinopsError

Parser = Callable[[bytes], Received]
PARSERS: Final[Mapping[str, Parser]] = {
    capstan.PARSER: capstan.parse,
    cloudevents.PARSER: cloudevents.parse,
    files.PARSER: files.parse,
    helicone_requests.PARSER: helicone_requests.parse,
    helicone_webhook.PARSER: helicone_webhook.parse,
    langfuse_observations.PARSER: langfuse_observations.parse,
    litellm_spend_logs.PARSER: litellm_spend_logs.parse,
    litellm_webhook.PARSER: litellm_webhook.parse,
    otlp_logs.PARSER: otlp_logs.parse,
    otlp_metrics.PARSER: otlp_metrics.parse,
    otlp_spans.PARSER: otlp_spans.parse,
    portkey_logs.PARSER: portkey_logs.parse,
}


class ParserUnknown(FinopsError):
    code = "connectors.parser_unknown"
    status = 422


def reparse(parser: str, raw: bytes) -> Received:
    """Read a record again with the parser of that name. Raises ParserUnknown."""
    found = PARSERS.get(parser)
    if found is None:
        raise ParserUnknown(f"There is no parser {parser!r}; there are {', '.join(sorted(PARSERS))}.")
    return found(raw)
