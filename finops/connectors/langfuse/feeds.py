"""What can be fetched of a project at Langfuse: its generations and embeddings, by its public API."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from finops.connectors.fetching import Access, Account, Evidence, Feed, Need, Refused, Says, Server, Window
from finops.connectors.given import flag
from finops.connectors.langfuse.observations import PARSER, cut
from finops.connectors.pages import Page
from finops.connectors.paging import followed

# What is a call of a model; a question names one.
_TYPES: Final = ("GENERATION", "EMBEDDING")
_FIELDS: Final = "core,basic,model,usage,metadata,trace_context"
_MOST_ROWS: Final = 1_000
_MOST_OLDER_ROWS: Final = 100


def _server(access: Access) -> Server:
    """The pair is the name and the password. Raises Refused for what is no pair."""
    if ":" not in access.credential:
        raise Refused("the credential is the public key, a colon, and the secret key")
    token = base64.b64encode(access.credential.encode()).decode()
    return Server(access, headers={"Authorization": f"Basic {token}"})


def _observations(access: Access, window: Window) -> Iterator[Sequence[bytes]]:
    shape = [("fields", _FIELDS), ("expandMetadata", "attributes"), ("limit", str(_MOST_ROWS))]
    return _asked(access, window, path="/api/public/v2/observations", query=shape, after_name="cursor")


def _older(access: Access, window: Window) -> Iterator[Sequence[bytes]]:
    shape = [("limit", str(_MOST_OLDER_ROWS))]
    return _asked(access, window, path="/api/public/observations", query=shape, after_name="page")


def _asked(
    access: Access, window: Window, *, path: str, query: Sequence[tuple[str, str]], after_name: str
) -> Iterator[Sequence[bytes]]:
    server, inclusive = _server(access), flag(access, "inclusive")
    times = [("fromStartTime", _text(window.since)), ("toStartTime", _text(window.until))]

    def ask(kind: str, after: str) -> Page:
        more = [(after_name, after)] if after else []
        return cut(server.get(path, [("type", kind), *times, *query, *more]), inclusive=inclusive)

    for kind in _TYPES:
        yield from followed(partial(ask, kind))


def _text(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _probe(access: Access) -> None:
    _server(access).get("/api/public/projects")


_feed: Final = partial(
    Feed,
    parser=PARSER,
    says=Says.CHARGES,
    pages=_observations,
    every=timedelta(hours=1),
    delay=timedelta(minutes=15),
    # An observation is written to while its trace runs.
    revised=timedelta(hours=12),
    width=timedelta(minutes=1),
    longest=timedelta(hours=6),
    history=timedelta(days=365),
    dedupe="the observation's id",
    convention="input leaves out what was cached, unless its sender leaves it in: see the setting",
    money="dollars, Langfuse's estimate: a tag, for comparing",
)

ACCOUNT: Final = Account(
    name="langfuse",
    title="Langfuse",
    address="https://cloud.langfuse.com",
    credential_help="The project's public key, a colon, and its secret key: pk-lf-…:sk-lf-…",
    probe=_probe,
    needs=(
        Need(
            "inclusive",
            "yes, where your code leaves cached tokens in the input and reports no total. Empty otherwise.",
            needed=False,
        ),
    ),
    feeds=(
        _feed(
            name="langfuse-observations", evidence=frozenset({Evidence.REPORTED}), title="Generations and embeddings"
        ),
        _feed(
            name="langfuse-observations-older",
            evidence=frozenset({Evidence.REPORTED}),
            title="Generations and embeddings, of Langfuse before version 4",
            pages=_older,
            # The same observations: it is for those who run an older Langfuse, which has not the other.
            optional=True,
        ),
    ),
)
