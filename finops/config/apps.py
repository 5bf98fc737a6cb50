"""The config room: registers the checks of settings."""

from __future__ import annotations

from django.apps import AppConfig


class ConfigConfig(AppConfig):
    name = "finops.config"
    label = "config"

    def ready(self) -> None:
        from finops.config import checks  # noqa: F401 - importing it registers the checks
