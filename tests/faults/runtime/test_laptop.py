"""`capstan gateway`, for real: one file, a call through it, the file saved while it runs, nothing left at its end."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import stat
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from finops.runtime.postgres import Place
from tests.fakes.upstream.running import Upstream, upstream
from tests.faults.runtime.running import Running, eventually, free_port

pytestmark = pytest.mark.timeout(240)

FILE = """
[person]
name = "Ada"

[attribution]
projects = ["compiler"]

[[upstreams]]
name = "here"
base_url = "{address}/v1"
models = [{{ name = "local", upstream_model = "gpt" }}]

[[budgets]]
name = "Today"
limit = {limit}
period = "day"

[[prices]]
upstream = "here"
input = 0
output = 1000.50
"""


class Laptop(Running):
    """One `capstan gateway` and its file; `model` is the server that its local model runs on."""

    def __init__(self, data: Path, model: Upstream) -> None:
        self.port, self.web, self._model = free_port(), free_port(), model
        self.file = data.parent / "capstan.toml"
        self.save("1.00")
        ports = ("--port", str(self.port), "--web", "--web-port", str(self.web))
        super().__init__(data, "gateway", "--config", str(self.file), *ports)

    def save(self, limit: str) -> None:
        self.file.write_text(FILE.format(address=self._model.address, limit=limit))

    def pasted(self, name: str) -> str:
        """What somebody pastes who points a client here."""
        return self.said(rf"export {name}=").rpartition("=")[2]

    def streams(self, **headers: str) -> tuple[int, str]:
        """A call in OpenAI's dialect, with what was printed."""
        body = {"model": "local", "stream": True, "max_tokens": 50, "messages": [{"role": "user", "content": "Hello"}]}
        return self.get(
            self.port,
            "/v1/chat/completions",
            json.dumps(body),
            {"Authorization": f"Bearer {self.pasted('OPENAI_API_KEY')}", "Content-Type": "application/json", **headers},
        )

    def get(self, port: int, path: str, body: str = "", headers: dict[str, str] | None = None) -> tuple[int, str]:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            client.request("POST" if body else "GET", path, body or None, headers or {})
            answer = client.getresponse()
            return answer.status, answer.read().decode()
        finally:
            client.close()

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(Place.below(self.data).url()) as connection:
            return connection.execute(sql.encode()).fetchall()


@pytest.fixture
def laptop(empty_data: Path) -> Iterator[Laptop]:
    with upstream() as model:
        running = Laptop(empty_data, model)
        yield running
        running.close()


@pytest.mark.usefixtures("made_data")
def test_one_file_is_a_gateway_that_attributes_caps_and_follows_the_file(laptop: Laptop) -> None:
    assert laptop.said("^Gateway ").endswith(f"http://localhost:{laptop.port}/")
    assert laptop.pasted("OPENAI_BASE_URL") == f"http://localhost:{laptop.port}/v1"
    assert laptop.pasted("ANTHROPIC_AUTH_TOKEN") == laptop.pasted("OPENAI_API_KEY")
    kept = laptop.data / "laptop.key"
    assert kept.read_text().strip() == laptop.pasted("OPENAI_API_KEY")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    # The pages, and the link with which the engineer chooses a password for them.
    link = re.search(r"http://localhost:\d+(/accounts/\S+)", laptop.said("/accounts/password/reset/key/"))
    assert link is not None
    assert laptop.get(laptop.web, link[1])[0] == 302

    status, answer = laptop.streams(**{"x-capstan-project": "compiler"})

    assert (status, answer.rstrip()[-6:]) == (200, "[DONE]")
    charged = (
        "SELECT p.name, j.slug, c.effective_cost, c.reason FROM ledger_charge c"
        " LEFT JOIN orgs_person p ON p.id = c.person_id LEFT JOIN orgs_project j ON j.id = c.project_id"
    )
    assert eventually(lambda: len(laptop.rows(charged)) == 1)
    assert laptop.rows(charged) == [("Ada", "compiler", Decimal("0.04002"), "")]

    # A cap that is saved holds within seconds.
    laptop.save("0.05")
    assert laptop.said("capstan.toml was saved: budget Today: limit 1 to 0.05")
    assert eventually(lambda: laptop.streams()[0] == 429)
    assert "Today" in laptop.streams()[1]
    # What cannot be is refused by its place, and what was said before holds.
    laptop.save('"plenty"')
    assert laptop.said("capstan.toml is refused, and what it said before stays in force")
    assert laptop.said(r"budgets\[0\].limit: ")
    assert laptop.streams()[0] == 429
    laptop.save("1.00")
    assert laptop.said("budget Today: limit 0.05 to 1")
    assert eventually(lambda: laptop.streams()[0] == 200)

    os.killpg(laptop.process.pid, signal.SIGINT)

    assert laptop.ended() == 0
    assert laptop.said("nothing is left running")
    assert laptop.running() == []


def test_a_file_that_cannot_be_starts_nothing(empty_data: Path) -> None:
    file = empty_data.parent / "capstan.toml"
    file.write_text('[[upstreams]]\npreset = "olama"\n\n[[budgets]]\nname = "All"\nlimit = -1\n')
    running = Running(empty_data, "gateway", "--config", str(file))
    try:
        assert running.ended() == 1
        assert running.lines[0] == "CommandError: capstan.toml is refused:"
        assert running.lines[1].startswith("upstreams[0].preset: there is no preset 'olama'; there are openai, ")
        assert running.lines[2].startswith("budgets[0].limit: an amount is a number from 0 ")
        assert len(running.lines) == 3
        assert not (empty_data / "pg").exists()
    finally:
        running.close()
