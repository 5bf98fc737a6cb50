"""The config room: registers the checks of settings, and makes the Celery application this process's."""

from __future__ import annotations

from django.apps import AppConfig


class ConfigConfig(AppConfig):
    name = "finops.config"
    label = "config"

    def ready(self) -> None:
        # Importing registers the checks; and without Celery's application a web process would send its tasks nowhere.
        from finops.config import celery, checks  # noqa: F401
