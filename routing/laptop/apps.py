"""The gateway alone, with one file of configuration; it has no tables."""

from __future__ import annotations

from django.apps import AppConfig


class LaptopConfig(AppConfig):
    name = "routing.laptop"
    label = "laptop"
