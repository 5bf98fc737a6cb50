from __future__ import annotations

from django.apps import AppConfig


class StatementsConfig(AppConfig):
    name = "finops.statements"
    label = "statements"
