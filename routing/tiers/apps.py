from __future__ import annotations

from django.apps import AppConfig


class TiersConfig(AppConfig):
    name = "routing.tiers"
    label = "tiers"
    verbose_name = "Tiers"
