"""A LiteLLM proxy's keys (`/key/info`, `/key/block`, `/key/unblock`), as version 1.106 answers.

Keys are named by their hash, so that no secret is in an address. It needs the master key, or an admin's.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from finops.connectors.addresses import Unreachable
from finops.connectors.enforcement import EnforcementError, KeyState
from finops.connectors.outgoing import Answer, Outgoing

# A proxy without its database says 500 for good; it may come back with one.
_PERMANENT: Final = frozenset({400, 401, 403, 405, 422})
_STATES: Final = {"active": KeyState.ACTIVE, "revoked": KeyState.BLOCKED, "blocked": KeyState.BLOCKED}


class Client:
    def __init__(self, *, address: str, credential: str, internal: Collection[str] = ()) -> None:
        headers = {"Authorization": f"Bearer {credential}", "litellm-changed-by": "capstan"}
        self._proxy = Outgoing(address, headers=headers, internal=internal)

    def state(self, key: str) -> KeyState:
        answer = self._ask("GET", "/key/info", query={"key": key})
        if answer.status == 404:
            return KeyState.GONE
        info = _checked(answer).get("info")
        if not isinstance(info, dict):
            raise EnforcementError("LiteLLM's answer about the key cannot be read")
        # Expiry does not undo a block: who renews the key finds it blocked.
        if info.get("blocked"):
            return KeyState.BLOCKED
        # Versions before 1.100 say no status.
        return _STATES.get(str(info.get("status", "active")), KeyState.GONE)

    def block(self, key: str) -> None:
        self._set(key, "/key/block", blocked=True)

    def unblock(self, key: str) -> None:
        self._set(key, "/key/unblock", blocked=False)

    def _set(self, key: str, path: str, *, blocked: bool) -> None:
        said = _checked(self._ask("POST", path, body={"key": key}))
        if said.get("blocked") is not blocked:
            raise EnforcementError("LiteLLM took the request and does not say that it is done")

    def _ask(self, method: str, path: str, **given: Any) -> Answer:
        try:
            return self._proxy.ask(method, path, **given)
        except Unreachable as error:
            raise EnforcementError(str(error)) from None


def _checked(answer: Answer) -> dict[str, Any]:
    if answer.status == 200 and answer.body is not None:
        return answer.body
    if answer.status == 404:
        raise EnforcementError("LiteLLM has no such key", permanent=True)
    raise EnforcementError(f"LiteLLM answered {answer.status}", permanent=answer.status in _PERMANENT)
