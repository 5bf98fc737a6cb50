"""Addresses of this room's resources, below /api/v1/."""

from __future__ import annotations

from django.urls import path

from finops.alerts.api import channels, forecasts, incidents, rules
from finops.api.converters import register

register()

urlpatterns = [
    path("alert-rules", rules.AlertRules.as_view()),
    path("alert-rules/<id:alert_rule_id>", rules.OneAlertRule.as_view()),
    path("alert-rules/<id:alert_rule_id>/archive", rules.ArchiveAlertRule.as_view()),
    path("channels", channels.Channels.as_view()),
    path("channels/<id:channel_id>", channels.OneChannel.as_view()),
    path("channels/<id:channel_id>/archive", channels.ArchiveChannel.as_view()),
    path("channels/<id:channel_id>/secret", channels.RenewSecret.as_view()),
    path("channels/<id:channel_id>/test", channels.TestChannel.as_view()),
    path("incidents", incidents.Incidents.as_view()),
    path("incidents/<id:incident_id>", incidents.OneIncident.as_view()),
    path("incidents/<id:incident_id>/acknowledge", incidents.AcknowledgeIncident.as_view()),
    path("incidents/<id:incident_id>/resolve", incidents.ResolveIncident.as_view()),
    path("deliveries", incidents.Deliveries.as_view()),
    path("forecasts", forecasts.AccountForecasts.as_view()),
    path("forecasts/spend", forecasts.SpendForecasts.as_view()),
]
