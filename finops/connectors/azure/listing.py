"""A page of a container's blobs (`comp=list`), which is XML. Pure. After Azure's page on List Blobs."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple
from xml.parsers import expat

from finops.connectors.pages import BodyUnreadable
from finops.connectors.paging import LONGEST_TOKEN, UNSAID

_ROOT: Final = "EnumerationResults"
_BLOB: Final = (_ROOT, "Blobs", "Blob")
_NEXT: Final = (_ROOT, "NextMarker")
_FIELDS: Final = {
    (*_BLOB, "Name"): "name",
    (*_BLOB, "Properties", "Last-Modified"): "changed",
    (*_BLOB, "Properties", "Etag"): "version",
}
_LONGEST_TEXT: Final = 4_096


class Blob(NamedTuple):
    """`version` tells whether it is still the same; `changed_at` is in seconds since 1970."""

    path: str
    changed_at: float
    version: str

    @property
    def folder(self) -> str:
        return self.path.rpartition("/")[0]

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


class Listing(NamedTuple):
    blobs: tuple[Blob, ...]
    next: str


class _Reader:
    def __init__(self) -> None:
        self.blobs: list[Blob] = []
        self.next = ""
        self.root = ""
        self._path: list[str] = []
        self._said: dict[str, str] = {}

    def begins(self, name: str, _: object) -> None:
        self._path.append(name)
        if len(self._path) == 1:
            self.root = name
        if tuple(self._path) == _BLOB:
            self._said = {}

    def ends(self, _: str) -> None:
        if tuple(self._path) == _BLOB and self._said.get("name"):
            changed = self._said.get("changed", "")
            try:
                at = parsedate_to_datetime(changed).timestamp()
            except (ValueError, OverflowError):
                at = 0.0
            self.blobs.append(Blob(self._said["name"], at, self._said.get("version", "")))
        self._path.pop()

    def text(self, said: str) -> None:
        path = tuple(self._path)
        if path == _NEXT:
            self.next += said
        elif path in _FIELDS:
            name = _FIELDS[path]
            self._said[name] = (self._said.get(name, "") + said)[:_LONGEST_TEXT]


def listing_of(body: bytes) -> Listing:
    """Raises BodyUnreadable for what is no such list."""
    reader = _Reader()
    parser = expat.ParserCreate(encoding="utf-8")
    parser.StartElementHandler = reader.begins
    parser.EndElementHandler = reader.ends
    parser.CharacterDataHandler = reader.text
    parser.EntityDeclHandler = _refuse
    try:
        parser.Parse(body.removeprefix(b"\xef\xbb\xbf"), True)
    except expat.ExpatError:
        raise BodyUnreadable("The answer is no list of blobs: it is no XML.") from None
    if reader.root != _ROOT:
        raise BodyUnreadable("The answer is no list of blobs.")
    return Listing(tuple(reader.blobs), reader.next if len(reader.next) <= LONGEST_TOKEN else UNSAID)


def _refuse(*_: object) -> None:
    """Entities grow without an end, and no list has any."""
    raise BodyUnreadable("The answer is no list of blobs: it declares entities.")
