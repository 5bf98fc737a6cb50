"""`capstan gateway` before anything runs: the file it offers, and the one it misses."""

from __future__ import annotations

import importlib
import io
import re
import tomllib
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from finops.runtime.places import CHECKOUT
from routing.laptop.reading import read
from routing.laptop.sample import SAMPLE


def run(*words: str) -> str:
    out = io.StringIO()
    call_command("gateway", *words, stdout=out)
    return out.getvalue()


def test_a_file_to_start_from_is_written_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CommandError, match=r"there is no capstan\.toml; `capstan gateway --init` writes one"):
        run()
    assert run("--init") == "capstan.toml is written: name your models in it, then `capstan gateway`\n"
    assert (tmp_path / "capstan.toml").read_text() == SAMPLE
    with pytest.raises(CommandError, match=r"capstan\.toml is there already, and stays as it is"):
        run("--init")
    assert "then `capstan gateway --config 'my own.toml'`" in run("--init", "--config", "my own.toml")
    with pytest.raises(CommandError, match="cannot be written: No such file or directory"):
        run("--init", "--config", "nowhere/capstan.toml")


def test_a_file_that_cannot_be_is_refused_before_anything_is_started(tmp_path: Path) -> None:
    (tmp_path / "capstan.toml").write_text("[[upstreams]]\n")
    with pytest.raises(CommandError, match=r"capstan\.toml is refused:\nupstreams\[0\]\.name: "):
        run("--config", str(tmp_path / "capstan.toml"))


def test_the_example_of_the_guide_can_be_taken(tmp_path: Path) -> None:
    [example] = re.findall(r"```toml\n(.*?)```", (CHECKOUT / "docs" / "guides" / "laptop.md").read_text(), re.DOTALL)
    (tmp_path / "azure.key").write_text("sk-azure")
    (tmp_path / "capstan.toml").write_text(example.replace("~/.config/", ""))
    wanted = read(tmp_path / "capstan.toml", environment={"ANTHROPIC_API_KEY": "sk"}, internal=frozenset())
    assert [one.draft.name for one in wanted.upstreams] == ["ollama", "gpu-box", "anthropic", "azure"]
    assert wanted.near == {"localhost:11434", "gpu-box.local:8000"}


def test_capstan_is_what_manage_is() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    module, _, function = project["scripts"]["capstan"].partition(":")
    assert callable(getattr(importlib.import_module(module), function))
