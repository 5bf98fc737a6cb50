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


def many(
    received: Sequence[Received], outcomes: Sequence[Outcome], *, places: Sequence[int] = (), ignored: int | None = None
) -> Response:
    """The answer for a batch: always 200, with each record's outcome at its place, and how many of each. `places` are
    given where not every record of the body is usage, and then how many were none.
    """
    counted = Counter(outcome.status for outcome in outcomes)
    told = zip(places or range(len(received)), received, outcomes, strict=True)
    said: dict[str, Any] = {
        "counts": {status.value: counted[status] for status in Status},
        "outcomes": [_shown(*each) for each in told],
    }
    return Response(said if ignored is None else said | {"ignored": ignored})


def _shown(place: int, received: Received, outcome: Outcome) -> dict[str, Any]:
    said: dict[str, Any] = {
        "index": place,
        "id": outcome.external_id or received.external_id,
        "status": outcome.status.value,
    }
    if outcome.problem is not None:
        said |= outcome.problem._asdict()
    return said
