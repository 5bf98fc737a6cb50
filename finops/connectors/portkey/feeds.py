"""What can be fetched of a workspace at Portkey: its logs, by exports (`/v1/logs/exports`). An export is a job: it is
made, started, waited for, and downloaded from where it lies, a line a call.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final

from finops.connectors import stored
from finops.connectors.fetching import Access, Account, Away, Evidence, Feed, Need, RequestRefused, Says, Server, Window
from finops.connectors.given import slug
from finops.connectors.keeping import object_of
from finops.connectors.pages import BodyUnreadable
from finops.connectors.portkey.logs import PARSER, cut
from finops.connectors.telling import words

_EXPORTS: Final = "/v1/logs/exports"
_WHAT: Final = "Portkey's answer about an export"
_COLUMNS: Final = (
    *("id", "trace_id", "created_at", "response", "is_success", "ai_org", "ai_model", "cost", "cost_currency"),
    *("response_status_code", "config", "prompt_slug", "metadata"),
)
# An export has no more; what is beyond is left out without a word.
_MOST_LINES: Final = 50_000
_LINES: Final = 200
_SHORTEST: Final = timedelta(minutes=1)
_PAUSE_S: Final = 5.0
_MOST_PAUSES: Final = 120
_ENDED: Final = frozenset({"failed", "stopped"})


def _server(access: Access) -> Server:
    return Server(access, headers={"x-portkey-api-key": access.credential})


def _logs(access: Access, window: Window) -> Iterator[Sequence[bytes]]:
    """A window of more calls than an export holds is read in halves. An export without calls is no line, where it was
    not said to hold some.
    """
    server = _server(access)
    name, total = _made(access, server, window)
    if total <= _MOST_LINES:
        yield from _started(server, name)
        read = 0
        for rows in _downloaded(access, server, name):
            read += len(rows)
            yield cut(b"\n".join(rows)).rows
        if total > 0 and not read:
            raise BodyUnreadable(f"Portkey's export is empty, and was said to hold {total:,} calls.")
        # Where it did not say beforehand how many there are.
        if read < _MOST_LINES:
            return
    half = (window.until - window.since) / 2
    if half < _SHORTEST:
        raise RequestRefused(f"there are more than {_MOST_LINES:,} calls in {2 * half}: an export does not hold them")
    middle = (window.since + half).replace(microsecond=0)
    yield from _logs(access, Window(window.since, middle))
    yield from _logs(access, Window(middle, window.until))


def _made(access: Access, server: Server, window: Window) -> tuple[str, int]:
    """A new export's id, and of how many calls it is, 0 where that is not said."""
    workspace = slug(access, "workspace")
    asked: dict[str, Any] = {
        "filters": {"time_of_generation_min": _text(window.since), "time_of_generation_max": _text(window.until)},
        "requested_data": list(_COLUMNS),
        "description": "Capstan",
        **({"workspace_id": workspace} if workspace else {}),
    }
    said = object_of(server.post(_EXPORTS, asked), _WHAT)
    total = said.get("total")
    return _name(said.get("id")), total if type(total) is int else 0


def _started(server: Server, name: str) -> Iterator[Sequence[bytes]]:
    """Nothing, again and again until the export is there, so that whoever reads knows that it goes on."""
    server.post(f"{_EXPORTS}/{name}/start", {})
    for _ in range(_MOST_PAUSES):
        status = words(object_of(server.get(f"{_EXPORTS}/{name}"), _WHAT).get("status"))
        if status == "success":
            return
        if status in _ENDED:
            raise Away(f"the export {status}")
        yield ()
        time.sleep(_PAUSE_S)
    raise Away("the export was not made in time")


def _downloaded(access: Access, server: Server, name: str) -> Iterator[list[bytes]]:
    address = _address(object_of(server.get(f"{_EXPORTS}/{name}/download"), _WHAT).get("signed_url"))
    if not address:
        raise Away("the export is nowhere to be downloaded")
    lines = (line for line in stored.lines(access, address) if line.strip())
    while rows := list(islice(lines, _LINES)):
        yield rows


def _name(value: Any) -> str:
    """Stands in an address."""
    name = words(value)
    if not name or not name.replace("-", "").isalnum() or not name.isascii():
        raise Away("the export was made and has no id")
    return name


def _address(value: Any) -> str:
    """Longer than other words: it holds a signature."""
    return value if isinstance(value, str) and value.isprintable() else ""


def _text(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _probe(access: Access) -> None:
    workspace = slug(access, "workspace")
    _server(access).get(_EXPORTS, [("workspace_id", workspace)] if workspace else [])


ACCOUNT: Final = Account(
    name="portkey",
    title="Portkey",
    address="https://api.portkey.ai",
    credential_help="An API key of an Enterprise workspace with the permission to export logs (logs.export).",
    probe=_probe,
    needs=(Need("workspace", "The workspace's id or slug, where the key is the organization's.", needed=False),),
    feeds=(
        Feed(
            name="portkey-logs",
            evidence=frozenset({Evidence.METERED, Evidence.REPORTED}),
            title="Log exports",
            parser=PARSER,
            says=Says.CHARGES,
            pages=_logs,
            # Each asking makes an export, which stays in Portkey's list.
            every=timedelta(hours=6),
            delay=timedelta(hours=1),
            revised=timedelta(hours=6),
            width=timedelta(minutes=1),
            longest=timedelta(days=1),
            history=timedelta(days=365),
            dedupe="the log's id",
            convention="as the provider's answer has it; its total tells whether cached tokens are in it",
            money="cents, Portkey's estimate: a tag, for comparing",
        ),
    ),
)
