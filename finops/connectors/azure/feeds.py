"""What can be fetched of a subscription at Azure: its cost export, out of the container it is written to, by a SAS.

An export lies at `<folder>/<name>/20261101-20261130/`, of a run each in a folder of its own below, or replaced by the
next; beside its files lies `manifest.json`, which names them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qsl, quote

from finops.connectors import unpacking
from finops.connectors.azure.cost_export import PARSER, PROVIDER, Line, kept, lines_of, starts
from finops.connectors.azure.listing import Blob, listing_of
from finops.connectors.fetching import (
    Access,
    Account,
    Evidence,
    Feed,
    Need,
    Refused,
    RequestRefused,
    Says,
    Server,
    Window,
)
from finops.connectors.given import folder
from finops.connectors.keeping import object_of
from finops.connectors.months import following, is_within, months, several
from finops.connectors.pages import Page
from finops.connectors.paging import followed
from finops.connectors.telling import mapping, words

_DAY: Final = timedelta(days=1)
_VERSION: Final = "2021-12-02"
_MOST_BLOBS: Final = "5000"
_MANIFEST: Final = "manifest.json"
_WHAT: Final = "a manifest of a cost export"
_ROWS: Final = 500
# FOCUS' own word for what is sold as AI, and words of services that were put elsewhere before it had one.
_CATEGORY: Final = "ai and machine learning"
_SERVICES: Final = ("openai", "foundry", "cognitive services", "azure ai")


class _Container:
    """Its address is the account's; the SAS is the question's, so no error names it."""

    def __init__(self, access: Access) -> None:
        # A whole SAS address says the same after its question mark.
        self._signed = parse_qsl(access.credential.strip().rpartition("?")[2], keep_blank_values=True)
        if "sig" not in dict(self._signed):
            raise Refused("the credential is no SAS: it begins like sv=2025-… and has a sig=…")
        self._access = access

    def blobs(self, prefix: str) -> Iterator[Sequence[Blob]]:
        found: list[tuple[Blob, ...]] = []

        def ask(after: str) -> Page:
            listing = self.page(prefix, after)
            found[:] = [listing[0]]
            return Page((), listing[1])

        for _ in followed(ask):
            yield found[0]

    def page(self, prefix: str, after: str = "", most: str = _MOST_BLOBS) -> tuple[tuple[Blob, ...], str]:
        query = [("restype", "container"), ("comp", "list"), ("maxresults", most)]
        query += [(name, value) for name, value in (("prefix", prefix), ("marker", after)) if value]
        listing = listing_of(self._server().get("", [*query, *self._signed]))
        return listing.blobs, listing.next

    def pieces(self, blob: Blob) -> Iterator[bytes]:
        """As it was when it was listed: another one since then raises Away."""
        return self._server(blob.version).pieces(_path(blob), self._signed)

    def object(self, blob: Blob) -> Any:
        return object_of(self._server(blob.version).get(_path(blob), self._signed).removeprefix(b"\xef\xbb\xbf"), _WHAT)

    def _server(self, version: str = "") -> Server:
        return Server(self._access, headers={"x-ms-version": _VERSION} | ({"If-Match": version} if version else {}))


def _path(blob: Blob) -> str:
    return "/" + quote(blob.path)


def _costs(access: Access, window: Window) -> Iterator[Sequence[bytes]]:
    """Month by month, each as a whole, because that is how a line that says what another says is told apart; of it the
    lines of the window.
    """
    container, root = _Container(access), folder(access, "path")
    chosen = [name.strip().lower() for name in access.settings.get("services", "").split(",") if name.strip()]
    has_any = False
    for month in months(window):
        told: dict[str, int] = {}
        for blob in _current(container, root, month):
            has_any = True
            text = unpacking.text(unpacking.unpacked(container.pieces(blob)))
            for lines in several((line for line in lines_of(text) if _is_meant(line, chosen)), _ROWS):
                records = zip(lines, kept(lines, told=told), strict=True)
                yield [record for line, record in records if is_within(starts(line), month, window)]
    if not has_any and not container.page(root, most="1")[0]:
        raise RequestRefused("there is no export in the container: look at 'path'")


def _current(container: _Container, root: str, month: datetime) -> list[Blob]:
    """Files of the last run that is whole: its manifest is written when they are. None where there is no such month."""
    last = following(month) - _DAY
    found = [blob for page in container.blobs(f"{root}{month:%Y%m%d}-{last:%Y%m%d}/") for blob in page]
    manifests = [blob for blob in found if blob.name == _MANIFEST]
    if not manifests:
        return sorted(_files([blob for blob in found if blob.folder == _newest(found)]))
    manifest = max(manifests, key=lambda blob: (blob.changed_at, blob.path))
    said = container.object(manifest).get("blobs")
    named = (
        {words(mapping(one).get("blobName")).rpartition("/")[2] for one in said} if isinstance(said, list) else set()
    )
    return sorted(_files([blob for blob in found if blob.folder == manifest.folder and blob.name in named]))


def _newest(found: Sequence[Blob]) -> str:
    return max(found, key=lambda blob: (blob.changed_at, blob.path)).folder if found else ""


def _files(blobs: Sequence[Blob]) -> list[Blob]:
    if any(blob.name.endswith(".parquet") for blob in blobs):
        raise RequestRefused("the export is Parquet: choose CSV for it")
    return [blob for blob in blobs if blob.name.endswith((".csv", ".csv.gz"))]


def _is_meant(line: Line, chosen: Sequence[str]) -> bool:
    """Of the services somebody named, or else of AI. A line that is broken is kept, to be seen."""
    service = words(line.get("ServiceName")).lower()
    if chosen:
        return service in chosen or "cells" in line
    is_ai = words(line.get("ServiceCategory")).lower() == _CATEGORY or any(word in service for word in _SERVICES)
    return is_ai or "cells" in line


def _probe(access: Access) -> None:
    _Container(access).page(folder(access, "path"), most="1")


ACCOUNT: Final = Account(
    name="azure",
    title="Azure",
    # The container's own: https://<account>.blob.core.windows.net/<container>
    address="",
    credential_help=(
        "A SAS of the container that may read and list (sp=rl): the part of its address after the question mark. The "
        "address is the part before."
    ),
    probe=_probe,
    needs=(
        Need("path", "Folder and name of the export: what is before the folders that are named by a month."),
        Need("services", "Names of services, with commas, where others than those of AI are meant.", needed=False),
    ),
    feeds=(
        Feed(
            name="azure-costs",
            evidence=frozenset({Evidence.BILLED}),
            title="Cost export",
            parser=PARSER,
            says=Says.MONEY,
            pages=_costs,
            provider=PROVIDER,
            every=timedelta(hours=8),
            delay=_DAY,
            # A month is written anew every day, until it is closed, some days into the next one.
            revised=timedelta(days=40),
            width=_DAY,
            # Months are read as wholes: as many as are still written anew, in one.
            longest=timedelta(days=62),
            history=timedelta(days=400),
            dedupe="day, account, resource, meter, price and kind of the line",
            convention="none",
            money="of the bill, as decimal text: billed cost",
        ),
    ),
)
