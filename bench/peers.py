"""Whom `bench gateway` measures ours by, each one process and as its makers would have it for speed: no database, no
logs of calls, no retries. Who is not here and cannot be fetched raises CannotServe with the reason.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from bench.passthrough import UPSTREAM
from bench.serving import CannotServe, Server, free_port, granian
from bench.upstream import MODEL
from finops.runtime import places

PORTKEY: Final = "@portkey-ai/gateway"
PORTKEY_VERSION: Final = "1.15.2"
# With a newer one, which npm would choose, it answers 500 to every stream (github.com/Portkey-AI/gateway/issues/1389).
_PACKAGE: Final = {
    "private": True,
    "dependencies": {PORTKEY: PORTKEY_VERSION},
    "overrides": {"@hono/node-server": "1.14.1"},
}
_LITELLM: Final = places.CHECKOUT / ".venv-litellm" / "bin"


def bare(folder: Path, upstream: str) -> Server:
    return granian("bench.passthrough:app", folder / "bare.log", {UPSTREAM: upstream}).ready("/")


def litellm(folder: Path, upstream: str, key: str) -> Server:
    """Without a database, in its production mode; it does not start without one key, its master's."""
    if not (_LITELLM / "litellm").exists():
        raise CannotServe("there is no .venv-litellm; make .venv-litellm/litellm.stamp")
    config = {
        "model_list": [
            {
                "model_name": MODEL,
                "litellm_params": {"model": f"openai/{MODEL}", "api_key": "nobodys", "api_base": f"{upstream}/v1"},
            }
        ],
        "litellm_settings": {"num_retries": 0, "telemetry": False, "set_verbose": False},
    }
    # YAML is a superset of JSON.
    (folder / "litellm.yaml").write_text(json.dumps(config))
    port = free_port()
    command = [
        *(str(_LITELLM / "python"), str(_LITELLM / "litellm"), "--config", str(folder / "litellm.yaml")),
        *("--host", "127.0.0.1", "--port", str(port), "--telemetry", "False", "--num_workers", "1"),
    ]
    # Our database would be taken for its own.
    environment = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    environment |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MODE": "PRODUCTION", "LITELLM_LOG": "ERROR"}
    environment["LITELLM_MASTER_KEY"] = key
    return Server(command, port, folder / "litellm.log", environment, folder).ready("/health/readiness")


def portkey(folder: Path) -> Server:
    """Where calls go, it is told by each of them."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise CannotServe("there is no Node.js with npm here")
    kept = places.data_dir() / "bench" / f"portkey-{PORTKEY_VERSION}"
    script = kept / "node_modules" / PORTKEY / "build" / "start-server.js"
    if not script.exists():
        _fetch(kept)
    port = free_port()
    command = ["node", str(script), f"--port={port}", "--headless"]
    return Server(command, port, folder / "portkey.log", os.environ | {"NODE_ENV": "production"}, folder).ready("/")


def _fetch(kept: Path) -> None:
    """The package from npm, in the version that is named, into a folder of the data folder."""
    kept.mkdir(parents=True, exist_ok=True)
    (kept / "package.json").write_text(json.dumps(_PACKAGE))
    command = ["npm", "install", "--prefix", str(kept), "--no-audit", "--no-fund", "--ignore-scripts"]
    said = subprocess.run(command, check=False, capture_output=True, text=True)
    if said.returncode:
        raise CannotServe(f"npm could not install {PORTKEY}: {said.stderr[-500:]}")


def litellm_version() -> str:
    said = subprocess.run(
        [str(_LITELLM / "python"), "-c", "import importlib.metadata as m; print(m.version('litellm'))"],
        check=True,
        capture_output=True,
        text=True,
    )
    return said.stdout.strip()
