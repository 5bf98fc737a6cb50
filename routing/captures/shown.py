"""A capture as JSON can have it."""

from __future__ import annotations

import base64
from typing import Any

from msgspec.structs import asdict

from routing.captures.services import Opened


def shown(opened: Opened) -> dict[str, Any]:
    told = asdict(opened.exchange)
    told["answer_whole"] = told.pop("whole")
    return told | {name: _body(told[name]) for name in ("body", "answer")} | {"expires_at": opened.row.expires_at}


def _body(raw: bytes) -> dict[str, str]:
    try:
        return {"encoding": "utf-8", "text": raw.decode()}
    except UnicodeDecodeError:
        return {"encoding": "base64", "text": base64.b64encode(raw).decode()}
