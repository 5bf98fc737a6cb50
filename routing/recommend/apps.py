from __future__ import annotations

from django.apps import AppConfig


class RecommendConfig(AppConfig):
    name = "routing.recommend"
    label = "recommend"
    verbose_name = "Recommendations"
