"""What every write of this room checks, and the lock that makes one organization's writes one after the other."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db import connection, models

from finops.attribution.selectors import OWNERS
from finops.attribution.types import DIMENSIONS
from finops.core.errors import FinopsError, Invalid


class OwnerUnknown(Invalid):
    """A team, person, project … that the write names is not one of this organization."""

    code = "attribution.owner_unknown"


class NameInvalid(Invalid):
    code = "attribution.name_invalid"


class PeriodInvalid(Invalid):
    code = "attribution.period_invalid"


class Retired(FinopsError):
    """The rule was retired; make a new one."""

    code = "attribution.retired"
    status = 409


class Changed(FinopsError):
    """Somebody else changed the rule since it was read."""

    code = "attribution.changed"
    status = 409


def one_at_a_time(organization_id: int) -> None:
    """Waits for the organization's other writers of rules and slots, and holds them off until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('attribution'), %s)", [organization_id])


def clean_name(raw: str) -> str:
    """Raises NameInvalid when nothing readable is left, it is too long, or it holds control characters."""
    name = " ".join(raw.split())
    if not name or len(name) > 200 or not name.isprintable():
        raise NameInvalid("name has 1 to 200 printable characters", field="name")
    return name


def check_period(start: Any, end: Any, *, fields: tuple[str, str]) -> None:
    """Raises PeriodInvalid when the period ends before it starts, or an instant has no time zone."""
    for value, field in zip((start, end), fields, strict=True):
        if isinstance(value, datetime) and value.tzinfo is None:
            raise PeriodInvalid("an instant needs a time zone", field=field)
    if start is not None and end is not None and end <= start:
        raise PeriodInvalid(f"{fields[1]} is after {fields[0]}", field=fields[1])


def check_owners(organization_id: int, dimension: str, ids: Iterable[int], *, field: str) -> None:
    """Raises OwnerUnknown unless every id is one of the organization's. Archived ones may own past calls."""
    check_rows(OWNERS[DIMENSIONS.index(dimension)], organization_id, dimension, ids, field=field)


def check_rows(model: type[models.Model], organization_id: int, kind: str, ids: Iterable[int], *, field: str) -> None:
    """The same for any table with an organization."""
    wanted = set(ids)
    # Beyond 32 bits the database would refuse the question itself.
    asked = [row for row in wanted if 0 < row < 2**31]
    found = model._default_manager.filter(organization_id=organization_id, id__in=asked).values_list("id", flat=True)
    unknown = sorted(wanted - set(found))
    if unknown:
        raise OwnerUnknown(f"there is no {kind} {unknown[0]} in this organization", field=field)
