from __future__ import annotations

from django.urls import path

from routing.prospects import api

urlpatterns = [path("prospects", api.Prospects.as_view())]
