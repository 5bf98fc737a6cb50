"""Reads CloudEvents 1.0 as OpenMeter takes them: one event, a batch, or an event whose attributes are HTTP headers.

`data` is our own record without its id and time, or OpenMeter's shape: flat counts in the inclusive convention
(`input_tokens`, `output_tokens`, …, text or numbers), or `tokens` with a `type`. See README.md beside this file.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from finops.connectors.capstan.parse import oddity, written_oddly
from finops.connectors.capstan.record import LONGEST, NAMES, Record, event_of
from finops.connectors.capstan.usage import CONVENTION, INCLUSIVE, INCLUSIVE_NAMES
from finops.connectors.types import Problem, Received
from finops.connectors.wording import WHOLE, lenient, not_json, not_valid, problem

PARSER: Final = "cloudevents"
SINGLE_TYPE: Final = "application/cloudevents+json"
BATCH_TYPE: Final = "application/cloudevents-batch+json"
REQUIRED: Final = ("specversion", "id", "source", "type")

# OpenMeter's `tokens` + `type`: which meter a type of token is.
TOKEN_TYPES: Final[Mapping[str, str]] = {
    "input": "input_uncached",
    "prompt": "input_uncached",
    "system": "input_uncached",
    "output": "output_text",
    "completion": "output_text",
    "cache_read": "cache_read",
    "cached": "cache_read",
    "cache_write": "cache_write_5m",
    "reasoning": "output_reasoning",
}
_ALIASES: Final[Mapping[str, str]] = {
    "prompt_tokens": "input_tokens",
    "completion_tokens": "output_tokens",
    "cached_tokens": "cache_read_tokens",
    "cached_input_tokens": "cache_read_tokens",
    "output_reasoning_tokens": "reasoning_tokens",
}
_OURS: Final = frozenset(Record.__struct_fields__) - {"id", "occurred_at"}
_HEADER: Final = "ce-"
_anything: Final = msgspec.json.Decoder()
_encode: Final = msgspec.json.Encoder().encode


class _Wrong(Exception):
    """Carries a Problem out of the steps below; never leaves this module."""

    def __init__(self, code: str, field: str, message: str) -> None:
        super().__init__(message)
        self.problem = problem(code, field, message)


def parse(raw: bytes) -> Received:
    """One event in structured mode. Never raises for an event."""
    try:
        values = _anything.decode(raw)
        odd = oddity(raw) if written_oddly(raw, _encode(values)) else None
        if odd is not None:
            return _refused(raw, odd)
        record = _record(values)
        event = event_of(record)
    except _Wrong as wrong:
        return _refused(raw, wrong.problem)
    except msgspec.ValidationError as error:
        return _refused(raw, problem("connectors.malformed", WHOLE, str(error)))
    except RecursionError:
        return _refused(raw, problem("connectors.malformed", WHOLE, "the event is nested too deeply"))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return _refused(raw, not_json(str(error), raw))
    if isinstance(event, Problem):
        inside = event.field not in {"id", "occurred_at"}
        named = f"data.{event.field}" if inside else event.field
        return Received(raw, None, problem(event.code, named, event.message), record.id)
    return Received(raw, event, None, record.id)


def from_headers(headers: Mapping[str, str], body: bytes) -> bytes:
    """A binary-mode request (`ce-…` headers, body is the data) as the structured event it means.

    `headers` are looked up in lower case. A body that is no JSON is kept as text, for its problem to be named.
    """
    attributes: dict[str, Any] = {
        name.lower().removeprefix(_HEADER): unquote(value)
        for name, value in headers.items()
        if name.lower().startswith(_HEADER)
    }
    try:
        _anything.decode(body)
        attributes["data"] = msgspec.Raw(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        attributes["data"] = body.decode("utf-8", "replace")
    return msgspec.json.encode(attributes)


def is_binary(headers: Mapping[str, str]) -> bool:
    return any(name.lower() == "ce-specversion" for name in headers)


def _record(values: Any) -> Record:
    """The event as our own record. Raises _Wrong."""
    if not isinstance(values, dict):
        raise _Wrong("connectors.field_invalid", WHOLE, "an event is a JSON object")
    for name in REQUIRED:
        if name not in values:
            raise _Wrong("connectors.field_missing", name, f"{name} is required")
        if not isinstance(values[name], str) or not values[name]:
            raise _Wrong("connectors.field_invalid", name, f"{name}: expected text that is not empty")
    if values["specversion"] != "1.0":
        raise _Wrong("connectors.field_invalid", "specversion", "specversion: only 1.0 is known here")
    if "time" not in values:
        # OpenMeter would take the time of receipt; then the same event sent twice would be two different ones.
        raise _Wrong("connectors.field_missing", "time", "time is required, so that a repeat is the same event")
    made = _from_data(_data(values))
    made["id"] = external_id(values["source"], values["id"])
    made["occurred_at"] = values["time"]
    _add_subject(made, values)
    try:
        return msgspec.convert(made, Record)
    except msgspec.ValidationError as error:
        found = not_valid(str(error), msgspec.json.encode(made), known=NAMES)
        field = {"occurred_at": "time", "id": "id"}.get(found.field, f"data.{found.field}")
        raise _Wrong(found.code, field, found.message) from None


def external_id(source: str, name: str) -> str:
    """Unique as the pair is: `#` cannot stand in the escaped source, so the first one divides. Raises _Wrong."""
    made = f"{source.replace('%', '%25').replace('#', '%23')}#{name}"
    if len(made) > LONGEST:
        raise _Wrong("connectors.field_invalid", "id", f"source and id together have at most {LONGEST - 1} characters")
    return made


def _data(values: Mapping[str, Any]) -> dict[str, Any]:
    kind = values.get("datacontenttype", "application/json")
    media = kind.partition(";")[0].strip().lower() if isinstance(kind, str) else ""
    if media != "application/json" and not media.endswith("+json"):
        raise _Wrong("connectors.field_invalid", "datacontenttype", "datacontenttype: data is read as JSON only")
    data = values.get("data")
    if data is None and "data_base64" in values:
        data = _decoded(values["data_base64"])
    if not isinstance(data, dict):
        raise _Wrong("connectors.field_missing", "data", "data is required, a JSON object")
    return data


def _decoded(text: Any) -> Any:
    try:
        return _anything.decode(base64.b64decode(text, validate=True))
    except (binascii.Error, TypeError, ValueError, RecursionError, msgspec.DecodeError):
        raise _Wrong("connectors.field_invalid", "data_base64", "data_base64: expected JSON in base 64") from None


def _from_data(data: Mapping[str, Any]) -> dict[str, Any]:
    """Our fields as they are, flat counts as usage, the rest as tags. Raises _Wrong."""
    made: dict[str, Any] = {}
    flat: dict[str, Any] = {}
    tags: dict[str, Any] = {}
    for name, value in data.items():
        if name in _OURS:
            made[name] = value
        elif name in INCLUSIVE_NAMES or name in _ALIASES:
            flat[_ALIASES.get(name, name)] = value
        elif name not in {"tokens", "type"}:
            tags[name] = _tag(name, value)
    if "tokens" in data:
        _add_tokens(made, flat, data)
    elif "type" in data:
        tags["type"] = _tag("type", data["type"])
    if flat:
        if "usage" in made:
            field = f"data.{next(iter(flat))}"
            raise _Wrong("connectors.field_invalid", field, "counts stand either in usage or beside it")
        made["usage"] = {CONVENTION: INCLUSIVE, **flat}
    if tags:
        own = made.get("tags", {})
        made["tags"] = tags | own if isinstance(own, dict) else own
    return made


def _add_tokens(made: dict[str, Any], flat: Mapping[str, Any], data: Mapping[str, Any]) -> None:
    """`tokens` and `type`. Only the prompt's event counts as a request, or a call of two events would be two."""
    if flat or "usage" in made:
        raise _Wrong(
            "connectors.field_invalid", "data.tokens", "counts stand either in tokens or in fields of their own"
        )
    kind = data.get("type")
    meter = TOKEN_TYPES.get(kind) if isinstance(kind, str) else None
    if meter is None:
        code = "connectors.field_missing" if kind is None else "connectors.field_invalid"
        raise _Wrong(code, "data.type", f"data.type: tokens need a type, one of {', '.join(TOKEN_TYPES)}")
    made["usage"] = {meter: data["tokens"], "requests": int(meter == "input_uncached" and kind != "system")}


