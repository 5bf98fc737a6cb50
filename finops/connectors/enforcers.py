"""Makes the enforcer of a connector. Apart from `enforcement`, so that only who makes calls loads what calls need."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Final

from finops.connectors.anthropic.client import Client as Anthropic
from finops.connectors.enforcement import EnforcementError, Enforcer
from finops.connectors.litellm.client import Client as LiteLLM

_CLIENTS: Final[Mapping[str, Callable[..., Enforcer]]] = {"anthropic": Anthropic, "litellm": LiteLLM}


def enforcer(connector: str, *, address: str, credential: str, internal: Collection[str]) -> Enforcer:
    """`address` is the server's, `internal` the hosts of our own that may be called. Raises EnforcementError for a
    connector that has none, and AddressRefused.
    """
    made = _CLIENTS.get(connector)
    if made is None:
        raise EnforcementError(f"no key can be blocked by {connector}", permanent=True)
    return made(address=address, credential=credential, internal=internal)
