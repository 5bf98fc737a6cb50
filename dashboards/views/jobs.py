"""Jobs: long work, how far it is, stop and resume."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST, require_safe
from rest_framework.request import Request

from dashboards.access import Here, page, show
from dashboards.actions import act
from dashboards.panels.bar import address
from finops.api import paging
from finops.core.money import from_pico
from finops.ingest.tasks import WORKED_HERE, send
from finops.jobs import selectors, services
from finops.jobs.models import Job
from finops.orgs.rules import Permission
from finops.polling.selectors import BACKFILL
from finops.polling.tasks import send_job
from finops.seats.selectors import BOOK
from finops.seats.tasks import send as send_seats

KINDS = {
    "rerate": "Rating again",
    "reattribute": "Attributing again",
    "allocate": "Splitting shared costs",
    "replay": "Replaying quarantine",
    "rebuild": "Rebuilding rollups",
    "import": "Importing a file",
    "train": "Learning task types",
    "experiment": "Measuring models",
    "backfill": "Reading history",
    "cover": "Looking at what seats pay for",
    "seats": "Booking seats",
}
MOVING = (Job.State.QUEUED, Job.State.RUNNING)


@require_safe
@page("jobs", Permission.JOBS_RUN)
def jobs(request: HttpRequest, here: Here) -> HttpResponse:
    found = paging.page(selectors.jobs(here.id), Request(request), order=("-requested_at", "-id"))
    rows = [_shown(job) for job in found.rows]
    base = address(here, "jobs")
    context = {
        "rows": rows,
        "moving": any(job.state in MOVING for job in found.rows),
        "first": base if request.GET.get("cursor") else "",
        "next": f"{base}?cursor={found.next_cursor}" if found.next_cursor else "",
        "poll": request.get_full_path(),
    }
    return show(request, here, "jobs", "pages/jobs.html", context)


@require_POST
@page("jobs", Permission.JOBS_RUN)
def stop(request: HttpRequest, here: Here, job_id: int) -> HttpResponse:
    return act(
        request,
        lambda: services.request_stop(organization_id=here.id, job_id=job_id, by=here.caller.actor, at=here.now),
        done="The job stops after its current step.",
        to=address(here, "jobs"),
    )


@require_POST
@page("jobs", Permission.JOBS_RUN)
def resume(request: HttpRequest, here: Here, job_id: int) -> HttpResponse:
    return act(
        request,
        lambda: _send(services.resume(organization_id=here.id, job_id=job_id, by=here.caller.actor, at=here.now)),
        done="The job goes on from where it stood.",
        to=address(here, "jobs"),
    )


def _send(job: Job) -> None:
    """To whoever works its kind; what neither does is found by its own schedule."""
    if job.kind in WORKED_HERE:
        send(job)
    elif job.kind == BACKFILL:
        send_job(job)
    elif job.kind == BOOK:
        send_seats(job.organization_id)


def _shown(job: Job) -> dict[str, Any]:
    """A job with what came of it in words: amounts are kept as picodollars of the reporting currency."""
    result: dict[str, Any] = dict(job.result)
    before, after = result.pop("before_pico", None), result.pop("after_pico", None)
    # A rework that still runs keeps what it counts beside its place.
    passed_over = result.pop("passed_over", job.cursor.get("tally", {}).get("passed_over", 0))
    return {
        "job": job,
        "name": KINDS.get(job.kind, job.kind),
        "what": " to ".join(
            job.parameters[name] for name in ("month", "start", "end") if isinstance(job.parameters.get(name), str)
        ),
        "moving": job.state in MOVING and job.kind not in services.OWNED,
        "resumable": job.state in (Job.State.STOPPED, Job.State.FAILED)
        and job.kind not in {*services.COMMANDS, *services.OWNED},
        "command": services.COMMANDS.get(job.kind, "") if job.state in (Job.State.STOPPED, Job.State.FAILED) else "",
        "before": from_pico(before) if isinstance(before, int) else None,
        "after": from_pico(after) if isinstance(after, int) else None,
        "passed_over": passed_over,
        "facts": [(name, value) for name, value in sorted(result.items()) if isinstance(value, (int, str))],
    }
