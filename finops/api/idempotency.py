"""`Idempotency-Key`: a repeated POST gets the first answer, and the change happens once.

The first answer is kept in the transaction of the change itself, so either both are there or neither. A refusal (any
problem) changes nothing and is not kept: the repeat is tried again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import wraps
from typing import Any, Final, TypeVar

from django.db import connection, transaction
from django.utils import timezone
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from finops.api.errors import TooLarge
from finops.api.models import FirstAnswer
from finops.api.parsing import MAX_BODY
from finops.core.errors import FinopsError

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotent-Replayed"
# Answers older than this may be forgotten: no client repeats a request a week later.
KEPT: Final = timedelta(days=7)
_MAX_KEY: Final = 200

View = TypeVar("View", bound=Callable[..., Response])


class KeyInvalid(FinopsError):
    code = "api.idempotency_key_invalid"
    status = 400


class Conflict(FinopsError):
    """The key was used before with another request."""

    code = "api.idempotency_conflict"
    status = 409


class InProgress(FinopsError):
    """A twin of this request is being answered at this moment."""

    code = "api.idempotency_in_progress"
    status = 409
    retry_after_s = 1


def idempotent(handler: View) -> View:
    """Wrap a view's `post`: with the header the change is made once; without it, as if this were not here.

    The caller must be an `orgs.rules.Caller` (it has `organization_id` and `actor`).
    """

    @wraps(handler)
    def wrapped(view: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        key = request.headers.get(HEADER, "")
        if not key:
            return handler(view, request, *args, **kwargs)
        if len(key) > _MAX_KEY or not key.isascii() or not key.isprintable():
            raise KeyInvalid(f"{HEADER} is printable ASCII of at most {_MAX_KEY} characters.")
        return _once(handler, view, request, key, args, kwargs)

    wrapped.idempotent = True  # type: ignore[attr-defined]
    return wrapped  # type: ignore[return-value]


def _once(handler: Callable[..., Response], view: Any, request: Request, key: str, args: Any, kwargs: Any) -> Response:
    caller: Any = request.user
    length = request.META.get("CONTENT_LENGTH") or "0"
    if length.isdigit() and int(length) > MAX_BODY:
        raise TooLarge(f"A resource's body has at most {MAX_BODY} bytes.")
    # Read before the parser does: the digest is of the bytes, and DRF then parses the same bytes.
    digest = hashlib.sha256(request._request.body).hexdigest()
    operation = f"{request.method} {request.path}"[:400]
    owner = {"organization_id": caller.organization_id, "caller": caller.actor.reference, "key": key}
    with transaction.atomic():
        if not _claim(owner):
            raise InProgress("The same request is being answered right now; ask again in a second.")
        first = FirstAnswer.objects.filter(**owner).first()
        if first is not None:
            if (first.operation, first.body_digest) != (operation, digest):
                raise Conflict(f"{HEADER} {key!r} was used before, for another request.")
            return Response(first.answer, status=first.status, headers={REPLAYED: "true"})
        response = handler(view, request, *args, **kwargs)
        FirstAnswer.objects.create(
            **owner,
            operation=operation,
            body_digest=digest,
            status=response.status_code,
            answer=_kept(response.data, getattr(view, "secret_fields", ())),
            created_at=timezone.now(),
        )
    return response


def _claim(owner: dict[str, Any]) -> bool:
    """Hold the key until the transaction ends; False when a twin holds it. Never waits."""
    name = "\n".join(str(value) for value in owner.values())
    number = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big", signed=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [number])
        row = cursor.fetchone()
    return bool(row and row[0])


def _kept(data: Any, secret_fields: tuple[str, ...]) -> Any:
    """The answer as it is kept: plain JSON, with what is shown once left out."""
    if data is None:
        return None
    plain = json.loads(JSONRenderer().render(data))
    if isinstance(plain, dict):
        for name in secret_fields:
            if name in plain:
                plain[name] = None
    return plain


def forget(*, before: datetime) -> int:
    """Drop kept answers made before an instant; how many."""
    dropped, _ = FirstAnswer.objects.filter(created_at__lt=before).delete()
    return dropped
