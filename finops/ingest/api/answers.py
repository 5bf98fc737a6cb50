"""What became of records, as the doors answer it: one as 200, 409 or 422, many as 200 with an outcome for each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from finops.api.problems import MEDIA_TYPE, problem
from finops.api.requests import request_id
from finops.ingest.types import Outcome, Received, Status

_KEPT = "It is kept in quarantine and can be replayed."


def one(request: Request, received: Received, outcome: Outcome, *, quiet: bool) -> Response:
    """The answer for a request of one record; `quiet` answers success with 204, as OpenMeter does."""
    name = outcome.external_id or received.external_id
    wrong = outcome.problem
    if outcome.status in {Status.CONFLICT, Status.QUARANTINED}:
        conflict = outcome.status is Status.CONFLICT
        said = f"{wrong.message.rstrip('.')}." if wrong else "It cannot be booked."
        body = problem(
            status=409 if conflict else 422,
            code=wrong.code if wrong else "ingest.unreadable",
            detail=said if conflict else f"{said} {_KEPT}",
            instance=request_id(request),
            field=wrong.field if wrong else None,
        )
        return Response(body, status=body["status"], content_type=MEDIA_TYPE)
    if quiet:
        return Response(status=204)
    return Response({"id": name, "outcome": outcome.status.value})


def many(received: Sequence[Received], outcomes: Sequence[Outcome]) -> Response:
    """The answer for a batch: always 200, with each record's outcome at its place, and how many of each."""
    counted = Counter(outcome.status for outcome in outcomes)
    shown = [_shown(place, *pair) for place, pair in enumerate(zip(received, outcomes, strict=True))]
    return Response({"counts": {status.value: counted[status] for status in Status}, "outcomes": shown})


def _shown(place: int, received: Received, outcome: Outcome) -> dict[str, Any]:
    said: dict[str, Any] = {
        "index": place,
        "id": outcome.external_id or received.external_id,
        "status": outcome.status.value,
    }
    if outcome.problem is not None:
        said |= outcome.problem._asdict()
    return said
