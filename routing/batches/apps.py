from __future__ import annotations

from django.apps import AppConfig


class BatchesConfig(AppConfig):
    name = "routing.batches"
    label = "batches"
    verbose_name = "Batches"
