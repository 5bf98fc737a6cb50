"""What is known of records that others send, before anybody sent one: for each parser that no feed has, what a feed
says of its rows (`fetching.Feed`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from finops.connectors.capstan import parse as capstan
from finops.connectors.cloudevents import parse as cloudevents
from finops.connectors.fetching import Evidence
from finops.connectors.files import parse as files
from finops.connectors.google import answers as google
from finops.connectors.helicone import webhook as helicone
from finops.connectors.litellm import webhook as litellm
from finops.connectors.managed_agents import parse as managed_agents
from finops.connectors.openrouter import generation as openrouter
from finops.connectors.otlp import logs, metrics, spans
from finops.connectors.sessions import claude_code, codex

_ANY: Final = frozenset(Evidence)
_METERED: Final = frozenset({Evidence.METERED})
_REPORTED: Final = frozenset({Evidence.REPORTED})
_AT_ONCE: Final = "when the call ends"
_NEVER: Final = "no: a call is told once"
_OWN: Final = "disjoint meters, or totals that include their parts where it says so"
_INCLUSIVE: Final = "input includes what was read from and written to a cache"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """Records of one parser. `kind` is that of the source they come to; `delay` and `revised` are for people, as nobody
    asks by them.
    """

    parser: str
    kind: str
    title: str
    dedupe: str
    convention: str
    money: str
    evidence: frozenset[Evidence]
    delay: str = _AT_ONCE
    revised: str = _NEVER


_ALL: Final = (
    Sent(
        parser=capstan.PARSER,
        kind="api",
        title="Records of our own format",
        dedupe="the id the record says",
        convention=_OWN,
        money="what it says, in its currency; else by the price book",
        evidence=_ANY,
        revised="by a source that restates itself",
    ),
    Sent(
        parser=cloudevents.PARSER,
        kind="cloudevents",
        title="CloudEvents",
        dedupe="the event's source and id",
        convention=_OWN,
        money="what it says, in its currency; else by the price book",
        evidence=_ANY,
        revised="by a source that restates itself",
    ),
    Sent(
        parser=files.PARSER,
        kind="file",
        title="Rows of files",
        dedupe="the columns that the mapping names, or the row",
        convention="as the mapping says",
        money="as the mapping says; else by the price book",
        evidence=_ANY,
        delay="when somebody imports it",
        revised="by a source that restates itself",
    ),
    Sent(
        parser=spans.PARSER,
        kind="otlp",
        title="Spans",
        dedupe="trace and span id",
        convention=f"{_INCLUSIVE}; the other way where capstan.usage_convention says so",
        money="by the price book",
        evidence=_METERED,
    ),
    Sent(
        parser=logs.PARSER,
        kind="otlp",
        title="Events of coding agents",
        dedupe="the request id, or session and sequence",
        convention="Claude Code's leaves the cache out of the input; Codex' and Gemini's include it",
        money="by the price book; a tool's own estimate is a tag",
        evidence=_REPORTED,
    ),
    Sent(
        parser=metrics.PARSER,
        kind="otlp",
        title="Metrics of tokens",
        dedupe="the series and the end of its interval",
        convention="as the tool's events",
        money="by the price book; a tool's own estimate is a tag",
        evidence=_REPORTED,
        delay="the interval at which metrics are exported",
    ),
    Sent(
        parser=litellm.PARSER,
        kind="litellm",
        title="Calls of the proxy's callback",
        dedupe="LiteLLM's call id",
        convention=_INCLUSIVE,
        money="by the price book; LiteLLM's own figure is a tag",
        evidence=frozenset({Evidence.METERED, Evidence.REPORTED}),
    ),
    Sent(
        parser=helicone.PARSER,
        kind="helicone",
        title="Calls of the webhook",
        dedupe="Helicone's request id",
        convention="as the provider's answer has it",
        money="by the price book; Helicone's own figure is a tag",
        evidence=frozenset({Evidence.METERED, Evidence.REPORTED}),
    ),
    Sent(
        parser=google.PARSER,
        kind="google",
        title="Answers of Gemini",
        dedupe="responseId",
        convention=_INCLUSIVE,
        money="by the price book",
        evidence=_METERED,
    ),
    Sent(
        parser=openrouter.PARSER,
        kind="openrouter",
        title="Generations",
        dedupe="the generation's id",
        convention=_INCLUSIVE,
        money="credits, which are dollars",
        evidence=_METERED,
    ),
    Sent(
        parser=managed_agents.PARSER,
        kind="managed-agents",
        title="Sessions of managed agents",
        dedupe="the session and what of it is counted",
        convention="no tokens",
        money="the rate that is said, by the hour or gigabyte",
        evidence=frozenset({Evidence.ESTIMATED}),
        delay="when somebody counts them",
    ),
    Sent(
        parser=claude_code.PARSER,
        kind="file",
        title="Session files of Claude Code",
        dedupe="the message and request id",
        convention="input leaves out what was read from and written to a cache",
        money="by the price book; nothing beside a seat",
        evidence=_REPORTED,
        delay="when the files are read",
    ),
    Sent(
        parser=codex.PARSER,
        kind="file",
        title="Session files of Codex",
        dedupe="the session and its turn",
        convention=_INCLUSIVE,
        money="by the price book; nothing beside a seat",
        evidence=_REPORTED,
        delay="when the files are read",
    ),
)
SENT: Final[Mapping[str, Sent]] = {one.parser: one for one in _ALL}


def of_kind(kind: str) -> list[Sent]:
    """What comes by a source of this kind."""
    return [one for one in _ALL if one.kind == kind]
