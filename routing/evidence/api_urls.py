"""Addresses of this room's resources, below /api/v1/."""

from __future__ import annotations

from django.urls import path

from finops.api.converters import register
from routing.evidence.api import resources

register()

urlpatterns = [
    path("evaluations", resources.Evaluations.as_view()),
    path("evaluations/<id:evaluation_id>", resources.OneEvaluation.as_view()),
    path("evaluations/<id:evaluation_id>/outcomes", resources.OutcomesOfEvaluation.as_view()),
    path("evaluations/<id:evaluation_id>/withdraw", resources.WithdrawEvaluation.as_view()),
    path("outcomes", resources.Outcomes.as_view()),
    path("evidence", resources.EvidenceOfTypes.as_view()),
    path("evidence/<path:evidence_type>", resources.EvidenceOfType.as_view()),
]
