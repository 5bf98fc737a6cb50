"""What goes in and out of the gateway's own doors, whatever carries it; errors as RFC 9457."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from finops.api.problems import MEDIA_TYPE, problem
from finops.core.errors import FinopsError


class Unexpected(FinopsError):
    code = "api.unexpected"
    status = 500


_encode: Final = msgspec.json.Encoder(decimal_format="string").encode
_JSON: Final[Mapping[str, str]] = {"content-type": "application/json"}


class Asked(NamedTuple):
    """A request. `authorization` is the header of that name; `forwarded` when another process passed it on; `local`
    when it comes from this machine, and nothing says that it was passed on for somebody else.
    """

    method: str
    path: str
    query: Mapping[str, str]
    authorization: str
    body: bytes
    forwarded: bool = False
    local: bool = False


class Answer(NamedTuple):
    status: int
    body: bytes
    headers: Mapping[str, str] = _JSON


def answered(value: Any, status: int = 200) -> Answer:
    return Answer(status, _encode(value))


def refused(error: FinopsError) -> Answer:
    """An error as a problem; a refusal says how the budgets stand, and where to ask for more."""
    body = problem(status=error.status, code=error.code, detail=error.message, field=error.field)
    del body["instance"]
    headers = {"content-type": MEDIA_TYPE}
    budgets = getattr(error, "budgets", None)
    if budgets is not None:
        body["budgets"] = budgets
        body["ask"] = "/api/v1/increases"
    reasons = getattr(error, "reasons", None)
    if reasons is not None:
        body["reasons"] = reasons
    if error.retry_after_s is not None:
        headers["retry-after"] = str(error.retry_after_s)
    if error.status == 401:
        headers["www-authenticate"] = 'Bearer realm="capstan"'
    return Answer(error.status, _encode(body), headers)
