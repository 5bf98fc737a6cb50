from __future__ import annotations

from django.apps import AppConfig


class UpstreamsConfig(AppConfig):
    name = "routing.upstreams"
    label = "upstreams"
    verbose_name = "Upstreams"
