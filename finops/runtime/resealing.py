"""Everything that is sealed, sealed anew under the present secret key, so that a former one can be forgotten.

Which fields those are their models say (`SEALED`: the field and what it is sealed for).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from django.apps import apps
from django.conf import settings
from django.db.models import Model

from finops.audit.services import record
from finops.core.actors import Actor
from finops.core.sealing import CannotOpen, Sealer

_PAGE: Final = 500
# The trail's organization for what belongs to none.
_NOBODY: Final = 0


class Field(NamedTuple):
    """A sealed field; `purpose` has a place for the organization where each seals for itself."""

    model: type[Model]
    name: str
    purpose: str

    def __str__(self) -> str:
        return f"{self.model._meta.label_lower}.{self.name}"


@dataclass
class Resealed:
    """Of one field: what was under the present secret already, what is now, and what no known secret opens."""

    present: int = 0
    anew: int = 0
    closed: int = 0


def fields() -> list[Field]:
    """Every sealed field there is, in the order of their names."""
    found = [
        Field(model, name, purpose)
        for model in apps.get_models()
        for name, purpose in getattr(model, "SEALED", {}).items()
    ]
    return sorted(found, key=str)


def reseal(*, write: bool, say: Callable[[Field, Resealed], None], by: Actor, at: datetime) -> dict[str, Resealed]:
    """Look at every sealed field, and with `write` seal anew what is under a former secret. `say` hears of each page.

    Stopped and begun again it passes over what is done. What somebody changes meanwhile is theirs, and sealed under the
    present secret by that.
    """
    done = {str(field): _field(field, write=write, say=say) for field in fields()}
    if write:
        changed = {name: one.anew for name, one in done.items() if one.anew}
        record(
            organization_id=_NOBODY, verb="house.resealed", subject_kind="house", subject_id="secrets",
            details=changed, by=by, at=at,
        )  # fmt: skip
    return done


def _field(field: Field, *, write: bool, say: Callable[[Field, Resealed], None]) -> Resealed:
    found = Resealed()
    secrets = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    for page in _pages(field):
        for key, organization_id, sealed in page:
            sealer = Sealer(secrets, purpose=field.purpose.format(organization_id))
            try:
                anew = sealer.again(sealed)
            except CannotOpen:
                found.closed += 1
                continue
            if anew is None:
                found.present += 1
                continue
            found.anew += 1
            if write:
                mine: Any = field.model._default_manager.filter(pk=key, **{field.name: sealed})
                mine.update(**{field.name: anew})
        say(field, found)
    return found


def _pages(field: Field) -> Iterator[list[tuple[Any, int, bytes]]]:
    """Rows that have something sealed, by their keys."""
    rows: Any = field.model._default_manager.exclude(**{field.name: b""}).order_by("pk")
    after: Any = None
    while True:
        some = rows if after is None else rows.filter(pk__gt=after)
        page = [
            (key, house, bytes(raw))
            for key, house, raw in some.values_list("pk", "organization_id", field.name)[:_PAGE]
        ]
        if page:
            yield page
        if len(page) < _PAGE:
            return
        after = page[-1][0]
