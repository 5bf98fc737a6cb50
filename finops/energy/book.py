"""The method's data as they are kept beside this file: models, electricity mixes, and where providers run. Read once.

Where providers run is as EcoLogits says it (`ecologits/tracers/utils.py`, release 0.11.3), by our catalogue's names.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

from finops.energy.rules.estimating import Book
from finops.energy.rules.names import plain
from finops.energy.types import Architecture, Range, Site

DATA: Final = Path(__file__).parent / "data"
RELEASE: Final = "0.11.3"
_GRAMS: Final = 1_000.0
# Zone and PUE, by provider. Of anybody else it is not known.
_SITES: Final = {
    "anthropic": ("USA", Range(1.09, 1.14)),
    "cohere": ("USA", Range(1.09, 1.09)),
    "google": ("USA", Range(1.09, 1.09)),
    "huggingface": ("USA", Range(1.09, 1.14)),
    "mistral": ("SWE", Range(1.16, 1.16)),
    "openai": ("USA", Range(1.20, 1.20)),
}


@cache
def book() -> Book:
    zones = {row["zone"]: float(row["kg_co2e_per_kwh"]) * _GRAMS for row in _rows("mixes.csv")}
    models: dict[str, list[Architecture]] = {}
    for row in _rows("models.csv"):
        one = Architecture(
            active=Range(float(row["active_lower"]), float(row["active_upper"])),
            total=Range(float(row["total_lower"]), float(row["total_upper"])),
            tokens_per_s=float(row["tokens_per_s"]) if row["tokens_per_s"] else None,
            first_token_s=float(row["first_token_s"]) if row["first_token_s"] else None,
            released=row["released"] == "1",
        )
        same = models.setdefault(plain(row["name"]), [])
        if one not in same:
            same.append(one)
    sites = {name: Site(pue, Range(zones[zone], zones[zone]), zone) for name, (zone, pue) in _SITES.items()}
    return Book(RELEASE, {name: tuple(found) for name, found in models.items()}, sites, zones)


def _rows(name: str) -> Iterator[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)
