"""What vendors know of keys, people and limits, as their SDKs have it: the reference's examples, and the fake that an
enforcer blocks keys of.
"""

from __future__ import annotations

import json

from finops.connectors.anthropic.client import Client
from finops.connectors.enforcement import KeyState
from tests.clients.typed.holding import wrong_of
from tests.clients.typed.table import ADMINISTERED, API_KEY
from tests.factories.examples import example
from tests.fakes.anthropic_keys import ADMIN, AnthropicKeys
from tests.fakes.http import Asked


def test_the_examples_and_the_fake_are_whole_by_their_types() -> None:
    fake = AnthropicKeys("apikey_01Example")
    try:
        client = Client(address=fake.address, credential=ADMIN, internal=(fake.host,))
        client.block("apikey_01Example")
        assert client.state("apikey_01Example") is KeyState.BLOCKED
        told = [fake.answer(Asked("GET", one.path, {}, None, one.headers)) for one in fake.asked]
    finally:
        fake.close()
    assert [status for status, _ in told] == [200, 200]
    examples = [(kind, json.loads(example(name))) for name, kind in ADMINISTERED.items()]
    assert wrong_of([*examples, *((API_KEY, body) for _, body in told)]) == set()
