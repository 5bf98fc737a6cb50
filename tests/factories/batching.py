"""Batches to tell stories with: uploaded and made through a gateway, run by a scripted upstream, followed by nobody but
the test.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, Final

from django.utils import timezone

from finops.core.money import to_pico
from routing.batches.services import follow
from tests.factories.gateway import Gateway
from tests.factories.ledger import AT, rows
from tests.factories.pricing import fields, provider, seed
from tests.factories.relaying import Exchange
from tests.factories.small_book import BATCH_BOOK, SMALL_BOOK
from tests.fakes.upstream.running import Upstream

CHAT: Final = "/v1/chat/completions"
_BOUNDARY: Final = "a-form-of-tests"
FORM: Final = f"multipart/form-data; boundary={_BOUNDARY}"


def batch_book() -> None:
    """The small book, in which a batch costs half."""
    one = provider("openai", SMALL_BOOK["openai"])
    for model in one.models:
        model.price_variants = [
            SimpleNamespace(when={"processing": "batch"}, constraint=None, prices=fields(BATCH_BOOK[model.id]))
        ]
    seed([one, provider("anthropic", SMALL_BOOK["anthropic"])], at=AT - timedelta(days=99), version="batches")


def line(custom_id: str, *, url: str = CHAT, **body: Any) -> dict[str, Any]:
    usual: dict[str, Any] = {"model": "gpt", "messages": [{"role": "user", "content": "Hello"}]}
    return {"custom_id": custom_id, "method": "POST", "url": url, "body": usual | body}


def form(content: bytes, *, purpose: str = "batch", **more: str) -> bytes:
    texts = {"purpose": purpose, **more}
    parts = [f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in texts.items()]
    head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="mine.jsonl"\r\n\r\n'
    return "".join([*parts, head]).encode() + content + f"\r\n--{_BOUNDARY}--\r\n".encode()


def content_of(*lines: Any) -> bytes:
    """As they are where they are bytes, else as JSON."""
    return b"\n".join(one if isinstance(one, bytes) else json.dumps(one).encode() for one in lines)


def upload(
    gateway: Gateway, secret: str, *lines: Any, headers: Mapping[str, str] | None = None, **given: Any
) -> Exchange:
    told = {"authorization": f"Bearer {secret}", "content-type": FORM, **dict(headers or {})}
    return Exchange(gateway, "/v1/files", form(content_of(*lines), **given), told).whole()


def asked(gateway: Gateway, secret: str, path: str, body: Any = None, *, method: str = "", **headers: str) -> Exchange:
    told = {"authorization": f"Bearer {secret}", "content-type": "application/json", **headers}
    raw = b"" if body is None else json.dumps(body).encode()
    return Exchange(gateway, path, raw, told, method or ("GET" if body is None else "POST")).whole()


def create(
    gateway: Gateway, secret: str, file_id: str, *, endpoint: str = CHAT, headers: Mapping[str, str] | None = None,
    **given: Any,
) -> Exchange:  # fmt: skip
    body = {"input_file_id": file_id, "endpoint": endpoint, "completion_window": "24h", **given}
    return asked(gateway, secret, "/v1/batches", body, **dict(headers or {}))


def made(gateway: Gateway, secret: str, *lines: Any, **given: Any) -> dict[str, Any]:
    """A batch, as the upstream says it."""
    uploaded = upload(gateway, secret, *lines)
    assert uploaded.status == 200, uploaded.raw
    said = create(gateway, secret, uploaded.body["id"], **given)
    assert said.status == 200, said.raw
    found: dict[str, Any] = said.body
    return found


def followed(after: timedelta = timedelta(minutes=6)) -> int:
    """Looked at, so much later."""
    return follow(lambda: timezone.now() + after)


def states() -> list[str]:
    return [state for (state,) in rows("SELECT state FROM batches_batch ORDER BY id")]


def charged() -> Counter[tuple[str, int]]:
    """What is in the books: the provider's id of each answer, and its picodollars."""
    return Counter(
        (answer_id, to_pico(cost))
        for answer_id, cost in rows("SELECT provider_request_id, effective_cost FROM ledger_charge")
    )


def billed(upstream: Upstream) -> Counter[tuple[str, int]]:
    """The upstream's own bill. Embeddings have no id of their own."""
    return Counter(
        ("" if line.path.endswith("embeddings") else line.answer_id, line.pico or 0) for line in upstream.bill.lines
    )


def held() -> list[tuple[str, str]]:
    """What is in quarantine: its id, and why."""
    return rows("SELECT external_id, code FROM ingest_quarantinedrecord ORDER BY id")
