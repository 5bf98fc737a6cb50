"""The demo's alerts: some rules beyond the first, a channel, and the incidents that its caps give rise to."""

from __future__ import annotations

from datetime import datetime, time
from typing import Final

from django.db import transaction

from finops.alerts import selectors
from finops.alerts.services.channels import add_channel
from finops.alerts.services.late import LATE
from finops.alerts.services.rules import add_rule
from finops.alerts.services.thresholds import evaluate_thresholds
from finops.alerts.services.watching import watch
from finops.alerts.types import ChannelDraft, Kind, Medium, RuleDraft
from finops.core.actors import Actor, system

_DEMO: Final[Actor] = system("demo")
_FINANCE: Final = ChannelDraft(
    name="Finance",
    kind=Medium.EMAIL,
    address="finance@acme.example",
    quiet_from=time(20),
    quiet_until=time(7),
    digest_minutes=120,
)
_RULES: Final = (
    RuleDraft(name="Spend without an owner", kind=Kind.UNATTRIBUTED, params={"percent": 2}, digest=True),
    RuleDraft(name="New models without a price", kind=Kind.UNPRICED),
    RuleDraft(name="Sources gone quiet", kind=Kind.QUIET),
    RuleDraft(name="Unusual spend", kind=Kind.ANOMALY),
)


@transaction.atomic
def listen(organization_id: int, *, at: datetime) -> None:
    """Make them, and look once. Done already, it is left as it is. Incidents are looked for before there is a channel:
    nobody is told of them, for there is nobody.
    """
    if selectors.channels(organization_id, archived=True).exists():
        return
    for draft in _RULES:
        add_rule(organization_id=organization_id, draft=draft, by=_DEMO, at=at)
    evaluate_thresholds(organization_id=organization_id, at=at)
    watch(organization_id=organization_id, at=at)
    watch(organization_id=organization_id, at=at, finders=LATE)
    add_channel(organization_id=organization_id, draft=_FINANCE, by=_DEMO, at=at)
