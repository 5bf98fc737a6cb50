"""Addresses of this room's resources, below /api/v1/."""

from __future__ import annotations

from django.urls import path

from routing.bills import api

urlpatterns = [
    path("tiers", api.Tiers.as_view()),
    path("what-if", api.WhatIf.as_view()),
]
