"""What vendors know of keys, people and limits, as their SDKs have it: the reference's examples, and the fake that an
enforcer blocks keys of.
"""

from __future__ import annotations

import json
from http import HTTPStatus

from finops.connectors.anthropic.client import Client
from finops.connectors.enforcement import KeyState
from tests.clients.typed.holding import held, wrong_of
from tests.clients.typed.table import ADMINISTERED, API_KEY
from tests.factories.examples import example
from tests.fakes.anthropic_keys import ADMIN, AnthropicKeys
from tests.fakes.http import Asked


def test_the_examples_are_whole_by_their_types() -> None:
    found = held(*((kind, json.loads(example(name))) for name, kind in ADMINISTERED.items()))
    assert {name: one.wrong for name, one in zip(ADMINISTERED, found, strict=True) if one.wrong} == {}


def test_the_fake_of_keys_answers_what_the_sdk_reads() -> None:
    fake = AnthropicKeys("apikey_01Example")
    try:
        client = Client(address=fake.address, credential=ADMIN, internal=(fake.host,))
        client.block("apikey_01Example")
        assert client.state("apikey_01Example") is KeyState.BLOCKED
        said = [fake.answer(Asked("GET", one.path, {}, None, one.headers)) for one in fake.asked]
    finally:
        fake.close()
    assert {status for status, _ in said} == {HTTPStatus.OK}
    assert wrong_of((API_KEY, one) for _, one in said) == set()
