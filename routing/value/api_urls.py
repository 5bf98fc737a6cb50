"""Addresses of this room's resources, below /api/v1/."""

from __future__ import annotations

from django.urls import path

from routing.value import api

urlpatterns = [path("value", api.Value.as_view())]
