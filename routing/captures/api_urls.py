"""Addresses of this room's resources, below /api/v1/."""

from __future__ import annotations

from django.urls import path

from routing.captures import api

urlpatterns = [
    path("captures", api.Captures.as_view()),
    path("captures/settings", api.CapturingResource.as_view()),
    path("captures/delete", api.DeleteCaptures.as_view()),
    path("captures/<slug:call_id>", api.OneCapture.as_view()),
]
