"""Accounts that are connected, and one source: how it is doing, and what can be done."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dashboards.access import Here, page, show
from dashboards.actions import act, form_page, posted
from dashboards.forms import ActionForm
from dashboards.panels.bar import address
from dashboards.panels.months import changed_by_source
from dashboards.polling.forms import BackfillForm, ConnectForm, CredentialForm, SwitchForm
from dashboards.polling.words import SAYS, lasting, roughly, standing
from finops.connectors.enforcement import Power
from finops.connectors.feeds import ACCOUNTS, FEEDS
from finops.connectors.fetching import Account, Feed
from finops.connectors.sent import of_kind
from finops.core.errors import NotFound
from finops.ingest import selectors as quarantine
from finops.ingest.models import QuarantinedRecord
from finops.ingest.services import PAUSED, Replayed, replay_held
from finops.jobs import services as jobs
from finops.jobs.models import Job
from finops.ledger import selectors as ledger
from finops.orgs.rules import Permission
from finops.polling import selectors, services, tasks
from finops.polling.models import ConnectedAccount, PolledFeed
from finops.reconciliation.selectors import drift
from finops.sources import selectors as sources
from finops.sources.models import Source
from finops.sources.services import is_sent_to, pause_source, resume_source

_DRIFT_OVER: Final = timedelta(days=30)
# Today and yesterday.
_LATE_OVER: Final = timedelta(days=1)
_POWERS: Final = {Power.BLOCK_KEY: "keys can be blocked before a cap is passed"}
_MOVING: Final = (Job.State.QUEUED, Job.State.RUNNING)


@require_safe
@page("sources", Permission.QUARANTINE_MANAGE)
def source(request: HttpRequest, here: Here, source: str) -> HttpResponse:
    row = sources.source(here.id, source)
    feed = selectors.feed_of(here.id, row)
    held = quarantine.quarantine(here.id, state=QuarantinedRecord.State.HELD, source=row.slug).count()
    context = {
        "source": row,
        "held": held,
        "matched": ledger.content_matches(here.id, row.id, since=here.now - _DRIFT_OVER),
        "held_at": f"{address(here, 'sources')}?source={row.slug}#quarantine",
        "back": address(here, "sources"),
        "may": here.caller.can(Permission.SOURCES_MANAGE),
        "changed": changed_by_source(here, row.id),
        "drift": drift(row, since=(here.now - _DRIFT_OVER).date()),
        **(_of_feed(here, feed) if feed is not None else _of_senders(here, row)),
    }
    return show(request, here, "sources", "pages/source.html", context)


def _of_senders(here: Here, row: Source) -> dict[str, Any]:
    """Of a source that somebody sends by."""
    came = quarantine.came(row, late_since=(here.now - _LATE_OVER).date())
    return {
        "came": came,
        "late": roughly(came.late) if came.late is not None else "n/a",
        "latest": f"at most {roughly(came.latest)}, last two days" if came.latest is not None else "last two days",
        "refused": list(quarantine.refused(row)),
        "sent": _facts_of_senders(row),
        "may_pause": here.caller.can(Permission.SOURCES_MANAGE) and is_sent_to(row),
    }


def _of_feed(here: Here, row: PolledFeed) -> dict[str, Any]:
    spec, account = FEEDS.get(row.name), ACCOUNTS.get(row.account.account)
    job = selectors.backfills(here.id, [row.id]).get(row.id)
    siblings = selectors.feeds(here.id).filter(account_id=row.account_id)
    is_moving = job is not None and job.state in _MOVING
    return {
        "feed": row,
        "spec": spec,
        "account": row.account,
        "provider": account.title if account else row.account.account,
        "standing": standing(row, here.now),
        "late": roughly(here.now - row.newest_at) if row.newest_at else "",
        "facts": _facts(spec) if spec else [],
        "siblings": [(one, standing(one, here.now)) for one in siblings],
        "more": _more(account, {one.name for one in siblings}),
        "is_on": row.account.disconnected_at is None,
        "enforces": ", ".join(_POWERS[one] for one in sorted(account.enforces)) if account else "",
        "job": job,
        "job_since": datetime.fromisoformat(job.parameters["since"]) if job else None,
        "job_message": job.cursor.get("message", "") if job and is_moving else "",
        "is_moving": is_moving,
        "is_resumable": job is not None and job.state in (Job.State.STOPPED, Job.State.FAILED),
        "may_run": here.caller.can(Permission.JOBS_RUN),
    }


def _facts(spec: Feed) -> list[tuple[str, str]]:
    return [
        ("What a row is", SAYS[spec.says]),
        ("Asked every", lasting(spec.every)),
        ("Late, at most", lasting(spec.delay)),
        ("Read again", f"the last {lasting(max(spec.revised, spec.delay))}, which may still change"),
        ("Can be asked for", f"{lasting(spec.history)} back"),
        ("Two rows differ by", spec.dedupe),
        ("Input", spec.convention),
        ("Money", spec.money),
        ("Evidence", ", ".join(sorted(spec.evidence))),
    ]


def _facts_of_senders(row: Source) -> list[tuple[str, list[tuple[str, str]]]]:
    return [
        (
            one.title,
            [
                ("Told", one.delay), ("Told otherwise later", one.revised), ("Two records differ by", one.dedupe),
                ("Input", one.convention), ("Money", one.money), ("Evidence", ", ".join(sorted(one.evidence))),
            ],
        )
        for one in of_kind(row.kind)
    ]  # fmt: skip


def _more(account: Account | None, on: set[str]) -> list[Feed]:
    return [feed for feed in account.feeds if feed.name not in on] if account else []


@require_http_methods(["GET", "HEAD", "POST"])
@page("sources", Permission.SOURCES_MANAGE)
def connect(request: HttpRequest, here: Here) -> HttpResponse:
    """Which provider, and then by what."""
    name = request.GET.get("account", "")
    if not name:
        found = selectors.accounts(here.id).filter(disconnected_at__isnull=False)
        context = {"accounts": ACCOUNTS.values(), "former": found, "back": address(here, "sources")}
        return show(request, here, "sources", "pages/account_choose.html", context)
    spec = ACCOUNTS.get(name)
    if spec is None:
        raise NotFound("There is no such account among those that can be connected.")
    form = ConnectForm(posted(request), spec)
    feeds = ", ".join(feed.title.lower() for feed in spec.feeds if not feed.optional)
    return form_page(
        request, here, "sources", form,
        lambda _: _told(
            services.connect(
                organization_id=here.id, account=spec.name, **form.said(), by=here.caller.actor, at=here.now
            )
        ),
        title=f"Connect {spec.title}", submit="Connect", back=("Sources", address(here, "sources")),
        lead=f"{spec.title} is asked first whether the credential is good. Then it is read: {feeds}.",
        done="The account is connected. Its first round begins now.",
    )  # fmt: skip


@require_http_methods(["GET", "HEAD", "POST"])
@page("sources", Permission.SOURCES_MANAGE)
def credential(request: HttpRequest, here: Here, account_id: int) -> HttpResponse:
    row, spec = _account(here, account_id)
    return form_page(
        request, here, "sources", CredentialForm(posted(request), spec),
        lambda said: _told(
            services.rotate(
                organization_id=here.id, account_id=row.id, **said, by=here.caller.actor, at=here.now
            )
        ),
        title="Another credential", submit="Replace it", back=(row.label, _first(here, row)),
        lead="The new one is tried first, and the old one stays if it is refused. Then revoke that at the provider.",
        done="The credential is replaced, and what waited for it goes on.",
    )  # fmt: skip


@require_http_methods(["GET", "HEAD", "POST"])
@page("sources", Permission.SOURCES_MANAGE)
def disconnect(request: HttpRequest, here: Here, account_id: int) -> HttpResponse:
    row, _ = _account(here, account_id)
    return form_page(
        request, here, "sources", ActionForm(posted(request)),
        lambda _: services.disconnect(organization_id=here.id, account_id=row.id, by=here.caller.actor, at=here.now),
        title=f"Disconnect {row.label}", submit="Disconnect", danger=True, back=(row.label, _first(here, row)),
        lead="The credential is forgotten and nothing is read any more. What was read stays. Revoke the key at the"
        " provider too. To go on later, set a credential: a new connection would read what is there once more.",
        done="The account is disconnected.",
    )  # fmt: skip


@require_http_methods(["GET", "HEAD", "POST"])
@page("sources", Permission.SOURCES_MANAGE)
def switch_on(request: HttpRequest, here: Here, account_id: int) -> HttpResponse:
    row, spec = _account(here, account_id)
    feed = next((one for one in spec.feeds if one.name == request.GET.get("feed")), None)
    if feed is None:
        raise NotFound("There is no such feed.")
    form = SwitchForm(posted(request), feed, row.settings)
    return form_page(
        request, here, "sources", form,
        lambda _: tasks.send([
            services.switch_on(
                organization_id=here.id, account_id=row.id, feed=feed.name, settings=form.settings,
                by=here.caller.actor, at=here.now,
            ).id
        ]),
        title=f"Read {feed.title}", submit="Read it too", back=(row.label, _first(here, row)),
        lead="It gets a source of its own. Where it says what another feed of this account says, take one of both.",
        done="It is read from now on.",
    )  # fmt: skip


@require_POST
@page("sources", Permission.SOURCES_MANAGE)
def pause(request: HttpRequest, here: Here, feed_id: int) -> HttpResponse:
    row = selectors.feed(here.id, feed_id)
    return act(
        request,
        lambda: services.pause(organization_id=here.id, feed_id=row.id, by=here.caller.actor, at=here.now),
        done="It is paused.",
        to=source_address(here, row.source),
    )


@require_POST
@page("sources", Permission.SOURCES_MANAGE)
def resume(request: HttpRequest, here: Here, feed_id: int) -> HttpResponse:
    row = selectors.feed(here.id, feed_id)
    return act(
        request,
        lambda: tasks.send(
            [services.resume(organization_id=here.id, feed_id=row.id, by=here.caller.actor, at=here.now).id]
        ),
        done="It goes on from where it stood.",
        to=source_address(here, row.source),
    )


@require_POST
@page("sources", Permission.SOURCES_MANAGE)
def poll(request: HttpRequest, here: Here, feed_id: int) -> HttpResponse:
    row = selectors.feed(here.id, feed_id)
    return act(
        request,
        lambda: tasks.send(
            [services.poll_now(organization_id=here.id, feed_id=row.id, by=here.caller.actor, at=here.now).id]
        ),
        done="It is read as soon as a worker is free.",
        to=source_address(here, row.source),
    )


@require_http_methods(["GET", "HEAD", "POST"])
@page("sources", Permission.SOURCES_MANAGE)
def backfill(request: HttpRequest, here: Here, feed_id: int) -> HttpResponse:
    row = selectors.feed(here.id, feed_id)
    spec = FEEDS.get(row.name)
    told = f" The provider tells of {lasting(spec.history)}." if spec else ""
    return form_page(
        request, here, "sources", BackfillForm(posted(request), row),
        lambda said: tasks.send_job(
            services.open_backfill(
                organization_id=here.id, feed_id=row.id, since=said["since"], by=here.caller.actor, at=here.now
            )
        ),
        title="Read its history", submit="Begin", back=(row.source.name, source_address(here, row.source)),
        lead=f"What is older is read as a job, newest first; what is new goes before it.{told}",
        done="Its history is being read.",
    )  # fmt: skip


@require_POST
@page("sources", Permission.JOBS_RUN)
def backfill_turn(request: HttpRequest, here: Here, feed_id: int, way: str) -> HttpResponse:
    """Stop or resume the last backfill (`way`)."""
    row = selectors.feed(here.id, feed_id)
    job = selectors.backfills(here.id, [row.id]).get(row.id)
    if job is None:
        raise NotFound("There is no such job.")
    who: dict[str, Any] = {"organization_id": here.id, "job_id": job.id, "by": here.caller.actor, "at": here.now}
    return act(
        request,
        lambda: jobs.request_stop(**who) if way == "stop" else tasks.send_job(jobs.resume(**who)),
        done="It stops after the present page." if way == "stop" else "It goes on from where it stood.",
        to=source_address(here, row.source),
    )


@require_POST
@page("sources", Permission.QUARANTINE_MANAGE)
def replay(request: HttpRequest, here: Here, source: str) -> HttpResponse:
    """All that is held of one source, as many as one request can carry."""
    row = sources.source(here.id, source)

    def said(done: Any) -> str:
        return f"{done.records - done.held} of {done.records} records are booked; {done.held} stay held."

    return act(
        request,
        lambda: replay_held(organization_id=here.id, source=row.slug, by=here.caller.actor, at=here.now),
        done=said,
        to=source_address(here, row),
    )


@require_POST
@page("sources", Permission.SOURCES_MANAGE)
def pause_sent(request: HttpRequest, here: Here, source: str) -> HttpResponse:
    row = sources.source(here.id, source)
    return act(
        request,
        lambda: pause_source(organization_id=here.id, source_id=row.id, by=here.caller.actor, at=here.now),
        done="It is paused: what it sends is kept, and not booked.",
        to=source_address(here, row),
    )


@require_POST
@page("sources", Permission.SOURCES_MANAGE)
def resume_sent(request: HttpRequest, here: Here, source: str) -> HttpResponse:
    """What waits is replayed with it, as much as one request can carry."""
    row = sources.source(here.id, source)
    by, at = here.caller.actor, here.now

    def again() -> Replayed:
        resume_source(organization_id=here.id, source_id=row.id, by=by, at=at)
        return replay_held(organization_id=here.id, source=row.slug, code=PAUSED, by=by, at=at)

    def said(done: Replayed) -> str:
        more = " There are more: replay what is held." if done.after else ""
        return f"It goes on. {done.records - done.held} of {done.records} records that waited are booked.{more}"

    return act(request, again, done=said, to=source_address(here, row))


def source_address(here: Here, row: Source) -> str:
    return reverse("dashboards:source", kwargs={"organization": here.organization.slug, "source": row.slug})


def _told(row: ConnectedAccount) -> None:
    tasks.send(row.feeds.order_by("id").values_list("id", flat=True))


def _account(here: Here, account_id: int) -> tuple[ConnectedAccount, Account]:
    row = selectors.account(here.id, account_id)
    spec = ACCOUNTS.get(row.account)
    if spec is None:
        raise NotFound("This version knows no such account.")
    return row, spec


def _first(here: Here, row: ConnectedAccount) -> str:
    """Where an account is seen: its first source."""
    feeds = sorted(row.feeds.all(), key=lambda feed: feed.id)
    return source_address(here, feeds[0].source) if feeds else address(here, "sources")
