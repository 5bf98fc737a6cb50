"""Which parser reads what: by name, as quarantine keeps it, so that a record is read again as it was read first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from finops.connectors.bedrock import cur as aws_cur
from finops.connectors.bedrock import invocations as bedrock
from finops.connectors.capstan import parse as capstan
from finops.connectors.cloudevents import parse as cloudevents
from finops.connectors.copilot import parse as copilot
from finops.connectors.cursor import parse as cursor
from finops.connectors.devin import parse as devin
from finops.connectors.files import parse as files
from finops.connectors.managed_agents import parse as managed_agents
from finops.connectors.sessions import claude_code, codex
from finops.connectors.types import Received
from finops.connectors.windsurf import parse as windsurf
from finops.core.errors import FinopsError

Parser = Callable[[bytes], Received]
PARSERS: Final[Mapping[str, Parser]] = {
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
    managed_agents.PARSER: managed_agents.parse,
    windsurf.PARSER: windsurf.parse,
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
