"""Addresses of this room's resources, below /api/v1/."""

from __future__ import annotations

from django.urls import path

from finops.api.converters import register
from routing.experiments.api import resources

register()

urlpatterns = [
    path("experiments", resources.Experiments.as_view()),
    path("experiments/<id:experiment_id>", resources.OneExperiment.as_view()),
    path("experiments/<id:experiment_id>/start", resources.StartExperiment.as_view()),
    path("experiments/<id:experiment_id>/stop", resources.StopExperiment.as_view()),
    path("experiments/<id:experiment_id>/resume", resources.ResumeExperiment.as_view()),
    path("recommendations/<id:recommendation_id>/experiment", resources.ExperimentOfRecommendation.as_view()),
]