def _tag(name: str, value: Any) -> str:
    """A field that is not ours is kept as a tag; one that looks like a count is a misspelt count, and money."""
    if "tokens" in name.lower():
        known = ", ".join(INCLUSIVE_NAMES)
        raise _Wrong("connectors.field_unknown", f"data.{name}", f"there is no count {name!r}; there are {known}")
    if isinstance(value, str):
        return value
    if isinstance(value, dict | list):
        raise _Wrong(
            "connectors.field_unknown", f"data.{name}", f"data.{name}: a field that is not ours holds one value"
        )
    return msgspec.json.encode(value).decode()


def _add_subject(made: dict[str, Any], values: Mapping[str, Any]) -> None:
    """The subject names whom the usage is of: an identity, where one is known by it, and a tag in any case."""
    said = {"type": values["type"]}
    subject = values.get("subject")
    if subject is not None:
        if not isinstance(subject, str):
            raise _Wrong("connectors.field_invalid", "subject", "subject: expected text")
        said["subject"] = subject
        identities = made.get("identities")
        if identities is None:
            made["identities"] = {"provider_user": subject}
        elif isinstance(identities, dict):
            made["identities"] = {"provider_user": subject} | identities
    tags = made.get("tags", {})
    if isinstance(tags, dict):
        made["tags"] = said | tags


def _refused(raw: bytes, wrong: Problem) -> Received:
    values = lenient(raw)
    found = ""
    if isinstance(values, dict):
        source, name = values.get("source"), values.get("id")
        if isinstance(source, str) and isinstance(name, str) and (source + name).isprintable():
            try:
                found = external_id(source, name)
            except _Wrong:
                found = ""
    return Received(raw, None, wrong, found)
