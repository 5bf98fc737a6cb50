"""Experiments to tell stories with, and a gateway without a server that they ask by HTTP's own client."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx2
from django.utils import timezone

from finops.jobs import services as jobs
from finops.jobs.models import Job
from routing.experiments import services
from routing.experiments.models import Experiment
from routing.experiments.types import ExperimentDraft, Mode, Scoring
from tests.factories.gateway import Gateway
from tests.factories.orgs import HOUSE
from tests.factories.relaying import Exchange


def draft(**given: Any) -> ExperimentDraft:
    """A replay of triage, gpt-mini beside gpt, judged by claude."""
    usual: dict[str, Any] = {
        "mode": Mode.REPLAY,
        "task_type": "triage",
        "incumbent": "gpt",
        "candidates": ("gpt-mini",),
        "tasks": 40,
        "margin": Decimal("0.05"),
        "scoring": Scoring.JUDGE,
        "judge": "claude",
        "most_cost": Decimal(5),
    }
    return ExperimentDraft(**usual | given)


def drafted(organization_id: int, *, at: datetime, **given: Any) -> Experiment:
    return services.create(organization_id=organization_id, draft=draft(**given), by=HOUSE, at=at)


def started(organization_id: int, *, at: datetime, **given: Any) -> Experiment:
    row = drafted(organization_id, at=at, **given)
    return services.start(organization_id=organization_id, experiment_id=row.id, by=HOUSE, at=at)


def turn(row: Experiment, transport: httpx2.BaseTransport, *, later: timedelta = timedelta()) -> bool:
    """What a worker does with it once; whether there is more to do at once."""

    def now() -> datetime:
        return timezone.now() + later

    assert row.job_id is not None
    job = jobs.claim(job_id=row.job_id, at=now())
    assert job is not None, Job.objects.get(id=row.job_id)
    return services.run(services.Means(job, now, transport, pause=lambda _: None))


class Through(httpx2.BaseTransport):
    """To a gateway process without a server before it; `heard` is told of each request before it goes there."""

    def __init__(self, gateway: Gateway, heard: Callable[[httpx2.Request], None] = lambda _: None) -> None:
        self._gateway, self._heard = gateway, heard

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self._heard(request)
        said = {name.decode(): value.decode("latin-1") for name, value in request.headers.raw}
        found = Exchange(self._gateway, request.url.path, request.read(), said).whole()
        return httpx2.Response(found.status, headers=found.headers, stream=httpx2.ByteStream(found.raw))
