"""Captures to tell stories with: switched on, and calls that were captured without a gateway."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.conf import settings

from routing.captures.hot import Exchange, seal, sealer
from routing.captures.models import Capture
from routing.captures.services import set_capturing
from routing.captures.types import Capturing
from tests.factories.orgs import HOUSE

PROMPT: Final = "The merger is on Friday, 7f3a"
ANSWER: Final = "Nobody here knows of a merger"


def capturing(organization_id: int, *, at: datetime, **given: Any) -> Capturing:
    """Every call is captured, unless told otherwise."""
    usual: dict[str, Any] = {"is_on": True, "share": Decimal(100)}
    said = Capturing(**usual | given)
    return set_capturing(organization_id=organization_id, said=said, by=HOUSE, at=at)


def exchange(call_id: str, *, at: datetime, **given: Any) -> Exchange:
    usual: dict[str, Any] = {
        "call_id": call_id,
        "at": at,
        "dialect": "openai.chat",
        "path": "/v1/chat/completions",
        "query": "",
        "headers": {"content-type": "application/json"},
        "model": "gpt",
        "body": f'{{"model": "gpt", "messages": [{{"role": "user", "content": "{PROMPT}"}}]}}'.encode(),
        "status": 200,
        "code": "",
        "answer_type": "application/json",
        "answer": f'{{"choices": [{{"message": {{"content": "{ANSWER}"}}}}]}}'.encode(),
        "whole": True,
        "stream": False,
        "upstream": "openai",
        "provider": "openai",
        "upstream_model": "gpt",
        "tries": 1,
        "first_byte_s": 0.2,
        "took_s": 1.5,
        "task_type": "",
        "session": "",
        "owners": {},
        "tokens": {"input_uncached": 10, "output_text": 5},
        "cost": "0.000150000000",
        "currency": "USD",
        "charge": f"cap_12345678:{call_id}.1",
    }
    return Exchange(**usual | given)


def captured(
    organization_id: int, call_id: str, *, at: datetime, days: int = 7, secret: str = "", **given: Any
) -> Capture:
    said = exchange(call_id, at=at, **given)
    return Capture.objects.create(
        organization_id=organization_id,
        call_id=call_id,
        at=at,
        expires_at=at + timedelta(days=days),
        dialect=said.dialect,
        model=said.model,
        task_type=said.task_type,
        project_id=said.owners.get("project", 0),
        status=said.status,
        stream=said.stream,
        request_bytes=len(said.body),
        answer_bytes=len(said.answer),
        sealed=seal(sealer([secret or settings.SECRET_KEY], organization_id), said),
    )
