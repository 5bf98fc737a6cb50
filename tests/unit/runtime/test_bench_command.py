"""`manage.py bench`: what it is told, before and after the benchmark's name."""

from __future__ import annotations

import io
import json
import sys
from argparse import ArgumentParser
from types import ModuleType
from typing import Any

import pytest
from django.core.management import CommandError, call_command


@pytest.fixture
def pace(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A benchmark that says what it was told, and needs no database."""
    made: Any = ModuleType("bench.pace")

    def arguments(parser: ArgumentParser) -> None:
        parser.add_argument("--margin", type=float, required=True)

    def run(parameters: dict[str, Any], say: Any) -> dict[str, Any]:
        say("at it")
        return parameters

    made.NEEDS_DATABASE, made.arguments, made.run = False, arguments, run
    monkeypatch.setitem(sys.modules, "bench.pace", made)
    return made


def benched(*given: str) -> list[str]:
    out = io.StringIO()
    call_command("bench", *given, stdout=out)
    return out.getvalue().splitlines()


@pytest.mark.parametrize(
    "given",
    [
        ("pace", "--json", "--margin", "0.05", "--set", "rounds=2"),
        ("--json", "--set", "rounds=2", "pace", "--margin=0.05"),
    ],
)
def test_a_benchmark_has_options_of_its_own(pace: Any, given: tuple[str, ...]) -> None:
    (line,) = benched(*given)
    assert json.loads(line) == {"margin": 0.05, "rounds": "2"}


def test_without_json_it_says_what_it_does(pace: Any) -> None:
    assert benched("pace", "--margin", "1")[0] == "at it"


@pytest.mark.parametrize("given", [("pace",), ("pace", "--margin", "much"), ("pace", "--margin", "1", "--other", "2")])
def test_an_option_that_is_missing_wrong_or_unknown_ends_it(
    pace: Any, given: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        benched(*given)
    assert ended.value.code == 2
    assert "usage: manage.py bench pace" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["nobody", "../x", "bench.budget"])
def test_a_benchmark_that_is_not_there_is_said(name: str) -> None:
    with pytest.raises(CommandError, match=name.replace(".", r"\.")):
        benched(name)
