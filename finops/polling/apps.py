from __future__ import annotations

from django.apps import AppConfig


class PollingConfig(AppConfig):
    name = "finops.polling"
    label = "polling"
    verbose_name = "Polling"
