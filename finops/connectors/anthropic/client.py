"""The status of an organization's API keys at Anthropic (Admin API, `/v1/organizations/api_keys/{id}`).

It needs an Admin key (`sk-ant-admin…`). A key that is archived or has expired is gone for good.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from finops.connectors.addresses import Unreachable
from finops.connectors.enforcement import EnforcementError, KeyState
from finops.connectors.outgoing import Answer, Outgoing

_VERSION: Final = "2023-06-01"
_PERMANENT: Final = frozenset({400, 401, 403, 404, 405, 422})
_STATES: Final = {
    "active": KeyState.ACTIVE,
    "inactive": KeyState.BLOCKED,
    "archived": KeyState.GONE,
    "expired": KeyState.GONE,
}


class Client:
    def __init__(self, *, address: str, credential: str, internal: Collection[str] = ()) -> None:
        headers = {"x-api-key": credential, "anthropic-version": _VERSION}
        self._api = Outgoing(address, headers=headers, internal=internal)

    def state(self, key: str) -> KeyState:
        answer = self._ask("GET", key)
        return KeyState.GONE if answer.status == 404 else _state(answer)

    def block(self, key: str) -> None:
        self._set(key, "inactive", KeyState.BLOCKED)

    def unblock(self, key: str) -> None:
        self._set(key, "active", KeyState.ACTIVE)

    def _set(self, key: str, status: str, wanted: KeyState) -> None:
        if _state(self._ask("POST", key, body={"status": status})) is not wanted:
            raise EnforcementError(f"Anthropic took the request, and the key is not {status}")

    def _ask(self, method: str, key: str, **given: Any) -> Answer:
        try:
            return self._api.ask(method, f"/v1/organizations/api_keys/{key}", **given)
        except Unreachable as error:
            raise EnforcementError(str(error)) from None


def _state(answer: Answer) -> KeyState:
    if answer.status != 200 or answer.body is None:
        raise EnforcementError(f"Anthropic answered {answer.status}", permanent=answer.status in _PERMANENT)
    found = _STATES.get(str(answer.body.get("status")))
    if found is None:
        raise EnforcementError("Anthropic's answer about the key cannot be read")
    return found
