"""Bodies held against a vendor's types, in the environment that has its SDK; and what the fakes answer when they are
polled as our feeds poll.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

import pytest

from finops.runtime.places import CHECKOUT
from tests.clients.running import NO_PRICES, run
from tests.clients.typed.table import Type
from tests.environments import installed
from tests.factories.feeds import pages
from tests.fakes.http import Asked
from tests.fakes.reporting import Reporting


class Held(NamedTuple):
    """What is wrong with a body by its type, and what the type writes of it: with fields that are null, and without.
    `names` are those of the type's own fields.
    """

    wrong: list[str]
    made: Any
    bare: Any
    names: list[str]


class Said(NamedTuple):
    path: str
    body: Any


def held(*asked: tuple[Type, Any] | tuple[Type]) -> list[Held]:
    """All of one environment. A type without a body is asked for its names alone."""
    (environment,) = {one[0].environment for one in asked}
    question = json.dumps([[kind.module, kind.name, *body] for kind, *body in asked])
    python = str(installed(environment) / "bin" / "python")
    script = str(CHECKOUT / "tests" / "clients" / "models.py")
    return [Held(**one) for one in json.loads(run([python, script], NO_PRICES, question))]


def names_of(*kinds: Type) -> set[str]:
    """The names of their fields; of an enumeration its values, of a module the texts of its constants."""
    return {name for one in held(*((kind,) for kind in kinds)) for name in one.names}


def written(kind: Type, *bodies: Any) -> list[Any]:
    """Bodies as their vendor's type writes them, each with its nulls and without. They are good by it."""
    found = held(*((kind, body) for body in bodies))
    assert [one.wrong for one in found] == [[]] * len(bodies)
    return [made for one in found for made in (one.made, one.bare)]


def answers(fake: Reporting, *feeds: str) -> list[Said]:
    """What a fake answers while feeds of it are read to their end, each body once."""
    found: dict[str, Said] = {}
    answer = fake.answer

    def kept(asked: Asked) -> tuple[int, Any]:
        status, body = answer(asked)
        assert status == 200, (asked.path, body)
        if not isinstance(body, bytes):
            found.setdefault(json.dumps([asked.path, body]), Said(asked.path, body))
        return status, body

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fake, "answer", kept)
        for name in feeds:
            assert any(list(pages(fake, name)))
    return list(found.values())


def wrong_of(said: Iterable[tuple[Type, Any]]) -> set[str]:
    """What is wrong with any of them, each once and without its places in lists."""
    found = {trouble for one in held(*said) for trouble in one.wrong}
    return {".".join(part for part in one.split(".") if not part.isdecimal()) for one in found}
