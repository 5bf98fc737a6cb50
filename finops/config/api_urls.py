"""Everything below /api/: the schema, its browsable page, and each room's resources below v1/."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

from django.urls import include, path

from finops.api.docs import ApiDocs, ApiSchema

# The rooms that have resources. The ledger's `people/discovered` is a word, so it stands before orgs' `people/<slug>`.
_ROOMS: Final = (
    "finops.ledger", "finops.orgs", "finops.sources", "finops.polling", "finops.seats", "finops.ingest",
    "finops.pricing", "finops.attribution", "finops.energy", "finops.reconciliation", "finops.months",
    "finops.budgets", "finops.alerts", "routing.upstreams", "routing.tiers", "routing.captures", "routing.classify",
    "routing.evidence",
    "routing.prospects", "routing.rules", "routing.recommend", "routing.bills", "routing.rollouts", "routing.value",
    "routing.experiments", "finops.jobs",
)  # fmt: skip


def _resources() -> list[Any]:
    names = [f"{room}.api_urls" for room in _ROOMS]
    return [pattern for name in names if find_spec(name) for pattern in import_module(name).urlpatterns]


urlpatterns = [
    path("schema/", ApiSchema.as_view(), name="api_schema"),
    path("docs/", ApiDocs.as_view(), name="api_docs"),
    path("v1/", include(_resources())),
]
