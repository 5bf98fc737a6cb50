"""Addresses of this room's resources, below /api/v1/. What decides a call is the gateway's, not here."""

from __future__ import annotations

from django.urls import path

from finops.api.converters import register
from finops.budgets.api import accounts, budgets, enforcement, increases, limits, stops

register()

urlpatterns = [
    path("budgets", budgets.Budgets.as_view()),
    path("budgets/try", budgets.TryBudget.as_view()),
    path("budgets/<id:budget_id>", budgets.OneBudget.as_view()),
    path("budgets/<id:budget_id>/archive", budgets.ArchiveBudget.as_view()),
    path("budgets/<id:budget_id>/accounts", accounts.BudgetAccounts.as_view()),
    path("budgets/<id:budget_id>/exceptions", accounts.BudgetExceptions.as_view()),
    path("budgets/<id:budget_id>/exceptions/remove", accounts.RemoveBudgetException.as_view()),
    path("budgets/<id:budget_id>/enforcement", enforcement.BudgetEnforcement.as_view()),
    path("enforceable-keys", enforcement.EnforceableKeys.as_view()),
    path("enforceable-keys/<id:enforceable_id>/archive", enforcement.ArchiveEnforceableKey.as_view()),
    path("increases", increases.Increases.as_view()),
    path("increases/<id:increase_id>/approve", increases.ApproveIncrease.as_view()),
    path("increases/<id:increase_id>/refuse", increases.RefuseIncrease.as_view()),
    path("increases/<id:increase_id>/withdraw", increases.WithdrawIncrease.as_view()),
    path("transfers", increases.Transfers.as_view()),
    path("limits", limits.Limits.as_view()),
    path("limits/<id:limit_id>/remove", limits.RemoveLimit.as_view()),
    path("breakers", limits.Breakers.as_view()),
    path("breakers/defaults", limits.BreakerDefaults.as_view()),
    path("breakers/<id:breaker_id>/remove", limits.RemoveBreaker.as_view()),
    path("stops", stops.Stops.as_view()),
    path("stops/<id:stop_id>/lift", stops.LiftStop.as_view()),
    path("headroom", accounts.OwnHeadroom.as_view()),
]
