"""An organization's own figures: said, and taken back; audited. They hold for every period read from then on."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.db import transaction

from finops.audit import services as audit
from finops.core.actors import Actor
from finops.core.errors import Invalid
from finops.energy import selectors
from finops.energy.book import book
from finops.energy.models import MOST_GRAMS, MOST_WH, GridMix, ModelEnergy

# Of each kind: no organization has more models or providers.
MOST_FIGURES: Final = 2_000


class FigureInvalid(Invalid):
    """A figure that cannot be; `field` says where."""

    code = "energy.figure_invalid"


@transaction.atomic
def set_model_energy(
    *, organization_id: int, provider: str, model: str, lower: Decimal, upper: Decimal, source: str, by: Actor,
    at: datetime,
) -> ModelEnergy:  # fmt: skip
    """Watt-hours of a thousand tokens that the model writes; in place of what was said before. `provider` '' is whoever
    serves it. Raises FigureInvalid.
    """
    provider, model = provider.strip().lower(), model.strip().lower()
    if not model:
        raise FigureInvalid("a figure is of a model", field="model")
    if not source.strip():
        raise FigureInvalid("say who measured or published it", field="source")
    if lower <= 0:
        raise FigureInvalid("a model that writes needs more than nothing", field="lower")
    _check(lower, upper, MOST_WH)
    before = ModelEnergy.objects.select_for_update().filter(
        organization_id=organization_id, provider=provider, model=model
    )
    told = _told(before.first())
    if told is None:
        _room(ModelEnergy.objects.filter(organization_id=organization_id).count())
    row, _ = ModelEnergy.objects.update_or_create(
        organization_id=organization_id, provider=provider, model=model,
        defaults={"lower": lower, "upper": upper, "source": source.strip(), "changed_at": at},
    )  # fmt: skip
    _note(row, "energy.model_set", {"before": told, "after": _told(row)}, by, at)
    return row


@transaction.atomic
def remove_model_energy(*, organization_id: int, figure_id: int, by: Actor, at: datetime) -> None:
    """The method's figure holds again, where it has one. Raises NotFound."""
    row = selectors.model_figure(organization_id, figure_id)
    _note(row, "energy.model_removed", {"before": _told(row)}, by, at)
    row.delete()


@transaction.atomic
def set_grid(
    *, organization_id: int, provider: str, zone: str, lower: Decimal | None, upper: Decimal | None, source: str,
    by: Actor, at: datetime,
) -> GridMix:  # fmt: skip
    """Grams of CO2e of a kilowatt hour where a provider's models run. Without bounds they are those of the zone, a
    country by ISO 3166-1 alpha-3, as the method's data have it. Raises FigureInvalid.
    """
    provider, zone = provider.strip().lower(), zone.strip()
    if not zone:
        raise FigureInvalid("say where its models run", field="zone")
    if lower is None or upper is None:
        if lower is not upper:
            raise FigureInvalid("say both bounds or neither", field="upper" if upper is None else "lower")
        zone = zone.upper()
        if zone not in book().zones:
            raise FigureInvalid("nothing is known of this zone; say its grams of CO2e", field="zone")
        lower = upper = Decimal(repr(book().zones[zone]))
        source = source.strip() or f"EcoLogits {book().release}"
    if not source.strip():
        raise FigureInvalid("say who measured or published it", field="source")
    _check(lower, upper, MOST_GRAMS)
    before = _told(
        GridMix.objects.select_for_update().filter(organization_id=organization_id, provider=provider).first()
    )
    if before is None:
        _room(GridMix.objects.filter(organization_id=organization_id).count())
    row, _ = GridMix.objects.update_or_create(
        organization_id=organization_id, provider=provider,
        defaults={"zone": zone, "lower": lower, "upper": upper, "source": source.strip(), "changed_at": at},
    )  # fmt: skip
    _note(row, "energy.grid_set", {"before": before, "after": _told(row)}, by, at)
    return row


@transaction.atomic
def remove_grid(*, organization_id: int, figure_id: int, by: Actor, at: datetime) -> None:
    """Raises NotFound."""
    row = selectors.grid_figure(organization_id, figure_id)
    _note(row, "energy.grid_removed", {"before": _told(row)}, by, at)
    row.delete()


def _room(number: int) -> None:
    if number >= MOST_FIGURES:
        raise FigureInvalid(f"there are {MOST_FIGURES:,} figures already; remove one first")


def _check(lower: Decimal, upper: Decimal, most: int) -> None:
    if lower < 0:
        raise FigureInvalid("less than nothing cannot be", field="lower")
    if upper < lower:
        raise FigureInvalid("the upper bound is below the lower one", field="upper")
    if upper > most:
        raise FigureInvalid(f"more than {most:,} cannot be", field="upper")


def _told(row: ModelEnergy | GridMix | None) -> dict[str, Any] | None:
    if row is None:
        return None
    said: dict[str, Any] = {"lower": str(row.lower), "upper": str(row.upper), "source": row.source}
    return said | ({"zone": row.zone} if isinstance(row, GridMix) else {})


def _note(row: ModelEnergy | GridMix, verb: str, details: dict[str, Any], by: Actor, at: datetime) -> None:
    audit.record(
        organization_id=row.organization_id, verb=verb,
        subject_kind="model_energy" if isinstance(row, ModelEnergy) else "grid_mix",
        subject_id=row.id, subject_label=str(row), details=details, by=by, at=at,
    )  # fmt: skip
