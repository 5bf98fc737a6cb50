from __future__ import annotations

from django.apps import AppConfig


class ProspectsConfig(AppConfig):
    name = "routing.prospects"
    label = "prospects"
    verbose_name = "Prospects"
