"""No connector is forgotten: each parser and each fake is claimed once, and what is claimed is what tests use."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from finops.connectors.registry import PARSERS
from tests.clients.typed import table
from tests.clients.typed.table import FAKES, MODELS, NONE_PUBLISHED, Type
from tests.fakes.reports import registry


def used() -> Iterator[Type]:
    """The types that the tests beside this one take from the table."""
    for file in Path(__file__).parent.glob("test_*.py"):
        if file == Path(__file__):
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == table.__name__:
                for name in node.names:
                    found = getattr(table, name.name)
                    yield from found.values() if isinstance(found, dict) else [found]


def test_each_parser_is_claimed_once() -> None:
    assert sorted([*MODELS, *NONE_PUBLISHED]) == sorted(PARSERS)
    assert all(MODELS.values())
    assert all(NONE_PUBLISHED.values())


def test_each_fake_of_a_vendor_with_types_is_held_against_them() -> None:
    """A fake without is one whose every parser is without."""
    parsers_of = {"google": {"google_billing"}, "azure": {"azure_cost_export"}}
    without = set(registry.FAKES) - set(FAKES)
    assert without == {"azure", "cursor", "devin", "google", "windsurf"}
    assert {parser for name in without for parser in parsers_of.get(name, {name})} <= set(NONE_PUBLISHED)


def test_what_is_claimed_is_what_tests_use() -> None:
    claimed = {kind for kinds in (*MODELS.values(), *FAKES.values()) for kind in kinds}
    assert claimed - set(used()) == set()
