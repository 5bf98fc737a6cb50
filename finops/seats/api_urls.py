"""Addresses of plans of seats, below /api/v1/."""

from __future__ import annotations

from django.urls import path

from finops.api.converters import register
from finops.seats import api

register()

urlpatterns = [
    path("seat-plans", api.SeatPlans.as_view()),
    path("seat-plans/<id:seat_plan_id>", api.OneSeatPlan.as_view()),
    path("seat-plans/<id:seat_plan_id>/changes", api.ChangeSeatPlan.as_view()),
    path("seat-plans/<id:seat_plan_id>/worth", api.SeatPlanWorth.as_view()),
]
