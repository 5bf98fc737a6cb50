"""Errors as each family writes them."""

from __future__ import annotations

from typing import Any, Final

OPENAI: Final = "openai"
ANTHROPIC: Final = "anthropic"

# type and code, by status.
_OPENAI: Final[dict[int, tuple[str, str | None]]] = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("invalid_request_error", "unsupported_country_region_territory"),
    404: ("invalid_request_error", "model_not_found"),
    408: ("server_error", None),
    409: ("invalid_request_error", None),
    422: ("invalid_request_error", None),
    429: ("requests", "rate_limit_exceeded"),
    500: ("server_error", None),
    503: ("server_error", None),
}
_ANTHROPIC: Final[dict[int, str]] = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_WORDS: Final[dict[int, str]] = {
    401: "Incorrect API key provided.",
    404: "The model does not exist or you do not have access to it.",
    408: "Request timed out.",
    429: "Rate limit reached for requests.",
    500: "The server had an error while processing your request.",
    503: "The engine is currently overloaded, please try again later.",
    529: "Overloaded",
}


def error_body(
    family: str, status: int, request_id: str, *, message: str = "", code: str = "", param: str | None = None
) -> dict[str, Any]:
    if family == ANTHROPIC:
        return anthropic_error(status, message, kind=code, request_id=request_id)
    return openai_error(status, message, code=code, param=param)


def openai_error(status: int, message: str = "", *, code: str = "", param: str | None = None) -> dict[str, Any]:
    """`code` is the error's `code`; exhausted money has it as its type too."""
    kind, usual = _OPENAI.get(status, ("server_error" if status >= 500 else "invalid_request_error", None))
    if code == "insufficient_quota":
        kind = code
    return {"error": {"message": message or _word(status), "type": kind, "param": param, "code": code or usual}}


def anthropic_error(status: int, message: str = "", *, kind: str = "", request_id: str = "") -> dict[str, Any]:
    kind = kind or _ANTHROPIC.get(status, "api_error" if status >= 500 else "invalid_request_error")
    error = {"type": kind, "message": message or _word(status)}
    return {"type": "error", "error": error, **({"request_id": request_id} if request_id else {})}


def _word(status: int) -> str:
    return _WORDS.get(status, f"Something is wrong ({status}).")
