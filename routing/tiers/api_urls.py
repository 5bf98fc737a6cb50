"""Addresses of this room's resources, below /api/v1/."""

from __future__ import annotations

from django.urls import path

from finops.api.converters import register
from routing.tiers import api

register()

urlpatterns = [
    path("model-tiers", api.ModelTiers.as_view()),
    path("model-tiers/known", api.KnownModel.as_view()),
    path("model-tiers/<id:model_tier_id>", api.OneModelTier.as_view()),
]
