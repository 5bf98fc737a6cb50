"""Bodies through the types of the providers' own SDKs: `models.py '[[module, name, body], …]'` prints what those make
of them, as a list. Runs in `.venv-clients`.
"""

from __future__ import annotations

import importlib
import json
import sys


def main(asked: str) -> None:
    made = []
    for module, name, body in json.loads(asked):
        model = getattr(importlib.import_module(module), name)
        made.append(model.model_validate(body).model_dump(mode="json"))
    json.dump(made, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
