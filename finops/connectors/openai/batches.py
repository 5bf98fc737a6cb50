"""OpenAI's batches: what a batch says of itself, what one line of its results used, and a server asked for both."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from finops.connectors.addresses import Unreachable
from finops.connectors.counting import Meters
from finops.connectors.openai.usage import chat_usage, responses_usage
from finops.connectors.outgoing import Outgoing
from finops.connectors.types import Problem
from finops.connectors.wording import clean, problem

# Statuses that nothing follows. What was done by then is billed, whichever of them it is.
TERMINAL: Final = frozenset({"completed", "failed", "expired", "cancelled"})
# Under this name a batch's metadata has who made it, so that one whose answer was lost is found again.
CALL: Final = "capstan_call"
# Ids that can stand in a path.
ID: Final = re.compile(r"[A-Za-z0-9_-]{1,100}")
_PAGE: Final = 100
_MOST_PAGES: Final = 20
_LONGEST: Final = 300
# Shorter ids come again at some hosts; see the gateway's.
_UNIQUE: Final = 20
_CUSTOM: Final = re.compile(rb'"custom_id"\s*:\s*"([^"\\]{1,200})"')


class Told(NamedTuple):
    """What a batch says of itself; '' and None are not said. `completed` are requests that were answered."""

    id: str
    status: str
    output_file_id: str
    error_file_id: str
    completed: int
    # Seconds since 1970.
    ended_at: int | None
    call_id: str


class Result(NamedTuple):
    """One request's line. `usage` is None where it was not answered, so that nothing is billed; `problem` says why it
    cannot be read.
    """

    custom_id: str
    answered: bool = False
    model: str = ""
    request_id: str = ""
    usage: Meters | None = None
    problem: Problem | None = None


def _of_response(body: _Body, usage: Mapping[str, Any]) -> Meters | Problem:
    return responses_usage(usage, output=body.output if isinstance(body.output, list) else ())


def _of_chat(_: _Body, usage: Mapping[str, Any]) -> Meters | Problem:
    return chat_usage(usage)


class _Body(msgspec.Struct):
    id: Any = None
    model: Any = None
    usage: Any = None
    output: Any = None


class _Response(msgspec.Struct):
    status_code: int = 0
    body: _Body | None = None


class _Line(msgspec.Struct):
    custom_id: str
    response: _Response | None = None


# Endpoints a batch may be of, and how their answers say what they used.
READERS: Final[Mapping[str, Callable[[_Body, Mapping[str, Any]], Meters | Problem]]] = {
    "/v1/chat/completions": _of_chat,
    "/v1/completions": _of_chat,
    "/v1/embeddings": _of_chat,
    "/v1/responses": _of_response,
}
_line: Final = msgspec.json.Decoder(_Line).decode


def told_of(said: Any) -> Told | None:
    """A batch as its JSON says it; None for what is none."""
    if not isinstance(said, Mapping) or not _is_id(said.get("id")) or not isinstance(said.get("status"), str):
        return None
    counts, metadata = said.get("request_counts"), said.get("metadata")
    completed = counts.get("completed") if isinstance(counts, Mapping) else None
    call = metadata.get(CALL) if isinstance(metadata, Mapping) else None
    ends = (said.get(f"{status}_at") for status in TERMINAL)
    return Told(
        id=said["id"],
        status=said["status"],
        output_file_id=said["output_file_id"] if _is_id(said.get("output_file_id")) else "",
        error_file_id=said["error_file_id"] if _is_id(said.get("error_file_id")) else "",
        completed=completed if isinstance(completed, int) and 0 <= completed < 2**31 else 0,
        ended_at=max((end for end in ends if isinstance(end, int)), default=None),
        call_id=call if isinstance(call, str) else "",
    )


def result_of(raw: bytes, endpoint: str) -> Result:
    """One line of results. Never raises for what a provider sent."""
    try:
        line = _line(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        found = _CUSTOM.search(raw, 0, 4_096)
        custom_id = clean(found.group(1).decode("utf-8", "replace")) if found else ""
        return Result(custom_id, problem=_unreadable("$", "the line is not the JSON it should be"))
    custom_id = clean(line.custom_id)[:_LONGEST]
    body = line.response.body if line.response else None
    usage = body.usage if body else None
    answered = line.response is not None and 200 <= line.response.status_code < 300
    if body is None or (usage is None and not answered):
        # An error, or a request that was not worked on in time: nobody bills that.
        missing = _unreadable("response.body", "it was answered, and there is no answer") if answered else None
        return Result(custom_id, answered, problem=missing)
    used: Meters | Problem = _unreadable("usage", "the answer says no usage")
    if isinstance(usage, Mapping):
        used = READERS[endpoint](body, usage)
    request_id = _text(body.id)
    read = Result(custom_id, answered, _text(body.model), request_id if len(request_id) >= _UNIQUE else "")
    return read._replace(problem=used) if isinstance(used, Problem) else read._replace(usage=used)


class BatchServer:
    """The batches and files of one account."""

    def __init__(self, *, address: str, headers: Mapping[str, str], internal: Collection[str] = ()) -> None:
        self._server = Outgoing(address, headers=headers, internal=internal)

    def batch(self, batch_id: str) -> dict[str, Any]:
        """As it says itself. Raises Unreachable."""
        return self._asked(f"/batches/{batch_id}")

    def made_by(self, call_id: str) -> dict[str, Any] | None:
        """The batch that a call made, among the newest; None where there is none. Raises Unreachable."""
        after: dict[str, str] = {}
        for _ in range(_MOST_PAGES):
            page = self._asked("/batches", {"limit": str(_PAGE), **after})
            listed = page.get("data")
            batches = listed if isinstance(listed, list) else []
            for said in batches:
                told = told_of(said)
                if told is not None and told.call_id == call_id:
                    return dict(said)
            last = told_of(batches[-1]) if batches else None
            if not page.get("has_more") or last is None:
                return None
            after = {"after": last.id}
        return None

    def results(self, file_id: str) -> Iterator[bytes]:
        """The lines of a file that are not empty, as they come. Raises Unreachable."""
        for line in self._server.lines(f"/files/{file_id}/content"):
            if line.strip():
                yield line

    def _asked(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        answer = self._server.ask("GET", path, query=query)
        if answer.status != 200 or answer.body is None:
            raise Unreachable(f"the upstream answered {answer.status}")
        return answer.body


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and ID.fullmatch(value) is not None


def _text(value: Any) -> str:
    return clean(value)[:_LONGEST] if isinstance(value, str) else ""


def _unreadable(field: str, message: str) -> Problem:
    return problem("connectors.usage_unreadable", field, message)
