"""Addresses of the ledger's resources, below /api/v1/."""

from __future__ import annotations

from django.urls import path

from finops.ledger.api import charges, discovered, sessions, spend

urlpatterns = [
    path("spend", spend.Spend.as_view()),
    path("dimensions", spend.Dimensions.as_view()),
    # A promoted tag's key may hold a slash.
    path("dimensions/<path:dimension>/values", spend.Values.as_view()),
    path("charges", charges.Charges.as_view()),
    path("charges/<uuid:charge_id>", charges.OneCharge.as_view()),
    path("sessions", sessions.Sessions.as_view()),
    path("sessions/tree", sessions.OneTree.as_view()),
    path("unpriced", charges.Unpriced.as_view()),
    path("people/discovered", discovered.DiscoveredPeople.as_view()),
    path("people/discovered/assign", discovered.AssignDiscovered.as_view()),
]
