"""Where each address leads: the API below /api/, login below /accounts/, the pages at the root."""

from __future__ import annotations

from django.urls import include, path

from finops.api.health import healthz, readyz

urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("api/", include("finops.config.api_urls")),
    path("accounts/", include("allauth.account.urls")),
    path("accounts/mfa/", include("allauth.mfa.urls")),
    path("", include("dashboards.urls")),
]

# Below /api/ these answer with problem+json, elsewhere with pages.
handler400 = "finops.api.errors.bad_request"
handler404 = "finops.api.errors.not_found"
handler500 = "finops.api.errors.server_error"
