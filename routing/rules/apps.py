from __future__ import annotations

from django.apps import AppConfig


class RulesConfig(AppConfig):
    name = "routing.rules"
    label = "rules"
    verbose_name = "Routing rules"
