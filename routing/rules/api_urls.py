"""Addresses of this room's resources, below /api/v1/."""

from __future__ import annotations

from django.urls import path

from finops.api.converters import register
from routing.rules import api

register()

urlpatterns = [
    path("routing-rules", api.RoutingRules.as_view()),
    path("routing-rules/order", api.OrderOfRules.as_view()),
    path("routing-rules/off", api.SwitchAllOff.as_view()),
    path("routing-rules/export", api.ExportRules.as_view()),
    path("routing-rules/import", api.ImportRules.as_view()),
    path("routing-rules/<id:routing_rule_id>", api.OneRoutingRule.as_view()),
    path("routing-rules/<id:routing_rule_id>/versions", api.VersionsOfRule.as_view()),
    path("routing-rules/<id:routing_rule_id>/proposals", api.ProposalsForRule.as_view()),
    path("routing-rules/<id:routing_rule_id>/proposals/<id:number>/decide", api.DecideProposal.as_view()),
    path("routing-rules/<id:routing_rule_id>/stage", api.StageOfRule.as_view()),
    path("decisions", api.Decisions.as_view()),
    path("route", api.RouteCall.as_view()),
]
