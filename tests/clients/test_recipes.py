"""What the guide and the page Connect tell an engineer to write for OpenAI's and Anthropic's clients and for curl, done
as they say it. Aider runs elsewhere; of the others nobody here has the program.
"""

from __future__ import annotations

import os

from dashboards.gateway.clients import CLIENTS, KEY
from finops.runtime.places import CHECKOUT
from tests.clients.running import run
from tests.clients.serving import Served
from tests.environments import installed

GUIDE = (CHECKOUT / "docs" / "guides" / "gateway.md").read_text()
README = (CHECKOUT / "README.md").read_text()
# What is asked once a client is pointed here; Claude Code itself is nobody's in a test.
ASKS_CLAUDE = """
from anthropic import Anthropic
hello = [{'role': 'user', 'content': 'Hello'}]
print(Anthropic().messages.create(model='claude', max_tokens=100, messages=hello).usage.output_tokens)"""
ASKS_GPT = """
from openai import OpenAI
print(OpenAI().responses.create(model='gpt', input='Hello').usage.output_tokens)"""


def test_the_guides_lines(gateway: Served) -> None:
    assert "'embed'" in _shell(gateway, _guide("OpenAI's SDKs"))
    claude = _guide("Anthropic's SDKs and Claude Code").removesuffix("claude\n")
    assert _shell(gateway, f'{claude}python -c "{ASKS_CLAUDE}"').strip() == "12"
    assert '"completion_tokens":12' in _shell(gateway, _guide("curl"))
    assert len(gateway.proven()) == 2
    gateway.settled()


def test_the_readmes_lines_and_those_of_the_page(gateway: Served) -> None:
    exports = README.partition("## One base URL\n\n```\n")[2].partition("export OPENAI_API_BASE")[0]
    assert _shell(gateway, f'{exports}python -c "{ASKS_GPT}{ASKS_CLAUDE}"').split() == ["12", "12"]
    page = {client.key: client.at(gateway.address).replace(KEY, gateway.bob) for client in CLIENTS}
    lines = _here(gateway, f"{page['openai']}\n{page['anthropic']}")
    run([str(installed("clients") / "bin" / "python"), "-c", lines], {})
    assert '"completion_tokens":12' in _shell(gateway, page["curl"])
    assert len(gateway.proven()) == 5
    gateway.settled()


def _guide(title: str) -> str:
    """The lines below a client's name."""
    return GUIDE.partition(f"**{title}**")[2].split("```\n")[1]


def _shell(gateway: Served, lines: str) -> str:
    """With the clients' own Python as `python`."""
    path = f"{installed('clients') / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return run(["sh", "-ec", _here(gateway, lines)], {"PATH": path})


def _here(gateway: Served, lines: str) -> str:
    """Where this gateway is, whose key it is, and what is deployed here."""
    said = lines.replace("http://localhost:8001", gateway.address).replace("cap_…", gateway.bob)
    return said.replace("gpt-5-mini", "gpt").replace("claude-sonnet-4-5", "claude")
