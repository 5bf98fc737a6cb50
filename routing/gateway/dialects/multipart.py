"""Forms with files in them (multipart/form-data): short texts are read where they stand, files are not touched."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from routing.gateway.requests import FieldInvalid, Malformed

# Nobody's form has more parts; nobody's boundary is longer (RFC 2046).
_MOST_PARTS: Final = 64
_LONGEST_BOUNDARY: Final = 72
_LONGEST_HEAD: Final = 4_096
LONGEST_TEXT: Final = 64 * 2**10
_NAME: Final = re.compile(rb'^content-disposition:[^\r\n]*?;\s*name="([^"\r\n]*)"', re.IGNORECASE | re.MULTILINE)
_FILENAME: Final = re.compile(rb';\s*filename="([^"\r\n]*)"', re.IGNORECASE)
_FILE: Final = re.compile(rb"^content-disposition:[^\r\n]*?;\s*filename\*?=", re.IGNORECASE | re.MULTILINE)


class Part(NamedTuple):
    """Where a text stands in the body."""

    start: int
    end: int


class File(NamedTuple):
    """Where a file stands in the body, under which field, and its own name; '' where it has none."""

    field: str
    name: str
    start: int
    end: int


class Form(NamedTuple):
    """`texts` by name, each once; `files` are the bytes of all files together, `each` one by one."""

    texts: dict[str, Part]
    files: int
    each: tuple[File, ...] = ()

    def text(self, body: bytes, name: str) -> str:
        """'' where it is not said. Raises FieldInvalid."""
        part = self.texts.get(name)
        try:
            return body[part.start : part.end].decode() if part else ""
        except UnicodeDecodeError:
            raise FieldInvalid(f"{name} is not UTF-8", field=name) from None


def read(body: bytes) -> Form:
    """Its boundary is its first line. Raises Malformed and FieldInvalid."""
    first = body.find(b"\r\n", 0, _LONGEST_BOUNDARY + 4)
    if first < 3 or not body.startswith(b"--"):
        raise Malformed("the body is not a form with parts (multipart/form-data)")
    boundary = b"\r\n" + body[:first]
    texts: dict[str, Part] = {}
    each: list[File] = []
    at = first
    for _ in range(_MOST_PARTS):
        head = body.find(b"\r\n\r\n", at, at + _LONGEST_HEAD)
        end = body.find(boundary, head + 2) if head >= 0 else -1
        if end < 0:
            raise Malformed("the form is cut short")
        start = head + 4
        named = _NAME.search(body, at, head + 2)
        if _FILE.search(body, at, head + 2):
            own = _FILENAME.search(body, at, head + 2)
            each.append(File(_text(named), _text(own), start, max(start, end)))
        elif named:
            _keep(texts, _text(named), Part(start, max(start, end)))
        at = end + len(boundary)
        if body.startswith(b"--", at):
            return Form(texts, sum(file.end - file.start for file in each), tuple(each))
    raise Malformed(f"the form has more than {_MOST_PARTS} parts")


def _text(found: re.Match[bytes] | None) -> str:
    return found.group(1).decode("utf-8", "replace") if found else ""


def _keep(texts: dict[str, Part], name: str, part: Part) -> None:
    """A list (`include[]`) may come in several parts; what decides the cost may not: which one is heeded?"""
    if part.end - part.start > LONGEST_TEXT:
        raise FieldInvalid(f"{name[:60]} is too long", field=name[:60])
    if name in texts and not name.endswith("[]"):
        raise FieldInvalid(f"{name[:60]} is there twice", field=name[:60])
    texts[name] = part
