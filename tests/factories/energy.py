"""Figures of energy as an organization says them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from finops.energy import services
from finops.energy.models import GridMix, ModelEnergy
from tests.factories.orgs import HOUSE, NOON


def figure(organization_id: int, **given: Any) -> ModelEnergy:
    """Of `gpt`, 0.2 to 0.4 Wh of a thousand tokens."""
    usual: dict[str, Any] = {
        "provider": "", "model": "gpt", "lower": Decimal("0.2"), "upper": Decimal("0.4"), "source": "our meter",
        "by": HOUSE, "at": NOON,
    }  # fmt: skip
    return services.set_model_energy(organization_id=organization_id, **usual | given)


def grid(organization_id: int, **given: Any) -> GridMix:
    """Of France, as the method's data have it."""
    usual: dict[str, Any] = {
        "provider": "", "zone": "FRA", "lower": None, "upper": None, "source": "", "by": HOUSE, "at": NOON,
    }  # fmt: skip
    return services.set_grid(organization_id=organization_id, **usual | given)
