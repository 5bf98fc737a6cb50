from __future__ import annotations

from django.apps import AppConfig


class ReconciliationConfig(AppConfig):
    name = "finops.reconciliation"
    label = "reconciliation"
