from __future__ import annotations

from django.apps import AppConfig


class EvidenceConfig(AppConfig):
    name = "routing.evidence"
    label = "evidence"
    verbose_name = "Evidence"
