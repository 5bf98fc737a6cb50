"""Addresses of this room's resources, below /api/v1/."""

from __future__ import annotations

from django.urls import path

from finops.months import api

urlpatterns = [
    path("months", api.Months.as_view()),
    path("months/<str:month>", api.OneMonth.as_view()),
    path("months/<str:month>/close", api.CloseMonth.as_view()),
    path("months/<str:month>/reopen", api.ReopenMonth.as_view()),
    path("months/<str:month>/statement", api.StatementOfMonth.as_view()),
]
