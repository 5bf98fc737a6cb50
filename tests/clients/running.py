"""The real clients, each a program that makes its calls at an address and ends."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import pytest

from finops.runtime.places import CHECKOUT
from tests.environments import installed, node_installed

PATIENCE_S = 100
# LiteLLM would like to ask the network for prices.
NO_PRICES: Final = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}


class Ended(NamedTuple):
    status: int
    output: str


def sdks(address: str, key: str, *calls: str, openai: str = "gpt", anthropic: str = "claude") -> dict[str, Any]:
    """What calls of `sdk.py` came to, in Python; all of them where none is named."""
    python = str(installed("clients") / "bin" / "python")
    script = str(CHECKOUT / "tests" / "clients" / "sdk.py")
    told: dict[str, Any] = _told([python, script, address, key, openai, anthropic, *calls])
    return told


def lite(address: str, *keys: str) -> list[dict[str, Any]]:
    """What the calls of `lite.py` came to, with each key."""
    python = str(installed("litellm") / "bin" / "python")
    script = str(CHECKOUT / "tests" / "clients" / "lite.py")
    told: list[dict[str, Any]] = _told([python, script, address, *keys], NO_PRICES)
    return told


def node(address: str, key: str) -> dict[str, Any]:
    """What the calls of `node/sdk.mjs` came to."""
    folder = node_installed()
    if folder is None:
        pytest.skip("NOT RUN: there is no Node here")
    told: dict[str, Any] = _told([shutil.which("node") or "node", str(folder / "sdk.mjs"), address, key, "gpt"])
    return told


def aider(address: str, key: str, model: str, message: str, folder: Path, *files: str) -> Ended:
    """Aider with one message, `model` as it names them: openai/gpt, anthropic/claude. It stays in `folder`, with git if
    that is a repository.
    """
    command = [str(installed("aider") / "bin" / "aider"), "--model", model, "--message", message, "--yes", *files]
    command += [] if (folder / ".git").exists() else ["--no-git"]
    command += ["--no-check-update", "--no-show-model-warnings", "--no-show-release-notes", "--analytics-disable"]
    environment = {
        "HOME": str(folder),
        "OPENAI_API_BASE": f"{address}/v1",
        "OPENAI_API_KEY": key,
        "ANTHROPIC_API_BASE": address,
        "ANTHROPIC_API_KEY": key,
        **NO_PRICES,
    }
    done = _run(command, environment, folder)
    return Ended(done.returncode, done.stdout + done.stderr)


def _told(command: list[str], environment: Mapping[str, str] = MappingProxyType({})) -> Any:
    return json.loads(run(command, environment))


def run(command: list[str], environment: Mapping[str, str], told: str = "") -> str:
    """What a command that goes well writes, and is told on its input."""
    done = _run(command, environment, CHECKOUT, told)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def _run(
    command: list[str], environment: Mapping[str, str], folder: Path, told: str = ""
) -> subprocess.CompletedProcess[str]:
    """With nothing of the person who tests in its environment: no key, no address."""
    usual = {"PATH": os.environ.get("PATH", "")}
    return subprocess.run(
        command,
        env={**usual, **environment},
        cwd=folder,
        input=told,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
