"""The part of a LiteLLM proxy's administration that knows keys, with the answers of version 1.106.

`tests/unit/connectors/test_enforcers.py` asks a real proxy the same where one is named in the environment.
"""

from __future__ import annotations

from typing import Any, Final

from tests.fakes.http import Asked, Fake

MASTER: Final = "sk-master-of-the-tests"


class LiteLLMKeys(Fake):
    """Keys by hash: whether each is blocked."""

    def __init__(self, *keys: str) -> None:
        self.blocked = dict.fromkeys(keys, False)
        super().__init__()

    def answer(self, asked: Asked) -> tuple[int, Any]:
        if asked.headers.get("authorization") != f"Bearer {MASTER}":
            return 401, _problem("Authentication Error, Invalid proxy server token passed.", "token_not_found", 401)
        key = (asked.body or {}).get("key") or asked.query.get("key", "")
        if key not in self.blocked:
            # What `/key/info` says of a key it does not have, and `/key/block`.
            return 404, _problem("Key not found.", "not_found_error", 404)
        if (asked.method, asked.path) == ("GET", "/key/info"):
            return 200, {"key": key, "info": self._row(key) | {"status": self._status(key)}}
        if asked.method == "POST" and asked.path in ("/key/block", "/key/unblock"):
            self.set(key, blocked=asked.path == "/key/block")
            return 200, self._row(key) | {"token": key}
        return 404, {"detail": "Not Found"}

    def set(self, key: str, *, blocked: bool) -> None:
        self.blocked[key] = blocked

    def _status(self, key: str) -> str:
        return "revoked" if self.blocked[key] else "active"

    def _row(self, key: str) -> dict[str, Any]:
        return {
            "key_name": f"sk-...{key[-4:]}",
            "key_alias": None,
            "spend": 0.0,
            "expires": None,
            "models": [],
            "user_id": "default_user_id",
            "team_id": None,
            "metadata": {},
            "blocked": self.blocked[key],
        }


def _problem(message: str, kind: str, code: int) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": "key", "code": str(code)}}
