"""Errors as RFC 9457 problem+json, each with a stable code; nothing else leaves the API when something is wrong."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views import defaults
from rest_framework import exceptions
from rest_framework.response import Response

from finops.api.problems import MEDIA_TYPE, problem
from finops.api.requests import request_id
from finops.core.errors import FinopsError

log = logging.getLogger("finops.api")

# DRF's own exceptions, by status, in our words.
_CODES = {
    400: "api.malformed",
    401: "api.unauthenticated",
    403: "api.forbidden",
    404: "api.not_found",
    405: "api.method_not_allowed",
    406: "api.not_acceptable",
    413: "api.too_large",
    415: "api.unsupported_media_type",
    429: "api.throttled",
}


class TooLarge(FinopsError):
    code = "api.too_large"
    status = 413


class Malformed(FinopsError):
    """The body is not what its media type says."""

    code = "api.malformed"
    status = 400


class Unauthenticated(FinopsError):
    """No credential, or one that is not good. Which of its reasons is not told apart for keys."""

    code = "api.unauthenticated"
    status = 401


def problem_response(exc: Exception, context: Mapping[str, Any]) -> Response:
    """DRF's EXCEPTION_HANDLER: every exception becomes a problem; an unexpected one is a 500 that tells nothing."""
    request = context.get("request")
    instance = request_id(request)
    headers: dict[str, str] = {}
    if isinstance(exc, exceptions.APIException):
        body = _from_rest_framework(exc, instance, headers)
    elif isinstance(exc, FinopsError):
        body = problem(status=exc.status, code=exc.code, detail=exc.message, instance=instance, field=exc.field)
        if exc.status == 401:
            headers["WWW-Authenticate"] = 'Bearer realm="capstan"'
        if exc.retry_after_s is not None:
            headers["Retry-After"] = str(exc.retry_after_s)
    elif isinstance(exc, Http404):
        body = problem(status=404, code="api.not_found", detail="There is nothing here.", instance=instance)
    elif isinstance(exc, PermissionDenied):
        body = problem(status=403, code="api.forbidden", detail="This is not allowed.", instance=instance)
    elif isinstance(exc, RequestDataTooBig):
        body = problem(status=413, code="api.too_large", detail="The body is too large.", instance=instance)
    elif isinstance(exc, OperationalError | InterfaceError):
        # The connection was lost, or this transaction lost a deadlock or waited too long: nothing of it was kept.
        _log_unexpected(exc, instance)
        detail = "The database could not take this just now; nothing was changed. Try again."
        body = problem(status=503, code="api.try_again", detail=detail, instance=instance)
        headers["Retry-After"] = "1"
    else:
        # The exception's own text may quote input or a secret, so it goes to the log by type and place only.
        _log_unexpected(exc, instance)
        body = _unexpected(instance)
    return Response(body, status=body["status"], headers=headers, content_type=MEDIA_TYPE)


def _from_rest_framework(exc: exceptions.APIException, instance: str, headers: dict[str, str]) -> dict[str, Any]:
    auth_header = getattr(exc, "auth_header", None)
    if auth_header:
        headers["WWW-Authenticate"] = auth_header
    wait = getattr(exc, "wait", None)
    if wait is not None:
        headers["Retry-After"] = str(int(wait) + 1)
    if isinstance(exc, exceptions.ValidationError):
        errors = list(_flatten(exc.get_full_details()))
        first = errors[0] if errors else {"field": "", "detail": "The input is not valid."}
        detail = f"{first['field']}: {first['detail']}" if first["field"] else first["detail"]
        return problem(
            status=400,
            code="api.invalid",
            detail=detail,
            instance=instance,
            field=first["field"] or None,
            errors=errors,
        )
    code = _CODES.get(exc.status_code, "api.error")
    return problem(status=exc.status_code, code=code, detail=str(exc.detail), instance=instance)


def _flatten(details: Any, path: str = "") -> Iterator[dict[str, str]]:
    """DRF's nested error details as a flat list, each field a path: `identities[2].value`."""
    if isinstance(details, Mapping) and "message" in details and "code" in details:
        yield {"field": path, "code": str(details["code"]), "detail": str(details["message"])}
    elif isinstance(details, Mapping):
        for name, inner in details.items():
            if isinstance(name, int):
                yield from _flatten(inner, f"{path}[{name}]")
            elif name == "non_field_errors":
                yield from _flatten(inner, path)
            else:
                yield from _flatten(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(details, list):
        for index, inner in enumerate(details):
            leaf = isinstance(inner, Mapping) and "message" in inner and "code" in inner
            yield from _flatten(inner, path if leaf else f"{path}[{index}]")


def _unexpected(instance: str) -> dict[str, Any]:
    detail = "Something went wrong on our side. Tell your operator the request id."
    return problem(status=500, code="api.unexpected", detail=detail, instance=instance)


def _log_unexpected(exc: BaseException, instance: str) -> None:
    place = "?"
    trace = exc.__traceback__
    while trace is not None:
        place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
        trace = trace.tb_next
    log.error("request %s failed: %s at %s", instance, type(exc).__name__, place)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """The root URL conf's handler404: a problem below /api/, the page elsewhere."""
    if not request.path.startswith("/api/"):
        return defaults.page_not_found(request, exception)
    instance = request_id(request)
    body = problem(status=404, code="api.not_found", detail="There is nothing at this address.", instance=instance)
    return JsonResponse(body, status=404, content_type=MEDIA_TYPE)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """The root URL conf's handler400: what Django refuses before a view is reached."""
    if not request.path.startswith("/api/"):
        return defaults.bad_request(request, exception)
    body = problem(status=400, code="api.malformed", detail="The request cannot be read.", instance=request_id(request))
    return JsonResponse(body, status=400, content_type=MEDIA_TYPE)


def server_error(request: HttpRequest) -> HttpResponse:
    """The root URL conf's handler500."""
    if not request.path.startswith("/api/"):
        return defaults.server_error(request)
    return JsonResponse(_unexpected(request_id(request)), status=500, content_type=MEDIA_TYPE)
