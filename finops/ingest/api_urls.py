"""Addresses of the doors and of quarantine, below /api/v1/."""

from __future__ import annotations

from django.urls import path

from finops.api.converters import register
from finops.ingest.api import doors, quarantine

register()

urlpatterns = [
    path("usage", doors.Usage.as_view()),
    path("events", doors.Events.as_view()),
    path("quarantine", quarantine.Quarantine.as_view()),
    path("quarantine/replay", quarantine.ReplayAll.as_view()),
    path("quarantine/<id:record_id>", quarantine.OneQuarantined.as_view()),
    path("quarantine/<id:record_id>/replay", quarantine.ReplayOne.as_view()),
    path("quarantine/<id:record_id>/discard", quarantine.DiscardOne.as_view()),
]
