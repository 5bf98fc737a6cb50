"""The guides' examples, run as they are written: each curl command, and what the guide says it answers."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import time_machine
from django.http import HttpResponse
from django.test import Client

from finops.orgs import services as orgs
from finops.pricing.services import seed_price_book
from tests.factories.orgs import HOUSE, NOON, the_cast

GUIDES = Path(__file__).parents[2] / "docs" / "guides"
NEEDED = (
    "usage.write", "spend.read", "spend.read_people", "charges.read", "jobs.run", "attribution.manage", "budgets.read",
    "budgets.team", "budgets.manage", "alerts.read", "alerts.manage", "calls.stop", "sources.manage",
    "audit.read", "months.close", "export",
)  # fmt: skip
_EXAMPLE = re.compile(r"```sh\n(curl .*?)```\n```json\n(.*?)```", re.DOTALL)
_COMMANDS = re.compile(r"^curl ", re.MULTILINE)


def examples(guide: str) -> Iterator[tuple[str, Any]]:
    text = (GUIDES / guide).read_text(encoding="utf-8")
    found = _EXAMPLE.findall(text)
    assert len(found) == len(_COMMANDS.findall(text)), f"{guide}: say after each command what it answers"
    for command, answer in found:
        yield command, json.loads(answer)


def run(command: str, secret: str) -> HttpResponse:
    """A curl command of the few options the guides use."""
    words = shlex.split(command.replace("\\\n", " ").replace("$CAPSTAN", "/api/v1").replace("$KEY", secret))
    assert words.pop(0) == "curl"
    url, body, headers = "", None, {}
    while words:
        word = words.pop(0)
        if word == "-H":
            name, _, value = words.pop(0).partition(": ")
            headers[name] = value
        elif word == "-d":
            body = words.pop(0)
        elif word != "-sS":
            assert not url, f"two addresses: {word}"
            url = word
    if body is None:
        return Client().get(url, headers=headers)  # type: ignore[return-value]
    kind = headers.pop("Content-Type")
    return Client().post(url, data=body, content_type=kind, headers=headers)  # type: ignore[return-value]


def agrees(said: Any, told: Any) -> bool:
    """Everything the guide says is in the answer; the answer may hold more fields, and not more entries."""
    if isinstance(said, dict):
        return isinstance(told, dict) and all(name in told and agrees(said[name], told[name]) for name in said)
    if isinstance(said, list):
        return isinstance(told, list) and len(said) == len(told) and all(map(agrees, said, told))
    return bool(said == told)


@pytest.mark.parametrize("guide", ["api.md", "engineer.md", "alerts.md", "finance.md"])
@pytest.mark.django_db
def test_the_examples_of_a_guide_answer_as_it_says(guide: str) -> None:
    cast = the_cast()
    seed_price_book(by=HOUSE, at=NOON)
    secret = orgs.issue_key(organization_id=cast.acme.id, name="Guide", permissions=NEEDED, by=HOUSE, at=NOON).secret
    # A provider is asked whether its credential is good; nobody calls one from here.
    with time_machine.travel(NOON, tick=True), patch("finops.polling.services.connecting.probe"):
        for command, said in examples(guide):
            answer = run(command, secret)
            assert agrees(said, json.loads(answer.content)), f"{command}\nanswers {answer.content.decode()}"
