"""Addresses of this room's resources, below /api/v1/."""

from __future__ import annotations

from django.urls import path

from finops.api.converters import register
from finops.energy import api

register()

urlpatterns = [
    path("energy", api.Energy.as_view()),
    path("energy/models", api.ModelFigures.as_view()),
    path("energy/models/<id:model_energy_id>/remove", api.RemoveModelFigure.as_view()),
    path("energy/grids", api.Grids.as_view()),
    path("energy/grids/<id:grid_mix_id>/remove", api.RemoveGrid.as_view()),
]
