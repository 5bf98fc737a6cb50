"""Forms with files in them (multipart/form-data): short texts are read where they stand, files are not touched.

Read strictly: a form that another reader could take for another one would name another model there than here. What may
be read in two ways is refused, and an upstream is told the boundary that was found, whatever the client's header said.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from routing.gateway.requests import FieldInvalid, Malformed

# Nobody's form has more parts; nobody's boundary is longer (RFC 2046).
_MOST_PARTS: Final = 64
_LONGEST_HEAD: Final = 4_096
LONGEST_TEXT: Final = 64 * 2**10
# No two of them overlap: after its first dashes a boundary has none beside another, nor at its end.
_OPENING: Final = re.compile(rb"--(?=[^\r\n]{1,70}\r)-*(?:[0-9A-Za-z'()+_,./:=?]-?)*[0-9A-Za-z'()+_,./:=?](?=\r\n)")
_HEADERS: Final = frozenset({b"content-disposition", b"content-type", b"content-length", b"content-transfer-encoding"})
_PLAIN: Final = frozenset({b"", b"binary", b"8bit", b"7bit"})
_CHARSET: Final = re.compile(rb'charset(?!="?(?:utf-8|us-ascii)"?(?:;|$))', re.IGNORECASE)
_PARAMETER: Final = rb';[ \t]*([a-zA-Z]+\*?)=(?:"([^"\\]*)"|([^ \t";\\]+))'
_parameters: Final = re.compile(_PARAMETER).findall
_DISPOSITION: Final = re.compile(rb"form-data(?:" + _PARAMETER + rb")+", re.IGNORECASE)
_NAME: Final = re.compile(rb"[\w.\[\]-]{1,60}")


class Part(NamedTuple):
    """Where a text stands in the body."""

    start: int
    end: int


class File(NamedTuple):
    """Where a file stands in the body, under which field, and its own name; '' where that is not said plainly."""

    field: str
    name: str
    start: int
    end: int


class Form(NamedTuple):
    """`texts` by name, each once; `named_files` are the names of files, `files` the bytes of all of them together, and
    `each` of them by itself.
    """

    boundary: str
    texts: dict[str, Part]
    named_files: frozenset[str]
    files: int
    each: tuple[File, ...]

    @property
    def content_type(self) -> str:
        return f'multipart/form-data; boundary="{self.boundary}"'

    def text(self, body: bytes, name: str) -> str:
        """'' where it is not said. Raises FieldInvalid."""
        part = self.texts.get(name)
        try:
            return body[part.start : part.end].decode() if part else ""
        except UnicodeDecodeError:
            raise FieldInvalid(f"{name} is not UTF-8", field=name) from None


def read(body: bytes) -> Form:
    """Raises Malformed and FieldInvalid."""
    opening = _OPENING.match(body)
    if opening is None:
        raise Malformed("the body is not a form with parts (multipart/form-data)")
    line = opening.group()
    texts: dict[str, Part] = {}
    each: list[File] = []
    at = len(line)
    for count in range(1, _MOST_PARTS + 1):
        head = body.find(b"\r\n\r\n", at, at + _LONGEST_HEAD)
        end = body.find(b"\r\n" + line, head + 4) if head >= 0 else -1
        if end < 0 or not body.startswith(b"\r\n", at):
            raise Malformed("the form is cut short, or its boundary stands in it otherwise than before a part")
        name, file = _head(body[at + 2 : head])
        if file is not None:
            each.append(File(name, file, head + 4, end))
        else:
            _keep(texts, name, Part(head + 4, end))
        at = end + 2 + len(line)
        if body.startswith(b"--", at):
            if body[at + 2 :] not in (b"", b"\r\n") or body.count(line) != count + 1:
                raise Malformed("the form goes on after its end, or its boundary stands in a part")
            named, files = frozenset(file.field for file in each), sum(file.end - file.start for file in each)
            return Form(line[2:].decode(), texts, named, files, tuple(each))
    raise Malformed(f"the form has more than {_MOST_PARTS} parts")


def _head(head: bytes) -> tuple[str, str | None]:
    """What a part is called, and of a file its own name; None of a text."""
    said: dict[bytes, bytes] = {}
    for line in head.split(b"\r\n"):
        name, colon, value = line.partition(b":")
        name = name.lower()
        if not colon or name not in _HEADERS or name in said or b"\n" in value or b"\r" in value:
            raise Malformed("a part of the form has a header that cannot be read")
        said[name] = value.strip(b" \t")
    coded = said.get(b"content-transfer-encoding", b"").lower() not in _PLAIN
    if coded or _CHARSET.search(said.get(b"content-type", b"")):
        raise Malformed("a part of the form is encoded; parts are sent as they are, texts in UTF-8")
    disposition = said.get(b"content-disposition", b"")
    if not _DISPOSITION.fullmatch(disposition):
        raise Malformed("a part of the form does not say its name in a way that can be read")
    found = _parameters(disposition)
    given = {name.lower(): quoted or token for name, quoted, token in found}
    name = given.get(b"name", b"")
    if (
        len(given) != len(found)
        or not given.keys() <= {b"name", b"filename", b"filename*"}
        or not _NAME.fullmatch(name)
    ):
        raise Malformed("a part of the form does not say its name in a way that can be read")
    file = None if len(given) == 1 else given.get(b"filename", b"").decode("utf-8", "replace")
    return name.decode(), file


def _keep(texts: dict[str, Part], name: str, part: Part) -> None:
    """A list (`include[]`) may come in several parts; what decides the cost may not: which one is heeded?"""
    if part.end - part.start > LONGEST_TEXT:
        raise FieldInvalid(f"{name} is too long", field=name)
    if name in texts and not name.endswith("[]"):
        raise FieldInvalid(f"{name} is there twice", field=name)
    texts[name] = part
