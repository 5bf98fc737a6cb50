"""Where each address leads: the API below /api/, login below /accounts/, the pages at the root."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [
    path("api/", include("finops.config.api_urls")),
    path("accounts/", include("allauth.account.urls")),
    path("accounts/mfa/", include("allauth.mfa.urls")),
    path("", include("dashboards.urls")),
]
