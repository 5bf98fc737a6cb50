"""One id per request: in the answer's `Request-Id`, in every problem and in the log."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Final

from django.http import HttpRequest, HttpResponse
from rest_framework.request import Request

from finops.core.ids import uuid7_batch

# A proxy in front may have named the request already; anything else in the header is not echoed.
_ACCEPTED: Final = re.compile(r"[A-Za-z0-9._-]{8,64}")


class RequestId:
    """Middleware, first in the list."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-Id", "")
        made = given if _ACCEPTED.fullmatch(given) else str(uuid7_batch(1, unix_ms=time.time_ns() // 1_000_000)[0])
        request.META["capstan.request_id"] = made
        response = self.get_response(request)
        response["Request-Id"] = made
        return response


def request_id(request: HttpRequest | Request | None) -> str:
    """The request's id; '' where the middleware did not run."""
    return "" if request is None else str(request.META.get("capstan.request_id", ""))
