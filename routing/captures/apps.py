from __future__ import annotations

from django.apps import AppConfig


class CapturesConfig(AppConfig):
    name = "routing.captures"
    label = "captures"
    verbose_name = "Captures"
