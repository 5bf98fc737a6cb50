"""Whether a cheaper model's answer is good enough to be given: what a rule of a cascade asks of it. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import msgspec
from jsonschema import Draft202012Validator

from routing.rules.types import Gate, GateKind

# Of an answer so much is looked at; a longer one is not passed by what reads all of it.
MOST_CHARACTERS: Final = 200_000
_FENCE: Final = "```"
# Of an answer a pattern sees so much of its beginning, and of its end.
_END: Final = 200
_SPACE: Final = re.compile(r"\s+")
_PASSES: Final = re.compile(r"\A\W*(?:yes|pass|ok)\b", re.IGNORECASE)
_QUESTION: Final = "Does this answer do what was asked, correctly and completely?"


def refused(gate: Gate, answer: str, *, ended: bool) -> str:
    """Why it is not good enough, in a few words; '' where it is, as far as this can be told without asking anybody."""
    if not ended:
        return "it was cut short"
    if not answer.strip():
        return "it is empty"
    if len(answer) > MOST_CHARACTERS:
        return f"it has more than {MOST_CHARACTERS:,} characters"
    if gate.kind in (GateKind.JSON, GateKind.SCHEMA):
        return _of_json(gate, answer)
    if gate.kind is GateKind.PATTERN and not any(map(_pattern(gate.pattern).search, _ends(answer))):
        return "it does not match"
    return ""


def question(gate: Gate, asked: str, answer: str) -> str:
    """What the checking model is asked."""
    return (
        f"{gate.question or _QUESTION} Reply with the single word yes or no.\n\n"
        f"<task>\n{asked}\n</task>\n\n<answer>\n{answer}\n</answer>"
    )


def says_yes(said: str) -> bool:
    return _PASSES.match(said) is not None


def agree(one: str, other: str) -> bool:
    """Whether two answers to the same question are the same, but for space and case, or as JSON."""
    if max(len(one), len(other)) > MOST_CHARACTERS:
        return False
    left, right = _value(one), _value(other)
    if left is not None and right is not None:
        return bool(left == right)
    return _SPACE.sub(" ", one).strip().lower() == _SPACE.sub(" ", other).strip().lower()


def _of_json(gate: Gate, answer: str) -> str:
    value = _value(answer)
    if value is None:
        return "it is no JSON"
    if gate.kind is GateKind.JSON:
        return ""
    try:
        error = next(_validator(json.dumps(gate.schema)).iter_errors(value), None)
    except RecursionError:
        return "it is nested too deeply for the schema"
    # What an error says quotes the answer, and so does the place where it is.
    return "" if error is None else f"it is not as the schema says: {error.validator}"


def _ends(text: str) -> tuple[str, ...]:
    """Where patterns are looked for: a longer text would keep the gateway's other calls waiting."""
    return (text,) if len(text) <= 2 * _END else (text[:_END], text[-_END:])


def _value(text: str) -> Any:
    """None where it is no JSON object or list. Models like to put it into a fence."""
    try:
        value = json.loads(_unfenced(text))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, Mapping | list) else None


def _unfenced(text: str) -> str:
    text = text.strip()
    if len(text) < 2 * len(_FENCE) or not (text.startswith(_FENCE) and text.endswith(_FENCE)):
        return text
    return text[len(_FENCE) : -len(_FENCE)].partition("\n")[2]


@lru_cache(maxsize=256)
def _validator(schema: str) -> Draft202012Validator:
    return Draft202012Validator(msgspec.json.decode(schema))


@lru_cache(maxsize=256)
def _pattern(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
