"""Bodies composed after providers' documentation. They lie beside the checkout and are no part of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pytest

_CHECKOUT: Final = Path(__file__).resolve().parents[2]
FOLDER: Final = Path(os.environ.get("CAPSTAN_EXAMPLES") or _CHECKOUT.parent / "shared" / "reference" / "examples")


def example(name: str) -> bytes:
    """Without it the test is skipped; `make test` says so in its last line."""
    path = FOLDER / f"{name}.json"
    if not path.is_file():
        pytest.skip(f"needs {name}.json: set CAPSTAN_EXAMPLES to the folder that has it")
    return path.read_bytes()
