"""Addresses of the sources' resources, below /api/v1/."""

from __future__ import annotations

from django.urls import path

from finops.sources import api

urlpatterns = [
    path("sources", api.Sources.as_view()),
    path("sources/<slug:source>", api.OneSource.as_view()),
    path("sources/<slug:source>/archive", api.ArchiveSource.as_view()),
    path("sources/<slug:source>/pause", api.PauseSource.as_view()),
    path("sources/<slug:source>/resume", api.ResumeSource.as_view()),
    path("sources/<slug:source>/access", api.AccessOfSource.as_view()),
    path("sources/<slug:source>/access/remove", api.RemoveAccessOfSource.as_view()),
]
