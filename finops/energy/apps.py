from __future__ import annotations

from django.apps import AppConfig


class EnergyConfig(AppConfig):
    name = "finops.energy"
    label = "energy"
    verbose_name = "Energy"
