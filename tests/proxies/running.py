"""The processes of these tests: the real LiteLLM proxy with the plug-in, the real `openai` client, and fakes beside."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from finops.runtime.places import CHECKOUT
from tests.waiting import until

VENV: Final = CHECKOUT / ".venv-litellm"
KEY: Final = "sk-proxy-of-the-tests"
PATIENCE_S: Final = 60.0


class Child:
    """A process that ends with the test, whatever happens."""

    def __init__(self, command: list[str], log: Path, environment: Mapping[str, str] | None = None) -> None:
        self._log = log.open("ab")
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            cwd=CHECKOUT,
            env={**os.environ, **(environment or {})},
        )

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().decode().strip()

    def kill(self) -> None:
        self.process.kill()
        self.end()

    def end(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._log.close()


class Fake:
    """A fake in a process of its own, steered and asked over HTTP."""

    def __init__(self, module: str, log: Path, *arguments: str) -> None:
        self.child = Child([sys.executable, "-m", module, *arguments], log)
        self.port = int(self.child.line())

    def tell(self, **said: Any) -> dict[str, Any]:
        return request(self.port, "POST", "/_", said)[1]

    def told(self) -> dict[str, Any]:
        return request(self.port, "GET", "/_")[1]


class Proxy:
    """LiteLLM on a port of its own, which a restart keeps."""

    def __init__(
        self, folder: Path, models: list[dict[str, Any]], environment: Mapping[str, str], **settings: Any
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self.log = folder / "proxy.log"
        config = {
            "model_list": models,
            "litellm_settings": {"callbacks": ["capstan_litellm.plugin.guard"], **settings.pop("litellm_settings", {})},
            "general_settings": {"master_key": "os.environ/LITELLM_MASTER_KEY", **settings.pop("general_settings", {})},
            **settings,
        }
        # YAML is a superset of JSON.
        (folder / "config.yaml").write_text(json.dumps(config))
        self._environment = {
            "LITELLM_MASTER_KEY": KEY,
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "PYTHONDONTWRITEBYTECODE": "",
            "CAPSTAN_SPOOL": str(folder / "spool"),
            **environment,
        }
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [
            str(VENV / "bin" / "python"),
            str(VENV / "bin" / "litellm"),
            "--config",
            str(self.folder / "config.yaml"),
        ]
        command += ["--host", "127.0.0.1", "--port", str(self.port), "--telemetry", "False"]
        log = self.log.open("ab")
        # Our database would be taken for its own.
        ours = ("DATABASE_URL", "REDIS_URL")
        environment = {**{name: value for name, value in os.environ.items() if name not in ours}, **self._environment}
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, env=environment
        )
        log.close()

        def ready() -> bool:
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            try:
                return request(self.port, "GET", "/health/readiness")[0] == 200
            except OSError:
                return False

        # Ten seconds; where the machine is busy with others, minutes.
        until(ready, within_s=150)

    def waiting(self, *kinds: str) -> set[str]:
        """The calls of which the plug-in still has something to tell, by what its spool says."""
        spools = (self.folder / "spool").glob("*.spool")
        lines = [json.loads(line) for path in spools for line in path.read_text().splitlines()]
        done = {call for kind, call, _ in lines if kind == "done"}
        return {call for kind, call, _ in lines if kind in (kinds or ("open", "send"))} - done

    def kill(self) -> None:
        """Without a word, as the kernel does when memory runs out."""
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.kill()


class Client:
    def __init__(self, proxy: Proxy, log: Path) -> None:
        script = str(CHECKOUT / "tests" / "proxies" / "client.py")
        self.child = Child([str(VENV / "bin" / "python"), script, proxy.url, KEY], log)
        self.proxy = proxy
        self._numbers = itertools.count()
        self._said: dict[int, dict[str, Any]] = {}
        self._heard = threading.Condition()
        threading.Thread(target=self._hear, daemon=True).start()

    def start(self, route: str, *, leave_after: int = 0, headers: Mapping[str, str] | None = None, **body: Any) -> int:
        number = next(self._numbers)
        line = {"n": number, "route": route, "body": body, "leave_after": leave_after, "headers": headers}
        assert self.child.process.stdin is not None
        self.child.process.stdin.write(json.dumps(line).encode() + b"\n")
        self.child.process.stdin.flush()
        return number

    def wait(self, number: int) -> dict[str, Any]:
        with self._heard:
            assert self._heard.wait_for(lambda: number in self._said, PATIENCE_S), "the client does not answer"
            return self._said.pop(number)

    def call(self, route: str, **said: Any) -> dict[str, Any]:
        return self.wait(self.start(route, **said))

    def chat(self, model: str, words: str = "hello", **said: Any) -> dict[str, Any]:
        return self.call("chat", model=model, messages=[{"role": "user", "content": words}], **said)

    def _hear(self) -> None:
        assert self.child.process.stdout is not None
        for raw in self.child.process.stdout:
            line = json.loads(raw)
            with self._heard:
                self._said[line["n"]] = line
                self._heard.notify_all()


def request(port: int, method: str, path: str, body: Any = None, key: str = "") -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        raw = answer.read()
        return answer.status, json.loads(raw) if raw.startswith(b"{") else {}
    finally:
        connection.close()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def deployment(name: str, model: str, port: int, how: str = "ok", **more: Any) -> dict[str, Any]:
    base = f"http://127.0.0.1:{port}/{how}" + ("" if model.startswith("anthropic/") else "/v1")
    return {"model_name": name, "litellm_params": {"model": model, "api_key": "nobodys", "api_base": base, **more}}


@contextmanager
def ending(*children: Any) -> Iterator[None]:
    try:
        yield
    finally:
        for child in children:
            child.end()
