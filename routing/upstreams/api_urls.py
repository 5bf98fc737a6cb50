"""Addresses of this room's resources, below /api/v1/."""

from __future__ import annotations

from django.urls import path

from finops.api.converters import register
from routing.upstreams import api

register()

urlpatterns = [
    path("upstreams", api.Upstreams.as_view()),
    path("upstreams/presets", api.Presets.as_view()),
    path("upstreams/wishes", api.Wishes.as_view()),
    path("upstreams/wishes/<id:key_id>", api.WishesOfKey.as_view()),
    path("upstreams/<id:upstream_id>", api.OneUpstream.as_view()),
    path("upstreams/<id:upstream_id>/credential", api.CredentialOfUpstream.as_view()),
    path("upstreams/<id:upstream_id>/archive", api.ArchiveUpstream.as_view()),
    path("upstreams/<id:upstream_id>/restore", api.RestoreUpstream.as_view()),
    path("upstreams/<id:upstream_id>/deployments", api.Deployments.as_view()),
    path("upstreams/<id:upstream_id>/deployments/<id:deployment_id>/remove", api.RemoveDeployment.as_view()),
]
