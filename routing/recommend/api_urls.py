"""Addresses of this room's resources, below /api/v1/."""

from __future__ import annotations

from django.urls import path

from finops.api.converters import register
from routing.recommend.api import resources

register()

urlpatterns = [
    path("recommendations", resources.Recommendations.as_view()),
    path("recommendations/recompute", resources.RecomputeRecommendations.as_view()),
    path("recommendations/<id:recommendation_id>", resources.OneRecommendation.as_view()),
    path("recommendations/<id:recommendation_id>/evidence", resources.EvidenceOfRecommendation.as_view()),
    path("recommendations/<id:recommendation_id>/apply", resources.ApplyRecommendation.as_view()),
    path("recommendations/<id:recommendation_id>/dismiss", resources.DismissRecommendation.as_view()),
]
