"""CloudEvents as their own SDK writes them. Its arguments name a type of event, its input is `[{"attributes": …,
"data": …}, …]`; it prints for each the body of structured mode, and the headers and the body of binary mode. Runs in
`.venv-clients`.
"""

from __future__ import annotations

import importlib
import json
import sys
from datetime import datetime
from typing import Any

from cloudevents.core.bindings.http import from_structured_event, to_binary_event, to_structured_event


def written(kind: Any, attributes: dict[str, Any], data: Any) -> dict[str, Any]:
    event = kind(attributes | {"time": datetime.fromisoformat(attributes["time"])}, data)
    structured, binary = to_structured_event(event), to_binary_event(event)
    # What it writes it reads: its time is a time, its data an object.
    assert from_structured_event(structured).get_attributes() == event.get_attributes()
    return {
        "structured": structured.body.decode(),
        "type": structured.headers["content-type"],
        "headers": binary.headers,
        "body": binary.body.decode(),
    }


if __name__ == "__main__":
    found = getattr(importlib.import_module(sys.argv[1]), sys.argv[2])
    json.dump([written(found, **one) for one in json.load(sys.stdin)], sys.stdout)
