"""The runtime room: it has no tables, only the command `up`."""

from __future__ import annotations

from django.apps import AppConfig


class RuntimeConfig(AppConfig):
    name = "finops.runtime"
    label = "runtime"
