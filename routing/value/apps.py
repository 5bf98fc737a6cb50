from __future__ import annotations

from django.apps import AppConfig


class ValueConfig(AppConfig):
    name = "routing.value"
    label = "value"
    verbose_name = "Value"
