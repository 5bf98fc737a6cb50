"""What a connector states of itself is what it can do."""

from __future__ import annotations

import pytest

from finops.connectors.enforcement import CONNECTORS, EnforcementError, Power
from finops.connectors.enforcers import enforcer
from finops.connectors.feeds import ACCOUNTS


@pytest.mark.parametrize("name", sorted(ACCOUNTS))
def test_an_account_states_to_block_keys_exactly_where_a_client_can_be_made(name: str) -> None:
    stated = Power.BLOCK_KEY in ACCOUNTS[name].enforces

    assert stated == _can_be_made(name)
    assert stated == (name in CONNECTORS)


def test_every_connector_that_blocks_keys_is_an_account_that_states_it() -> None:
    assert set(CONNECTORS) == {name for name, one in ACCOUNTS.items() if Power.BLOCK_KEY in one.enforces}


def _can_be_made(name: str) -> bool:
    try:
        enforcer(name, address="https://api.anthropic.com", credential="not a key", internal=())
    except EnforcementError:
        return False
    return True
