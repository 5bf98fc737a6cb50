"""The table of others' faults names tests that there are, and those of reading carry their report's number."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "regressions.md"
_ROW = re.compile(
    r"^\| \[(?P<repo>[\w./-]+)#(?P<number>\d+)\]\((?P<link>\S+)\) \| (?P<what>[^|]+) \| (?P<tests>.+) \|$"
)
_TEST = re.compile(r"`([\w./]+\.py)::(test_\w+)`")


def rows(heading: str) -> list[dict[str, str]]:
    """The rows of one table. A line that looks like one and cannot be read fails."""
    part = PAGE.read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("| ")][2:]
    found = [_ROW.match(line) for line in lines]
    assert all(found), [line for line, match in zip(lines, found, strict=True) if not match]
    return [match.groupdict() for match in found if match]


@cache
def functions_of(path: str) -> frozenset[str]:
    file = ROOT / path
    if not file.is_file():
        return frozenset()
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


READING = rows("How usage is read")
BILLS = rows("Prices and bills")


@pytest.mark.parametrize("row", [*READING, *BILLS], ids=lambda row: f"{row['repo']}-{row['number']}")
def test_every_named_test_exists(row: dict[str, str]) -> None:
    named = _TEST.findall(row["tests"])
    assert named
    assert row["tests"] == "<br>".join(f"`{path}::{name}`" for path, name in named)
    assert [f"{path}::{name}" for path, name in named if name not in functions_of(path)] == []


@pytest.mark.parametrize("row", READING, ids=lambda row: f"{row['repo']}-{row['number']}")
def test_a_test_of_reading_carries_its_reports_number(row: dict[str, str]) -> None:
    assert [name for _, name in _TEST.findall(row["tests"]) if row["number"] not in name.split("_")] == []
    assert row["link"].startswith(f"https://github.com/{row['repo']}/")
    assert row["link"].endswith(f"/{row['number']}")


def test_each_report_is_listed_once() -> None:
    listed = [(row["repo"], row["number"]) for row in [*READING, *BILLS]]
    assert len(listed) == len(set(listed)) > 20
