"""Whatever a source writes into its texts comes back as it was, and breaks nothing on the way through COPY."""

from __future__ import annotations

import json

import pytest

from finops.connectors.registry import reparse
from finops.connectors.types import Dimensions
from finops.core.tokens import MAX_COUNT, METERS
from finops.ingest.types import Status
from finops.ledger import selectors
from finops.ledger.services import fold_all
from tests.factories.ledger import Book, event, rows

TEXTS = {
    "tabs and ends of lines": "a\tb\nc\r\nd\re",
    "backslashes": "\\N \\. \\\\ \\t \\x41 \\",
    "the end of a COPY": "\\.",
    "quotes": "'; DROP TABLE ledger_charge; -- \" $$ %s %(x)s {0} ` ",
    "emoji": "👩‍👩‍👧‍👦🏳️‍🌈\U0010ffff",
    "right to left": "\u202eשלום עולם\u202c مرحبا",
    "marks on marks": "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢",
    "control characters": "".join(map(chr, [*range(1, 32), 127, 0x85, 0x2028, 0x2029, 0xFEFF])),
    "spaces alone": "   ",
    "null by name": "null",
    "as long as it may be": "𝕏" * 300,
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_every_text_comes_back_as_it_was(book: Book, text: str) -> None:
    hostile = event(
        text,
        provider=text,
        model=text,
        service_tier=text,
        region=text,
        host=text,
        provider_account=text,
        provider_request_id=text,
        session=text,
        task_type=text,
        dimensions=Dimensions(team=text, customer=text),
        identities=(("email", text),),
        tags=((text, text),),
    )
    assert book.take(hostile, event("usual")) == [Status.CHARGED] * 2
    assert book.take(hostile) == [Status.DUPLICATE]
    fold_all()
    ((charge_id,),) = rows("SELECT id FROM ledger_charge WHERE external_id = %s", text)
    row = selectors.charge(book.organization.id, charge_id)
    assert (row.external_id, row.session, row.provider_request_id, row.model_raw) == (text,) * 4
    assert dict(row.tags) == {text: text}
    for word in ("region", "host", "provider_account", "task_type"):
        (label,) = selectors.labels(book.organization.id, word, [row.dimensions[word]]).values()
        assert label == text
    origin = selectors.origin_of(book.organization.id, row.origin_id)
    assert origin["identities"] == [["email", text]]
    assert origin["dimensions"] == {"team": text, "customer": text}
    assert rows("SELECT session FROM ledger_session WHERE session = %s", text) == [(text,)]
    assert book.disagreements() == []


@pytest.mark.parametrize("field", ["id", "model", "session", "region", "tags", "provider_request_id"])
def test_a_nul_is_refused_at_the_door_with_its_field(field: str) -> None:
    record = {
        "id": "call-1",
        "occurred_at": "2026-10-14T09:30:00Z",
        "provider": "openai",
        "model": "gpt",
        "usage": {"input_uncached": 1},
        field: {"env": "a\0b"} if field == "tags" else "a\0b",
    }
    received = reparse("capstan", json.dumps(record).encode())
    assert received.event is None
    assert received.problem is not None
    assert received.problem.field.startswith(field)


def test_the_most_of_every_meter_is_counted(book: Book) -> None:
    most = (MAX_COUNT,) * len(METERS)
    assert book.take(event("most", counts=most), event("more", counts=(MAX_COUNT + 1, *most[1:]))) == [
        Status.CHARGED,
        Status.QUARANTINED,
    ]
    fold_all()
    assert rows("SELECT input_tokens, calls FROM ledger_daily") == [(7 * MAX_COUNT, MAX_COUNT)]
    assert book.disagreements() == []
