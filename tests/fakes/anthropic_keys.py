"""The part of Anthropic's Admin API that knows API keys, with the bodies its documentation shows."""

from __future__ import annotations

from typing import Any, Final

from tests.fakes.http import Asked, Fake

ADMIN: Final = "sk-ant-admin01-of-the-tests"
_KEYS: Final = "/v1/organizations/api_keys/"


class AnthropicKeys(Fake):
    """Keys by id: the status of each."""

    def __init__(self, *keys: str) -> None:
        self.status = dict.fromkeys(keys, "active")
        super().__init__()

    def answer(self, asked: Asked) -> tuple[int, Any]:
        if asked.headers.get("x-api-key") != ADMIN:
            return 401, _problem("authentication_error", "invalid x-api-key")
        if asked.headers.get("anthropic-version") != "2023-06-01":
            return 400, _problem("invalid_request_error", "anthropic-version: header is required")
        key = asked.path.removeprefix(_KEYS)
        if not asked.path.startswith(_KEYS) or key not in self.status:
            return 404, _problem("not_found_error", "Not found")
        if asked.method == "POST":
            status = asked.body.get("status")
            if status not in ("active", "inactive", "archived"):
                return 400, _problem(
                    "invalid_request_error", "status: Input should be 'active', 'inactive' or 'archived'"
                )
            if self.status[key] in ("archived", "expired"):
                return 400, _problem("invalid_request_error", f"The key is {self.status[key]}.")
            self.status[key] = status
        return 200, self._row(key)

    def _row(self, key: str) -> dict[str, Any]:
        return {
            "id": key,
            "type": "api_key",
            "name": "ci",
            "status": self.status[key],
            "partial_key_hint": "sk-ant-api03-R2D...igAA",
            "created_by": {"id": "user_01Example", "type": "user"},
            "principal": None,
            "scope": {"type": "workspace", "workspace_id": "wrkspc_01Example"},
            "created_at": "2026-01-05T10:00:00Z",
            "expires_at": None,
        }


def _problem(kind: str, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_01Example"}
