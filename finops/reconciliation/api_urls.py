"""Addresses of this room's resources, below /api/v1/."""

from __future__ import annotations

from django.urls import path

from finops.api.converters import register
from finops.reconciliation import api

register()

urlpatterns = [
    path("counting-rules", api.CountingRules.as_view()),
    path("counting-rules/<id:counting_rule_id>", api.OneCountingRule.as_view()),
    path("reconciliation/days", api.ReconciledDays.as_view()),
    path("reconciliation/totals", api.ReconciliationTotals.as_view()),
    path("reconciliation/run", api.RunReconciliation.as_view()),
]
