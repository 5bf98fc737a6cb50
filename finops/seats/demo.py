"""The demo's seats: a team whose coding is paid by the seat since lately, and some who never used theirs."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from finops.core.actors import Actor, system
from finops.ingest.demo.company import company
from finops.ingest.demo.seeding import CHARGES
from finops.ingest.demo.streams import CLAUDE_CODE
from finops.ingest.services import COVER, run_rework
from finops.jobs import services as jobs
from finops.jobs.models import Job
from finops.seats import selectors
from finops.seats.services import begin, book, run_job
from finops.seats.types import HolderName, PlanDraft

_DEMO: Final[Actor] = system("demo")
_TEAM: Final = "mobile"
# Longer than it takes to call a seat idle.
_SINCE: Final = timedelta(days=40)
# Of a seat in a month, in a demo of the usual size; one of fewer calls has cheaper seats, so that they weigh the same.
_PRICE: Final = Decimal(60)
_LEAST: Final = Decimal("0.05")
# Who does not write code, and has a seat all the same.
_IDLE: Final = 4


def seat(organization_id: int, *, charges: int, at: datetime) -> None:
    """Describe the plan, and book it. Done already, it is left as it is."""
    if not selectors.plans(organization_id, withdrawn=True).exists():
        people = [person for person in company().people if person.team == _TEAM]
        users = [person for person in people if person.codes]
        others = [person for person in company().people if not person.codes and person.team != _TEAM][:_IDLE]
        holders = tuple(HolderName("email", person.email) for person in (*users, *others))
        price = max((_PRICE * charges / CHARGES).quantize(_LEAST), _LEAST)
        draft = PlanDraft(
            name="Claude Team", provider="anthropic", price=price, currency="USD",
            seats=len(holders), start=(at - _SINCE).date(), holders=holders, covers=(CLAUDE_CODE,),
        )  # fmt: skip
        begin(organization_id=organization_id, draft=draft, by=_DEMO, at=at)
    for job in Job.objects.filter(organization_id=organization_id, kind=COVER, state=Job.State.QUEUED):
        claimed = jobs.claim(job_id=job.id, at=at)
        if claimed is not None:
            run_rework(job=claimed, now=lambda: at)
    waiting = selectors.job(organization_id)
    claimed = jobs.claim(job_id=waiting.id, at=at) if waiting is not None else None
    if claimed is not None:
        while run_job(job=claimed, now=lambda: at):
            pass
    while book(organization_id=organization_id, now=lambda: at):
        pass
