"""The root of every error we raise on purpose: a class with a stable code, an HTTP status and, where known, a field."""

from __future__ import annotations

from typing import ClassVar


class FinopsError(Exception):
    """An anticipated failure. `code` is stable and public: the API, the docs and the tests quote it.

    `status` is the HTTP status a door answers with; `field` names the offending input, as a path (`events[3].model`);
    `retry_after_s` is None where nobody knows when to try again.
    """

    code: ClassVar[str] = "core.error"
    status: ClassVar[int] = 400
    retry_after_s: int | None = None

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field


class NotFound(FinopsError):
    """What was asked for does not exist, or is another organization's, which is the same answer."""

    code = "core.not_found"
    status = 404


class Forbidden(FinopsError):
    code = "core.forbidden"
    status = 403


class Invalid(FinopsError):
    """Input that is well-formed and still cannot be accepted. Names its field."""

    code = "core.invalid"
    status = 422
