"""A file of requests as a client uploads it, and a batch as a client asks for one: read and bounded. Pure."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal, NamedTuple
from urllib.parse import parse_qsl

import msgspec
from msgspec import Meta

from finops.connectors.openai.batches import CALL, ID, READERS
from routing.gateway.batches.errors import PurposeRefused
from routing.gateway.dialects import fields, multipart
from routing.gateway.dialects.inputs import openai_told
from routing.gateway.dialects.types import Told
from routing.gateway.requests import FieldInvalid, Malformed

# OpenAI's own.
MOST_REQUESTS: Final = 50_000
MOST_MODELS: Final = 20
MOST_LISTED: Final = 20
_MOST_METADATA: Final = 16
PURPOSE: Final = "batch"
_BOUNDARY: Final = re.compile(r"multipart/form-data\s*;", re.IGNORECASE)
_KNOWN: Final = frozenset({"input_file_id", "endpoint", "completion_window", "metadata"})


class _Asked(msgspec.Struct):
    model: Annotated[str, Meta(min_length=1, max_length=300)]
    # A search is paid for by itself, and in chat no answer says that there was one.
    web_search_options: Any = None


class _Line(msgspec.Struct):
    custom_id: Annotated[str, Meta(min_length=1, max_length=200)]
    method: Literal["POST"]
    url: Annotated[str, Meta(max_length=100)]
    body: _Asked


_line: Final = msgspec.json.Decoder(_Line).decode


class Upload(NamedTuple):
    """A file of requests: for one endpoint, of so many models. `form` is what an upstream is sent, of `media_type`."""

    endpoint: str
    models: list[str]
    requests: int
    media_type: str
    form: bytes


class Asked(NamedTuple):
    """A batch as it is asked for."""

    input_file_id: str
    endpoint: str
    told: Told
    raw: Mapping[str, msgspec.Raw]

    def body(self, call_id: str) -> bytes:
        """As it came, with who made it in its metadata: one whose answer is lost is found by that."""
        metadata = fields.members(self.raw.get("metadata"))
        return fields.write(self.raw, {"metadata": fields.write(metadata, {CALL: call_id})})


def upload(body: bytes, content_type: str) -> Upload:
    """Raises Malformed, FieldInvalid and PurposeRefused. The form is written anew, so that whoever reads it finds what
    was read here.
    """
    if not _BOUNDARY.match(content_type):
        raise Malformed("a file is sent as a form with parts (multipart/form-data)")
    form = multipart.read(body)
    purpose = form.text(body, "purpose")
    if purpose != PURPOSE:
        raise PurposeRefused(f"a file's purpose is {PURPOSE} here: no other is metered", field="purpose")
    if len(form.each) != 1 or form.each[0].field != "file":
        raise FieldInvalid("one file is sent, as the field file", field="file")
    (file,) = form.each
    endpoint, models, requests = _requests(body, file)
    boundary = f"capstan-{secrets.token_hex(16)}"
    parts = [_part(boundary, f'name="{name}"', body[at.start : at.end]) for name, at in form.texts.items()]
    whole = f'name="file"; filename="{file.name or "batch.jsonl"}"\r\ncontent-type: application/jsonl'
    parts.append(_part(boundary, whole, body[file.start : file.end]))
    written = b"".join([*parts, f"--{boundary}--\r\n".encode()])
    return Upload(endpoint, models, requests, f"multipart/form-data; boundary={boundary}", written)


def _part(boundary: str, head: str, content: bytes) -> bytes:
    return f"--{boundary}\r\ncontent-disposition: form-data; {head}\r\n\r\n".encode() + content + b"\r\n"


def _requests(body: bytes, file: multipart.File) -> tuple[str, list[str], int]:
    """Its endpoint, the models it names, and how many requests it has."""
    endpoint, seen, models = "", set[str](), set[str]()
    for number, raw in _lines(body, file):
        try:
            line = _line(raw)
        except msgspec.ValidationError as error:
            raise FieldInvalid(f"line {number}: {error}", field="file") from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise FieldInvalid(f"line {number} is not a JSON object", field="file") from None
        if line.url not in READERS:
            raise FieldInvalid(f"line {number}: url is one of {', '.join(READERS)}", field="file")
        if line.url != (endpoint or line.url):
            raise FieldInvalid(f"line {number}: all requests of a file are for one url", field="file")
        if line.custom_id in seen:
            raise FieldInvalid(f"line {number}: its custom_id is there twice", field="file")
        if line.body.web_search_options is not None:
            raise FieldInvalid(f"line {number}: searches of a batch cannot be metered", field="file")
        endpoint = line.url
        seen.add(line.custom_id)
        models.add(line.body.model)
        if len(seen) > MOST_REQUESTS or len(models) > MOST_MODELS:
            raise FieldInvalid(f"a file has at most {MOST_REQUESTS:,} requests and {MOST_MODELS} models", field="file")
    if not seen:
        raise FieldInvalid("the file has no requests", field="file")
    return endpoint, sorted(models), len(seen)


def _lines(body: bytes, file: multipart.File) -> Iterator[tuple[int, bytes]]:
    at, number = file.start, 0
    while at < file.end:
        end = body.find(b"\n", at, file.end)
        end = file.end if end < 0 else end
        number += 1
        if line := body[at:end].strip():
            yield number, line
        at = end + 1


def asked(body: bytes) -> Asked:
    """Raises Malformed and FieldInvalid."""
    given = fields.read(body)
    fields.refuse_lookalikes(given, _KNOWN)
    file_id = fields.required(given, "input_file_id")
    if not ID.fullmatch(file_id):
        raise FieldInvalid("input_file_id is the id of a file", field="input_file_id")
    endpoint = fields.required(given, "endpoint")
    if endpoint not in READERS:
        raise FieldInvalid(f"endpoint is one of {', '.join(READERS)}", field="endpoint")
    metadata = given.values.get("metadata")
    if metadata is not None and not isinstance(metadata, Mapping):
        raise FieldInvalid("metadata is an object", field="metadata")
    if len({*(metadata or ()), CALL}) > _MOST_METADATA:
        raise FieldInvalid(f"metadata has at most {_MOST_METADATA} pairs, one of which is {CALL}", field="metadata")
    return Asked(file_id, endpoint, openai_told(given.values), given.raw)


class Page(NamedTuple):
    limit: int
    after: str


def page(query: str) -> Page:
    """Fewer than asked for may be given: a client goes on where `has_more` says so. Raises FieldInvalid."""
    given = dict(parse_qsl(query))
    limit, after = given.get("limit", str(MOST_LISTED)), given.get("after", "")
    if not limit.isascii() or not limit.isdigit() or not 1 <= int(limit[:9]) <= 100:
        raise FieldInvalid("limit is a whole number from 1 to 100", field="limit")
    if after and not ID.fullmatch(after):
        raise FieldInvalid("after is the id of a batch", field="after")
    return Page(min(int(limit), MOST_LISTED), after)
