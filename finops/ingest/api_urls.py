"""Addresses of the doors, of quarantine and of work on history, below /api/v1/."""

from __future__ import annotations

from django.urls import path

from finops.api.converters import register
from finops.ingest.api import doors, erasure, exports, preview, quarantine, rework, webhooks

register()

urlpatterns = [
    path("usage", doors.Usage.as_view()),
    path("events", doors.Events.as_view()),
    # As OTLP's exporters address them below one base: …/api/v1/otlp
    path("otlp/v1/traces", doors.Traces.as_view()),
    path("otlp/v1/logs", doors.Logs.as_view()),
    path("otlp/v1/metrics", doors.Metrics.as_view()),
    path("litellm/events", webhooks.LiteLLMEvents.as_view()),
    path("portkey/logs", webhooks.PortkeyLogs.as_view()),
    path("langfuse/observations", webhooks.LangfuseObservations.as_view()),
    path("openmeter/events", exports.OpenMeterEvents.as_view()),
    path("openrouter/generations", exports.OpenRouterGenerations.as_view()),
    path("google/answers", exports.GoogleAnswers.as_view()),
    path("managed-agents/sessions", exports.ManagedAgentSessions.as_view()),
    path("helicone/webhooks/<uuid:webhook_id>", webhooks.HeliconeWebhook.as_view()),
    path("sources/<slug:source>/webhook", webhooks.WebhookOfSource.as_view()),
    path("sources/<slug:source>/webhook/remove", webhooks.RemoveWebhookOfSource.as_view()),
    path("people/<slug:person>/erase", erasure.ErasePerson.as_view()),
    path("quarantine", quarantine.Quarantine.as_view()),
    path("quarantine/replay", quarantine.ReplayAll.as_view()),
    path("quarantine/<id:record_id>", quarantine.OneQuarantined.as_view()),
    path("quarantine/<id:record_id>/replay", quarantine.ReplayOne.as_view()),
    path("quarantine/<id:record_id>/discard", quarantine.DiscardOne.as_view()),
    path("rerates", rework.Rerates.as_view()),
    path("reattributions", rework.Reattributions.as_view()),
    path("allocations", rework.Allocations.as_view()),
    # Here and not with the rules, because it reads the ledger.
    path("attribution-rules/preview", preview.PreviewRule.as_view()),
]
