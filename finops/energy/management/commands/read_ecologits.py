"""`manage.py read_ecologits <folder>`: bring this room's data to another release of EcoLogits, for who maintains it.

The folder is `ecologits/data` of the package, unpacked. `book.RELEASE` is then changed by hand, and what is recorded in
`tests/unit/energy` made anew: formulas may have changed with the data.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser

from finops.energy.book import DATA

_MODELS: Final = (
    "provider", "name", "active_lower", "active_upper", "total_lower", "total_upper", "tokens_per_s", "first_token_s",
    "released",
)  # fmt: skip
_UNRELEASED: Final = "model-arch-not-released"


class Command(BaseCommand):
    help = "Read models and electricity mixes of a release of EcoLogits."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path)

    def handle(self, *, folder: Path, **_: Any) -> None:
        try:
            said = json.loads((folder / "models.json").read_text(encoding="utf-8"))
            mixes = json.loads((folder / "electricity_mixes.json").read_text(encoding="utf-8"))["electricity_mixes"]
            models = models_of(said)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CommandError(f"This is no data of EcoLogits that is understood: {error!r}") from error
        _write("models.csv", _MODELS, models)
        _write("mixes.csv", ("zone", "kg_co2e_per_kwh"), [[one["name"], one["gwp"]] for one in mixes])
        self.stdout.write(f"{len(models)} models, {len(mixes)} mixes.")


def models_of(said: dict[str, Any]) -> list[list[Any]]:
    """Rows of `models.csv`; a model that goes by another name is there under both."""
    rows = {(one["provider"], one["name"]): _row(one) for one in said["models"]}
    for one in said["aliases"]:
        meant = rows[one["provider"], one["alias"]]
        rows.setdefault((one["provider"], one["name"]), [one["provider"], one["name"], *meant[2:]])
    return [rows[key] for key in sorted(rows)]


def _row(one: dict[str, Any]) -> list[Any]:
    parameters, deployment = one["architecture"]["parameters"], one.get("deployment") or {}
    whole = isinstance(parameters, dict) and "active" in parameters
    active, total = (parameters["active"], parameters["total"]) if whole else (parameters, parameters)
    speed = [deployment.get(name) or "" for name in ("tps", "ttft")]
    released = int(_UNRELEASED not in (one.get("warnings") or ()))
    return [one["provider"], one["name"], *_bounds(active), *_bounds(total), *speed, released]


def _bounds(said: Any) -> tuple[Any, Any]:
    return (said["min"], said["max"]) if isinstance(said, dict) else (said, said)


def _write(name: str, heads: tuple[str, ...], rows: list[list[Any]]) -> None:
    with (DATA / name).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(heads)
        writer.writerows(rows)
