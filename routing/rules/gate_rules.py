"""Which gates may be said in a rule. Pure. A gate looks at answers while a call waits: what may run away is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from jsonschema import Draft202012Validator, SchemaError

from finops.attribution.patterns import compile_pattern
from routing.rules.types import Gate, GateKind
from routing.upstreams.rules import AUTO, TIER

MOST_SCHEMA: Final = 20_000
LONGEST_QUESTION: Final = 1_000
LONGEST_MODEL: Final = 200
# Of schemas: what could fetch from elsewhere or name what is not there, and what may take for ever over an answer.
_REFUSED: Final = (
    "$id", "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$vocabulary", "pattern", "patternProperties",
    "uniqueItems",
)  # fmt: skip
_OF: Final = {GateKind.SCHEMA: ("schema",), GateKind.PATTERN: ("pattern",), GateKind.CHECKER: ("model", "question")}


def why_not(gate: Gate) -> tuple[str, str] | None:
    """The field that cannot be, and why; None where the gate can be."""
    mine = _OF.get(gate.kind, ())
    for name in ("schema", "pattern", "model", "question"):
        value = getattr(gate, name)
        if value and name not in mine:
            return name, f"a gate of kind {gate.kind.value} has none"
        if not value and name in mine and name != "question":
            return name, f"a gate of kind {gate.kind.value} needs one"
    if gate.kind is GateKind.SCHEMA and (why := _of_schema(gate.schema)):
        return "schema", why
    if gate.kind is GateKind.PATTERN and (why := _of_pattern(gate.pattern)):
        return "pattern", why
    if gate.kind is GateKind.CHECKER:
        return _of_checker(gate)
    return None


def _of_checker(gate: Gate) -> tuple[str, str] | None:
    if len(gate.model) > LONGEST_MODEL or not gate.model.isprintable() or gate.model != gate.model.strip():
        return "model", f"1 to {LONGEST_MODEL} printable characters, without spaces around them"
    if gate.model == AUTO or gate.model.startswith(TIER):
        return "model", f"{gate.model[:60]} leaves the choice to routing and is no model"
    if len(gate.question) > LONGEST_QUESTION or not all(one.isprintable() or one in "\n\t" for one in gate.question):
        return "question", f"at most {LONGEST_QUESTION:,} characters of text"
    return None


def _of_schema(schema: Mapping[str, Any]) -> str:
    try:
        text = json.dumps(schema, allow_nan=False, ensure_ascii=False)
        size = len(text.encode())
        same = json.loads(text) == schema
    except (TypeError, ValueError, RecursionError):
        same, size, text = False, 0, ""
    if not same or "\\u0000" in text:
        return "this is no JSON"
    if size > MOST_SCHEMA:
        return f"at most {MOST_SCHEMA:,} bytes"
    for where, name, value in _keywords(schema):
        if name in _REFUSED:
            return f"{name} is not taken"
        if name == "$ref" and not _is_here(schema, value):
            return f"{where}$ref: only # and #/$defs/<name> of the schema itself are taken"
    try:
        Draft202012Validator.check_schema(dict(schema))
    except SchemaError as error:
        return f"it is no schema: {error.message[:200]}"
    except RecursionError:
        return "it is nested too deeply"
    return ""


def _is_here(schema: Mapping[str, Any], said: Any) -> bool:
    if said == "#":
        return True
    name = said.removeprefix("#/$defs/") if isinstance(said, str) else ""
    return name in schema.get("$defs", {}) and said == f"#/$defs/{name}" and not set("/~%") & set(name)


def _keywords(value: Any, where: str = "") -> Iterator[tuple[str, str, Any]]:
    """Every name in a schema, with what it says; names of properties among them, which are judged as strictly."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield where, name, inner
            yield from _keywords(inner, f"{where}{name}.")
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _keywords(inner, f"{where}{place}.")


def _of_pattern(pattern: str) -> str:
    try:
        compile_pattern(pattern)
    except ValueError as error:
        return str(error)
    return ""
