"""What every write of this room checks: names, slugs, and that what it names is of the same organization."""

from __future__ import annotations

import re
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.utils.text import slugify

from finops.core.errors import FinopsError, Invalid, NotFound
from finops.orgs.models import Agent, Customer, Owned, Person, Project, Team

Slugged = Team | Person | Project | Agent | Customer
_SLUG: Final = re.compile(r"[a-z0-9_-]+")


class SlugTaken(FinopsError):
    code = "orgs.slug_taken"
    status = 409


class NameInvalid(Invalid):
    code = "orgs.name_invalid"


class SlugInvalid(Invalid):
    code = "orgs.slug_invalid"


class PersonErased(FinopsError):
    """Nobody gives an erased person a name again."""

    code = "orgs.person_erased"
    status = 409


class OwnerUnknown(Invalid):
    """A team, person, project … that the write names is not one of this organization, or is archived."""

    code = "orgs.owner_unknown"


def clean_name(raw: str, *, field: str = "name", most: int = 200) -> str:
    """Raises NameInvalid when nothing readable is left, it is too long, or it holds control characters."""
    name = " ".join(raw.split())
    if not name or len(name) > most or not name.isprintable():
        raise NameInvalid(f"{field} has 1 to {most} printable characters", field=field)
    return name


def clean_slug(raw: str, *, most: int = 80) -> str:
    """Raises SlugInvalid. A slug of digits alone would be mistaken for an id."""
    slug = raw.strip().lower()
    if not _SLUG.fullmatch(slug) or len(slug) > most or slug.isdigit():
        raise SlugInvalid(f"a slug has 1 to {most} of a-z, 0-9, _ and -, and is not digits alone", field="slug")
    return slug


def free_slug(model: type[Slugged], organization_id: int, name: str, *, kind: str) -> str:
    """A slug made of a name: `search`, and `search-2` when that is taken."""
    base = slugify(name)[:70] or kind
    if base.isdigit():
        base = f"{kind}-{base}"
    taken = set(
        model._default_manager.filter(organization_id=organization_id, slug__startswith=base).values_list(
            "slug", flat=True
        )
    )
    slug, number = base, 1
    while slug in taken:
        number += 1
        slug = f"{base}-{number}"
    return slug


def save_new(row: Slugged, *, slug: str) -> None:
    """Insert a row whose slug may have been taken a moment ago. Raises SlugTaken, and leaves the transaction usable."""
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError as error:
        if "slug_once" in str(error):
            raise SlugTaken(f"The slug {slug!r} is taken.", field="slug") from None
        raise


def active(model: type[Owned], organization_id: int, row_id: int | None, *, field: str) -> int | None:
    """`row_id`, when it is an active row of the organization; None stays None. Raises OwnerUnknown."""
    if row_id is None:
        return None
    rows: Any = model._default_manager
    if not rows.filter(organization_id=organization_id, id=row_id, archived_at__isnull=True).exists():
        raise OwnerUnknown(f"{field} names no active row of this organization", field=field)
    return row_id


def locked(model: type[Any], organization_id: int, row_id: int, kind: str) -> Any:
    """The row, locked until the transaction ends. Raises NotFound."""
    row = model._default_manager.select_for_update().filter(organization_id=organization_id, id=row_id).first()
    if row is None:
        raise NotFound(f"There is no such {kind}.")
    return row
