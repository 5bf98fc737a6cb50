"""Rules as YAML: what is exported is what is imported, to the last bit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import yaml

from finops.core.errors import Invalid
from routing.rules.types import Rule

MOST_BYTES: Final = 16 * 2**20
MOST_RULES: Final = 1_000
_VERSION: Final = 1


class DocumentInvalid(Invalid):
    """A document that is none of rules; the message says where."""

    code = "rules.document_invalid"


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    rules: tuple[Rule, ...]


def exported(rules: Sequence[Rule]) -> str:
    said = msgspec.to_builtins(_Document(_VERSION, tuple(rules)))
    return yaml.dump(said, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True, width=120)


def imported(text: str) -> tuple[Rule, ...]:
    """Raises DocumentInvalid. What rules say is not checked here: `rules.check` does."""
    if len(text.encode()) > MOST_BYTES:
        raise DocumentInvalid(f"at most {MOST_BYTES // 2**20} MB", field="document")
    try:
        # A short document of aliases is an endless one.
        if any(isinstance(one, yaml.AliasEvent) for one in yaml.parse(text, Loader=yaml.CSafeLoader)):
            raise DocumentInvalid("aliases are not taken", field="document")
        said = yaml.load(text, Loader=yaml.CSafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise DocumentInvalid(f"this is no YAML: {str(error)[:300]}", field="document") from None
    try:
        document = msgspec.convert(said, _Document)
    except msgspec.ValidationError as error:
        raise DocumentInvalid(str(error)[:300], field="document") from None
    if document.version != _VERSION:
        raise DocumentInvalid(f"version {document.version} is not known; {_VERSION} is", field="version")
    if len(document.rules) > MOST_RULES:
        raise DocumentInvalid(f"at most {MOST_RULES:,} rules", field="rules")
    return document.rules
