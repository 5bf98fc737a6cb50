from __future__ import annotations

from django.apps import AppConfig


class MonthsConfig(AppConfig):
    name = "finops.months"
    label = "months"
