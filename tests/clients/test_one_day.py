"""One day of Acme: the provider keeps the truth, four sources tell what they saw of it, each with gaps and repeats, and
its reports come twice. The books are its invoice.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random

import httpx2
import pytest
from django.test import override_settings
from django.utils import timezone

from finops.core.money import from_pico
from finops.ledger.selectors import content_matches
from finops.ledger.services import rematch
from finops.orgs.services import add_project, issue_key
from finops.polling import services as polling
from finops.polling.models import PolledFeed
from finops.reconciliation.models import MOST_HOURS, ReconciledDay
from finops.reconciliation.services import reconcile
from finops.runtime.places import CHECKOUT
from finops.sources.models import Source
from tests.clients.running import run
from tests.clients.website import website
from tests.environments import installed
from tests.factories.attribution import draft, rule
from tests.factories.day import ACCOUNTS, BODIES, WAYS, Call, DayReports, as_spans, calls_of, sent, tokens_of
from tests.factories.ledger import disagreements, rows
from tests.factories.orgs import HOUSE, Cast, the_cast
from tests.factories.pricing import provider, seed

pytestmark = [pytest.mark.timeout(1_800), pytest.mark.django_db(transaction=True)]
# What the price book says, which is not what is billed.
PRICES = {
    "gpt-5.2-2026-01-01": {"input_mtok": "1.75", "cache_read_mtok": "0.175", "output_mtok": "14"},
    "gpt-5-mini": {"input_mtok": "0.25", "cache_read_mtok": "0.03", "output_mtok": "2.1"},
}
DOORS = {"events": "events", "litellm": "litellm/events", "codex": "otlp/v1/logs"}
TYPES = {"events": "application/cloudevents-batch+json"}
SOURCES = {"events": "cloudevents", "litellm": "litellm", "spans": "otlp", "codex": "otlp"}


class Acme:
    """Two projects, three people who call, and a provider's account with two projects of its own."""

    def __init__(self, cast: Cast, address: str, folder: Path) -> None:
        self.cast, self.address, self.folder = cast, address, folder
        now = timezone.now()
        self.id = cast.acme.id
        self.midnight = (now - timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
        self.people = {person.email: person.id for person in (cast.alice, cast.bob, cast.dana)}
        self.projects = {
            name.lower(): add_project(organization_id=self.id, name=name, by=HOUSE, at=now).id
            for name in ("Relaunch", "Assist")
        }
        for slug, project_id in self.projects.items():
            says = draft(("tag:litellm_project", "one_of", (slug,)), project=project_id)
            rule(self.id, says, name=f"LiteLLM's {slug}")
        self.key = issue_key(organization_id=self.id, name="Collector", by=HOUSE, at=now).secret

    def hears(self, way: str, calls: list[Call]) -> None:
        if way == "spans":
            path = self.folder / "spans"
            path.write_text(as_spans(calls))
            python = str(installed("clients") / "bin" / "python")
            script = str(CHECKOUT / "tests" / "clients" / "exporting_calls.py")
            run([python, script, f"{self.address}/api/v1/otlp", self.key, str(path)], {})
            return
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": TYPES.get(way, "application/json")}
        said = httpx2.post(
            f"{self.address}/api/v1/{DOORS[way]}", content=BODIES[way](calls), headers=headers, timeout=60
        )
        assert said.status_code == 200, said.text

    def polls(self, at: datetime) -> None:
        feeds = list(PolledFeed.objects.filter(source__organization_id=self.id).order_by("id"))
        PolledFeed.objects.update(next_at=at)
        for feed in feeds:
            assert polling.poll(feed.id, lambda: at)
        assert {one.state for one in PolledFeed.objects.all()} == {"active"}

    def reconciles(self) -> None:
        """When the day has been over for long enough, whatever the clock says."""
        rematch(organization_id=self.id, since=self.midnight, at=timezone.now())
        reconcile(organization_id=self.id, at=max(timezone.now(), self.midnight + timedelta(hours=24 + MOST_HOURS)))


@pytest.fixture
def acme() -> Iterator[Acme]:
    cast = the_cast()
    seed([provider("openai", PRICES)], at=timezone.now() - timedelta(days=100))
    with (
        override_settings(INTERNAL_HOSTS={"127.0.0.1"}),
        tempfile.TemporaryDirectory(prefix="capstan-") as folder,
        website(Path(folder)) as address,
    ):
        yield Acme(cast, address, Path(folder))


@pytest.mark.parametrize("number", [1_500, pytest.param(50_000, marks=pytest.mark.soak)])
def test_the_books_of_a_day_are_its_invoice(number: int, acme: Acme) -> None:
    luck = Random(number)
    calls = calls_of(number, acme.midnight, people=list(acme.people), projects=list(acme.projects), seed=number)
    fake = DayReports(calls, until=acme.midnight + timedelta(days=1), told=0.9)
    try:
        polling.connect(
            organization_id=acme.id, account="openai", credential=fake.credential, address=fake.address,
            since=acme.midnight, by=HOUSE, at=timezone.now(),
        )  # fmt: skip
        acts = [(way, batch) for way in WAYS for batch in sent(calls, way, luck, max(number // 20, 200))]
        luck.shuffle(acts)
        for place, (way, batch) in enumerate(acts):
            acme.hears(way, batch)
            if place == len(acts) // 2:
                acme.polls(timezone.now())
                acme.reconciles()
        fake.settle()
        acme.polls(timezone.now() + timedelta(hours=2))
        acme.reconciles()
        the_books_are(acme, calls, fake)
        # And nothing that is told again changes them.
        way, batch = acts[0]
        acme.hears(way, batch)
        acme.reconciles()
        the_books_are(acme, calls, fake)
    finally:
        fake.close()


def the_books_are(acme: Acme, calls: list[Call], fake: DayReports) -> None:
    day = ReconciledDay.objects.get(organization_id=acme.id)
    invoice = from_pico(fake.invoice())
    assert (day.state, day.billed) == ("tied", invoice)
    assert rows("SELECT sum(effective_cost) FROM ledger_charge") == [(invoice,)]
    assert disagreements(acme.id) == []
    assert rows("SELECT count(*) FROM ingest_quarantinedrecord") == [(0,)]

    # Every call that somebody saw is its person's and its project's, once.
    seen = [call for call in calls if call.seen]
    whose = Counter((acme.people[call.email], acme.projects[call.project]) for call in seen)
    found = rows("SELECT person_id, project_id, sum(calls) FROM ledger_charge GROUP BY 1, 2 HAVING sum(calls) <> 0")
    assert {(person, project): int(number) for person, project, number in found} == whose

    # What nobody saw is nobody's: these tokens, at what was billed for each.
    missed = tokens_of(call for call in calls if not call.seen)
    sums = ", ".join(f"coalesce(sum({meter}), 0)" for meter in missed)
    (nobodys,) = rows(f"SELECT sum(effective_cost), {sums} FROM ledger_charge WHERE person_id = 0")
    assert [int(count) for count in nobodys[1:]] == list(missed.values())
    assert nobodys[0] == day.unattributed == day.unseen
    assert nobodys[0] > 0

    # Of Codex's events, those that another source saw are matched by what they say, and counted as that.
    matched = sum("codex" in call.seen and len(call.seen) > 1 for call in calls)
    assert content_matches(acme.id, Source.objects.get(slug=SOURCES["codex"]).id, since=acme.midnight) == matched
    assert Decimal(0) < nobodys[0] < invoice / 4
    assert {call.account for call in calls} == set(ACCOUNTS)
