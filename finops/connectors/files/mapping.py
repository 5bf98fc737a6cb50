"""Which column of a file is which field of a record, and what every row has in common."""

from __future__ import annotations

import difflib
import zoneinfo
from collections.abc import Iterable, Mapping
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from finops.connectors.capstan.record import PATHS
from finops.connectors.capstan.usage import CONVENTION, COUNTED, INCLUSIVE, INCLUSIVE_TOKENS
from finops.core.errors import FinopsError
from finops.core.tokens import TOKEN_METERS

_TAGS: Final = "tags."
_CONVENTION: Final = f"usage.{CONVENTION}"


class MapInvalid(FinopsError):
    """The mapping itself is wrong; nothing was read."""

    code = "connectors.map_invalid"
    status = 422


class ColumnMissing(FinopsError):
    """The file lacks a column the mapping names; nothing was read."""

    code = "connectors.column_missing"
    status = 422


class FileMap(msgspec.Struct, frozen=True):
    """(target, column) and (target, value) pairs. A target is a path of our own record: `usage.output_text`.

    `zone` is where times that do not say their offset were written. Make one with `file_map`, which checks it.
    """

    columns: tuple[tuple[str, str], ...]
    constants: tuple[tuple[str, str], ...] = ()
    zone: str = "UTC"

    @property
    def info(self) -> ZoneInfo:
        return ZoneInfo(self.zone)

    def column_of(self, target: str) -> str:
        """'' where the target is not read from a column."""
        return next((column for path, column in self.columns if path == target), "")


def file_map(*, columns: Mapping[str, str], constants: Mapping[str, str] | None = None, zone: str = "UTC") -> FileMap:
    """A checked mapping; counts named as the inclusive convention names them are taken so. Raises MapInvalid."""
    given = dict(constants or {})
    for target in (*columns, *given):
        _check_target(target)
    both = sorted(set(columns) & set(given))
    if both:
        raise MapInvalid(f"{both[0]} is both a column and set for all rows; say one", field=both[0])
    empty = [target for target, column in columns.items() if not column]
    if empty:
        raise MapInvalid(f"{empty[0]} names no column", field=empty[0])
    targets = {*columns, *given}
    _check_enough(targets)
    named = {target.removeprefix("usage.") for target in targets if target.startswith("usage.")}
    inclusive = named & set(INCLUSIVE_TOKENS)
    if inclusive and named & set(TOKEN_METERS):
        first = min(inclusive)
        message = f"usage.{first} includes its parts and usage.{min(named & set(TOKEN_METERS))} does not; use one kind"
        raise MapInvalid(message, field=f"usage.{first}")
    if inclusive and _CONVENTION not in targets:
        given[_CONVENTION] = INCLUSIVE
    try:
        ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise MapInvalid(f"there is no time zone {zone!r}; say one like Europe/Vienna", field="timezone") from None
    return FileMap(tuple(columns.items()), tuple(given.items()), zone)


def check_columns(mapping: FileMap, available: Iterable[str]) -> None:
    """Raises ColumnMissing naming what is missing and what there is. `a.b` may be a field b inside a column a."""
    there = list(available)
    known = set(there)
    missing = [name for _, name in mapping.columns if name not in known and name.partition(".")[0] not in known]
    if not missing:
        return
    near = difflib.get_close_matches(missing[0], there, n=1, cutoff=0.6)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    shown = ", ".join(there[:40]) + (", …" if len(there) > 40 else "")
    names = ", ".join(repr(name) for name in missing)
    raise ColumnMissing(f"The file has no column {names}{hint} It has: {shown or 'no columns'}.", field=missing[0])


def _check_target(target: str) -> None:
    if target in PATHS or (target.startswith(_TAGS) and len(target) > len(_TAGS)):
        return
    near = difflib.get_close_matches(target, PATHS, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise MapInvalid(f"there is no field {target!r} to map to{hint}", field=target)


def _check_enough(targets: set[str]) -> None:
    if "occurred_at" not in targets:
        raise MapInvalid("occurred_at must be mapped: every charge has its time", field="occurred_at")
    counted = {*(f"usage.{name}" for name in (*TOKEN_METERS, *INCLUSIVE_TOKENS, *COUNTED)), "cost.amount"}
    if not targets & counted:
        raise MapInvalid("map at least one count (usage.…) or cost.amount", field="usage")
    if "cost.amount" in targets and "cost.currency" not in targets:
        raise MapInvalid("cost.amount needs cost.currency, mapped or set", field="cost.currency")
    if "model" not in targets and "category" not in targets:
        raise MapInvalid("model must be mapped, or set for all rows", field="model")
