"""What can be fetched of an organization at Helicone: its calls, by the query API (`POST
/v1/request/query-clickhouse`), and the answers it keeps apart, by the addresses its rows lead to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from finops.connectors import stored
from finops.connectors.fetching import Access, Account, Evidence, Feed, RequestRefused, Says, Server, Window
from finops.connectors.foreign import rows_of
from finops.connectors.helicone.call import answer_of, stored_answer
from finops.connectors.helicone.requests import PARSER, cut
from finops.connectors.keeping import object_of, written
from finops.connectors.pages import Page
from finops.connectors.paging import followed
from finops.connectors.telling import mapping, words

_QUERY: Final = "/v1/request/query-clickhouse"
_WHAT: Final = "a page of Helicone's requests"
# 1,000 is the most; a row may hold what was asked and answered.
_MOST_ROWS: Final = 100


def _server(access: Access) -> Server:
    return Server(access, headers={"Authorization": f"Bearer {access.credential}"})


def _requests(access: Access, window: Window) -> Iterator[Sequence[bytes]]:
    server = _server(access)

    def ask(after: str) -> Page:
        offset = int(after or 0)
        body = server.post(_QUERY, _question(_within(window), offset=offset, limit=_MOST_ROWS))
        return cut(body, offset=offset, limit=_MOST_ROWS, stored=_answers(access, body))

    return followed(ask)


def _question(within: Any, *, offset: int, limit: int) -> dict[str, Any]:
    """From the first on, so that calls that come meanwhile stand behind. Whether a call was scored, or is part of an
    experiment, is left out: either word would leave out the others.
    """
    return {
        "filter": within,
        "isCached": False,
        "includeInputs": False,
        "offset": offset,
        "limit": limit,
        "sort": {"created_at": "asc"},
    }


def _within(window: Window) -> dict[str, Any]:
    return {
        "left": {"request_response_rmt": {"request_created_at": {"gte": _text(window.since)}}},
        "operator": "and",
        "right": {"request_response_rmt": {"request_created_at": {"lt": _text(window.until)}}},
    }


def _answers(access: Access, body: bytes) -> Mapping[str, bytes]:
    """What is kept apart of a page's calls, by their ids: of each its counts alone, so that a page of long answers
    stays small. One that is there no more is left out, and its call is held for want of usage. Raises FetchError where
    the store answers for none, and BodyUnreadable for what is no object of Helicone's: else all calls would be held.
    """
    found: dict[str, bytes] = {}
    for row in rows_of(object_of(body, _WHAT), "data", _WHAT):
        said = mapping(row)
        address = _address(said.get("signed_body_url"))
        if not address or _is_told(said):
            continue
        kept = _kept_at(access, address)
        answer = None if kept is None else answer_of(stored_answer(kept))
        if answer is not None:
            found[words(said.get("request_id"))] = written({"response": answer | {"error": answer.get("failed")}})
    return found


def _kept_at(access: Access, address: str) -> bytes | None:
    """What an address leads to, None where that is nothing any more, or nothing that may be asked."""
    try:
        return stored.read(access, address)
    except RequestRefused:
        return None


def _address(value: Any) -> str:
    """Longer than other words: it holds a signature."""
    return value if isinstance(value, str) and value.isprintable() else ""


def _is_told(row: Mapping[str, Any]) -> bool:
    """Whether nothing is missing: the row's own answer says its usage, or nothing was used."""
    status = row.get("response_status")
    if type(status) is int and not 200 <= status < 300:
        return True
    answer = mapping(answer_of(row.get("response_body")))
    return bool(answer.get("usage") or answer.get("usageMetadata"))


def _text(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _probe(access: Access) -> None:
    _server(access).post(_QUERY, _question("all", offset=0, limit=1))


ACCOUNT: Final = Account(
    name="helicone",
    title="Helicone",
    address="https://api.helicone.ai",
    credential_help="An API key with read access (sk-helicone-…), made under Settings, API Keys.",
    probe=_probe,
    feeds=(
        Feed(
            name="helicone-requests",
            evidence=frozenset({Evidence.METERED, Evidence.REPORTED}),
            title="Calls",
            parser=PARSER,
            says=Says.CHARGES,
            pages=_requests,
            every=timedelta(minutes=10),
            delay=timedelta(minutes=1),
            # No row changes, but a call is written when it ends, under the time it began at.
            revised=timedelta(hours=1),
            width=timedelta(minutes=1),
            # Anything is allowed, but its pages are counted from the window's beginning: late ones are slow.
            longest=timedelta(hours=1),
            history=timedelta(days=365),
            dedupe="Helicone's id of the call",
            convention="as the provider's answer has it",
            money="dollars, Helicone's estimate: a tag, for comparing",
        ),
    ),
)
