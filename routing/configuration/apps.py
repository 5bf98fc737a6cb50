from __future__ import annotations

from django.apps import AppConfig


class ConfigurationConfig(AppConfig):
    name = "routing.configuration"
    label = "configuration"
    verbose_name = "Gateways' configuration"
