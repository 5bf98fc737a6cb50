"""What the database itself refuses of batches, whoever writes them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from routing.batches.models import Batch, BatchFile
from tests.factories.orgs import Cast
from tests.factories.upstreams import upstream

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def _batch(organization_id: int, upstream_id: int, **given: Any) -> Batch:
    usual: dict[str, Any] = {
        "call_id": "call-1",
        "state": "pending",
        "endpoint": "/v1/responses",
        "input_file_id": "file-1",
        "key_prefix": "cap_x",
        "event": b"",
        "created_at": NOON,
        "look_at": NOON,
    }
    return Batch.objects.create(organization_id=organization_id, upstream_id=upstream_id, **usual | given)


@pytest.mark.parametrize(
    ("given", "constraint"),
    [
        ({"state": "gone", "batch_id": "batch_1"}, "batch_state"),
        ({"state": "open"}, "batch_known_by_its_id"),
        ({"state": "ended", "batch_id": "batch_1"}, "batch_ended"),
        ({"state": "booked", "batch_id": "batch_1", "ended_at": NOON}, "batch_booked"),
        ({"booked_at": NOON}, "batch_booked"),
    ],
)
def test_a_batch_is_where_its_row_says(cast: Cast, given: dict[str, Any], constraint: str) -> None:
    row = upstream(cast.acme.id, at=NOON)
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        _batch(cast.acme.id, row.id, **given)
    _batch(cast.acme.id, row.id)
    with pytest.raises(IntegrityError, match="call_id"), transaction.atomic():
        _batch(cast.acme.id, row.id)


def test_a_provider_batch_is_one_batch(cast: Cast) -> None:
    row = upstream(cast.acme.id, at=NOON)
    _batch(cast.acme.id, row.id, state="open", batch_id="batch_1")
    _batch(cast.acme.id, row.id, call_id="call-2")
    with pytest.raises(IntegrityError, match="batch_once"), transaction.atomic():
        _batch(cast.acme.id, row.id, call_id="call-3", state="open", batch_id="batch_1")


def test_a_batch_and_a_file_are_at_an_upstream_of_their_organization(cast: Cast) -> None:
    row = upstream(cast.globex.id, at=NOON)
    with pytest.raises(IntegrityError, match="batch_same_organization"), transaction.atomic():
        _batch(cast.acme.id, row.id)
    file = BatchFile(
        organization_id=cast.acme.id, upstream_id=row.id, file_id="file-1", endpoint="/v1/responses",
        model_names=["gpt"], requests=1, key_prefix="cap_x", created_at=NOON,
    )  # fmt: skip
    with pytest.raises(IntegrityError, match="batchfile_same_organization"), transaction.atomic():
        file.save()
