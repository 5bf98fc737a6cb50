"""A real browser on the running pages: the system's Chromium, driven by Playwright, on a company with spend."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.db import connection
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from finops.alerts.models import Incident
from finops.alerts.services.incidents import acknowledge, resolve
from finops.alerts.services.signals import take_signals
from finops.alerts.services.thresholds import evaluate_thresholds
from finops.attribution.services import promote_tag
from finops.attribution.types import Method
from finops.budgets.rules.limits import BreakerDraft, LimitDraft
from finops.budgets.services.budgets import set_exception
from finops.budgets.services.increases import ask_increase, decide_increase
from finops.budgets.services.limits import set_breaker, set_limit
from finops.budgets.services.stops import lift_stop, stop_now
from finops.budgets.types import Enforcement, Period
from finops.connectors.types import Dimensions
from finops.ingest.models import QuarantinedRecord
from finops.jobs.models import Job
from finops.orgs import services as orgs
from finops.orgs.models import User, VirtualKey
from finops.polling.models import PolledFeed
from finops.polling.services import open_backfill
from finops.seats.types import HolderName
from finops.sources.services import add_source
from routing.upstreams.services import archive_upstream
from tests.factories import alerts, captures, polling, upstreams
from tests.factories.attribution import shared_draft, shared_rule
from tests.factories.budgets import budget
from tests.factories.company import Company, book, busy_company, event
from tests.factories.enforcement import blocked, key_of, reach
from tests.factories.ledger import Book
from tests.factories.months import closed_company
from tests.factories.orgs import HOUSE, actor
from tests.factories.routed import routed
from tests.factories.seats import BOB, DANA, Seats, draft
from tests.factories.statements import billed_company

BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
SESSION = "review-the-cap"
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if CHROMIUM is None:
        for item in items:
            if "tests/browser" in str(item.path):
                item.add_marker(pytest.mark.skip(reason="no Chromium on this machine"))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    # Playwright's loop runs in this thread, which Django takes for async code; the tests themselves are not.
    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()
    if before is None:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def company(transactional_db: None) -> Company:
    at = datetime.now(UTC)
    made = busy_company(at, days=45, calls_a_day=14)
    acme = made.cast.acme
    _sub_agents(made, at)
    orgs.add_team(organization_id=acme.id, name="Ranking", parent_id=made.cast.search.id, by=HOUSE, at=at)
    orgs.issue_key(organization_id=acme.id, name="Gateway", by=HOUSE, at=at)
    promote_tag(organization_id=acme.id, key="env", by=HOUSE, at=at)
    shared_rule(acme.id, shared_draft(pool={"project": (made.projects[1].id,)}), name="Assistant for everybody")
    halves = {made.cast.search.id: Decimal("62.5"), made.cast.chat.id: Decimal("37.5")}
    fixed = shared_draft(pool={"team": (0,)}, method=Method.FIXED, percentages=halves)
    shared_rule(acme.id, fixed, name="What nobody answers for")
    budget(acme.id, "250", at=at, name="Everything, a month", enforcement=Enforcement.ALERT)
    week = budget(acme.id, "2", at=at, name="Each person, a week", period=Period.WEEK, each="person")
    budget(acme.id, "4", at=at, name="Search, a month", scope={"team": (str(made.cast.search.id),)})
    for_bob: dict[str, Any] = {
        "organization_id": acme.id, "budget_id": week.id, "subject": str(made.cast.bob.id), "by": HOUSE, "at": at,
    }  # fmt: skip
    proxy = add_source(
        organization_id=acme.id, slug="litellm", name="LiteLLM in Paris", kind="litellm", by=HOUSE, at=at
    )
    reach(proxy, "https://litellm.example.com")
    keys = [key_of(proxy, number, "person", one.id) for number, one in enumerate((made.cast.bob, made.cast.alice), 1)]
    blocked(week, str(made.cast.bob.id), keys[0], at)
    blocked(
        week, str(made.cast.alice.id), keys[1], at, failed_at=at, last_error="LiteLLM answered 403", state="wanted",
        settled_at=None, overshoot=None, unused=None,
    )  # fmt: skip
    set_exception(limit_amount=Decimal(90), note="The migration", **for_bob)
    decide_increase(
        organization_id=acme.id, increase_id=ask_increase(amount=Decimal(5), reason="Until Friday", **for_bob).id,
        approve=True, note="Fine", by=HOUSE, at=at,
    )  # fmt: skip
    ask_increase(amount=Decimal(40), reason="The ranking migration runs all week", **for_bob)
    stopped: dict[str, Any] = {"organization_id": acme.id, "by": actor(made.cast.alice_login), "at": at}
    over = stop_now(dimension="team", subject=str(made.cast.chat.id), reason="The bill of the night", **stopped)
    lift_stop(organization_id=acme.id, stop_id=over.id, by=stopped["by"], at=at)
    stop_now(dimension="person", subject=str(made.cast.bob.id), until=at + timedelta(hours=1), **stopped)
    held = (BOB, DANA, HolderName("github", "somebody-else"))
    plans = Seats(Book(acme, at=at))
    plans.begin(draft(start=at.date() - timedelta(days=40), seats=5, provider="openai", holders=held))
    plans.begin(name="Copilot", price=Decimal(19), start=at.date(), included=Decimal(19), holders=())
    plans.booked()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT budgets_trip(%s, 'session', 'nightly-3f2a', 'more than 20 identical calls in a row', 900, '{}')",
            [acme.id],
        )
    whose: dict[str, Any] = {"organization_id": acme.id, "by": HOUSE, "at": at}
    set_limit(draft=LimitDraft(dimension="person", allowed_models=("claude-*", "gpt-5*")), **whose)
    set_limit(draft=LimitDraft(dimension="key", requests_per_minute=600, tokens_per_minute=400_000), **whose)
    set_breaker(draft=BreakerDraft(dimension="session", measure="session_calls", threshold=Decimal(800)), **whose)
    QuarantinedRecord.objects.create(
        organization=acme, source=made.source, digest=b"x" * 16, external_id="bad-1", code="ingest.unreadable",
        field="model", message="the record could not be read", raw=b'{"id": "bad-1"}', parser="capstan", received_at=at,
    )  # fmt: skip
    _polled(made, at)
    _alerts(made, at)
    first = upstreams.upstream(
        acme.id, at=at, any_model=True, region="eu", labels=("fast",), headers={"x-title": "Acme"}
    )
    upstreams.deployment(first, "gpt-5-mini", upstream_model="gpt-5-mini-2026-08-01", rank=1, at=at)
    upstreams.upstream(acme.id, name="deepseek", provider="deepseek", base_url="https://api.deepseek.com/v1", at=at)
    old = upstreams.upstream(acme.id, name="together", base_url="https://api.together.xyz/v1", at=at)
    archive_upstream(organization_id=acme.id, upstream_id=old.id, by=HOUSE, at=at)
    upstreams.wishes(VirtualKey.objects.filter(organization=acme).earliest("id"), order=("openai",), only=True, at=at)
    captures.capturing(acme.id, task_types=("triage",), at=at)
    captures.captured(acme.id, "c" * 24, task_type="triage", at=at)
    routed(made)
    billed_company(made)
    closed_company(made)
    return made


def _polled(made: Company, at: datetime) -> None:
    """Two accounts: one is read, with its history under way; of the other the credential is refused."""
    acme = made.cast.acme
    ours = polling.put(acme, at=at - timedelta(days=9))
    read, cost = ours.feeds.order_by("id")
    read.watermark = read.last_success_at = read.last_tried_at = at - timedelta(minutes=4)
    read.next_at, read.newest_at = at + timedelta(minutes=6), at - timedelta(minutes=64)
    read.rows, read.booked, read.revised, read.duplicates, read.held = 184_233, 9_120, 41, 175_071, 1
    read.save()
    since = read.begun_from - timedelta(days=200)
    job = open_backfill(organization_id=acme.id, feed_id=read.id, since=since, by=HOUSE, at=at)
    Job.objects.filter(id=job.id).update(done=11)
    QuarantinedRecord.objects.create(
        organization=acme, source=read.source, digest=b"y" * 16, external_id="usage:2026-11-01T04", field="model",
        code="connectors.field_missing", message="there is no model", raw=b"{}", parser="capstan", received_at=at,
    )  # fmt: skip
    cost.state, cost.troubled_since, cost.next_at = PolledFeed.State.LIMITED, at - timedelta(hours=3), at
    cost.last_code, cost.last_message = "connectors.rate_limited", "It answered 429."
    cost.save()
    refused = polling.put(acme, label="Anthropic, research", credential="another", at=at - timedelta(days=2))
    refused.feeds.update(
        state=PolledFeed.State.REFUSED, troubled_since=at - timedelta(hours=20), last_tried_at=at - timedelta(hours=20),
        last_message="The provider refuses the credential: it answered 401.",
    )  # fmt: skip


def _sub_agents(made: Company, at: datetime) -> None:
    """A session that handed work on, and whose sub-agent did too."""
    handed = (
        (),
        (("agent_id", "a1-plan"), ("subagent", "plan")),
        (("agent_id", "b1-explore"), ("parent_agent_id", "a1-plan"), ("subagent", "explore")),
        (("agent_id", "c1-test"), ("subagent", "test")),
    )
    whose = Dimensions(person=made.cast.bob.slug, project=made.projects[0].slug)
    book(
        made,
        [
            event(
                90_000 + n, at - timedelta(hours=2, minutes=-n), session=SESSION, dimensions=whose, tags=handed[n % 4]
            )
            for n in range(12)
        ],
    )


def _alerts(made: Company, at: datetime) -> None:
    """Incidents of three kinds, one of them told, one looked after and one over; and channels."""
    acme = made.cast.acme.id
    mine: dict[str, Any] = {"by": HOUSE, "at": at}
    alerts.channel(acme, "email", name="Finance", quiet_from=time(22), quiet_until=time(7), at=at)
    ops = alerts.channel(acme, "slack", name="Platform on call", at=at)
    alerts.rule(acme, "spend.unattributed", name="Nobody’s spend", digest=True, at=at)
    for key, reason in (("session:s-12", "50 identical calls in a row"), (f"agent:{made.agent.id}", "$41 in a minute")):
        alerts.signal(acme, key=key, reason=reason, at=at)
    alerts.signal(acme, "stop.made", f"team:{made.cast.chat.id}", reason="The cluster moves", at=at)
    take_signals(at=at)
    evaluate_thresholds(organization_id=acme, at=at)
    first, second, third = Incident.objects.filter(organization_id=acme).order_by("id")[:3]
    acknowledge(organization_id=acme, incident_id=second.id, **mine)
    resolve(organization_id=acme, incident_id=third.id, note="It has moved", **mine)
    first.deliveries.filter(channel=ops).update(state="delivered", delivered_at=at, tries=1)
    error = "Failed to send to Slack: Forbidden, error=403."
    second.deliveries.filter(channel=ops).update(tries=2, last_error=error, next_try_at=at + timedelta(minutes=1))


@dataclass
class Watched:
    """A page and everything its browser complained of."""

    page: Page
    base: str
    complaints: list[str] = field(default_factory=list)

    def open(self, path: str) -> Page:
        self.page.goto(self.base + path)
        return self.page


@pytest.fixture
def visit(chromium: Browser, live_server: Any, company: Company) -> Iterator[Callable[..., Watched]]:
    """Opens a window as somebody: `visit(user, width=390, theme="dark", script=False)`."""
    contexts: list[BrowserContext] = []

    def of(user: User, *, width: int = 1440, theme: str = "light", script: bool = True) -> Watched:
        context = chromium.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if theme == "dark" else "light",
            java_script_enabled=script,
            reduced_motion="reduce",
        )
        contexts.append(context)
        context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": _session(user), "url": live_server.url}])
        watched = Watched(context.new_page(), live_server.url)
        watched.page.on("console", lambda message: _note(watched, message))
        watched.page.on("pageerror", lambda error: watched.complaints.append(f"error: {error}"))
        return watched

    yield of
    for context in contexts:
        context.close()


def _note(watched: Watched, message: ConsoleMessage) -> None:
    """Violations of the Content-Security-Policy are console errors too. That a font came and was not drawn with for
    some seconds says how busy this machine is.
    """
    if message.type in {"error", "warning"} and "was preloaded using link preload but not used" not in message.text:
        watched.complaints.append(f"{watched.page.url}: {message.text}")


def _session(user: User) -> str:
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = BACKEND
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    return str(session.session_key)
