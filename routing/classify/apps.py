from __future__ import annotations

from django.apps import AppConfig


class ClassifyConfig(AppConfig):
    name = "routing.classify"
    label = "classify"
    verbose_name = "Classify"
