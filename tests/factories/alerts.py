"""Rules, channels and signals to tell stories with."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from finops.alerts.models import AlertRule, Channel, Delivery, Incident
from finops.alerts.services.channels import add_channel
from finops.alerts.services.rules import add_rule
from finops.alerts.types import ChannelDraft, RuleDraft
from finops.audit.services import announce
from tests.factories.orgs import HOUSE

ADDRESSES = {
    "email": "alice@acme.example",
    "slack": "https://hooks.slack.com/services/T0AAAAAAA/B0AAAAAAA/abcdefghijklmnopqrstuvwx",
    "teams": "https://prod-01.westeurope.logic.azure.com/workflows/0123456789abcdef/triggers/manual/paths/invoke"
    "?api-version=2016-06-01&sp=%2Ftriggers&sv=1.0&sig=abcdefghijklmnopqrstuvwxyz",
    "pagerduty": "0123456789abcdef0123456789abcdef",
    "webhook": "https://hooks.acme.example/capstan",
}


def channel(organization_id: int, kind: str = "webhook", *, at: datetime, **given: Any) -> Channel:
    return channel_and_secret(organization_id, kind, at=at, **given)[0]


def channel_and_secret(
    organization_id: int, kind: str = "webhook", *, at: datetime, **given: Any
) -> tuple[Channel, str]:
    said = {"name": f"By {kind}", "kind": kind, "address": ADDRESSES[kind], **given}
    made = add_channel(organization_id=organization_id, draft=ChannelDraft(**said), by=HOUSE, at=at)
    return made.channel, made.secret


def rule(organization_id: int, kind: str, *, at: datetime, **given: Any) -> AlertRule:
    said: dict[str, Any] = {"name": f"On {kind}", "kind": kind, "every_channel": True, **given}
    return add_rule(organization_id=organization_id, draft=RuleDraft(**said), by=HOUSE, at=at)


def signal(
    organization_id: int, kind: str = "breaker.tripped", key: str = "session:8f3a", *, at: datetime, **details: Any
) -> None:
    announce(organization_id=organization_id, kind=kind, key=key, at=at, details=details)


def incidents(organization_id: int) -> list[tuple[str, str, str, int]]:
    """(kind, key, state, step), the oldest first."""
    rows = Incident.objects.filter(organization_id=organization_id).order_by("id")
    return [(one.kind, one.key, "over" if one.resolved_at else "open", one.step) for one in rows]


def deliveries(organization_id: int) -> list[tuple[str, str]]:
    """(event, state), the oldest first."""
    rows = Delivery.objects.filter(organization_id=organization_id).order_by("id")
    return [(one.event, one.state) for one in rows]
