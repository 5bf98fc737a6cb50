"""Addresses of this room's resources, below /api/v1/."""

from __future__ import annotations

from django.urls import path

from finops.api.converters import register
from routing.rollouts import api

register()

urlpatterns = [
    path("rollouts", api.Rollouts.as_view()),
    path("rollouts/<id:rollout_rule_id>", api.RolloutOfRule.as_view()),
    path("savings", api.Savings.as_view()),
]
