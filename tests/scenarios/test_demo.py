"""Finance opens the demo company: it is all there, it adds up, and there is something to find."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from pytest_django import DjangoDbBlocker

from finops.audit.models import AuditEvent
from finops.budgets.models import Budget, Increase
from finops.core.periods import DayRange
from finops.core.tokens import METER_INDEX
from finops.ingest.demo import incidents, seeding, shapes
from finops.ingest.demo.booking import Booking
from finops.ingest.demo.company import LOGINS, company
from finops.ingest.demo.rhythm import span
from finops.ingest.demo.streams import INVOICES, STREAMS, Streams
from finops.ingest.demo.world import World
from finops.ingest.models import QuarantinedRecord
from finops.ledger import selectors as ledger
from finops.ledger.services import settle_days
from finops.ledger.types import Grain, SpendQuestion, SpendRow
from finops.months import selectors as months
from finops.orgs.models import Agent, Identity, Membership, Organization, Person, Project, Team, VirtualKey
from finops.pricing import selectors as pricing
from finops.pricing.rules.rating import input_tokens
from finops.reconciliation import selectors as reconciliation
from finops.runtime.demo_login import DEMO_FINANCE
from finops.seats.selectors import plans as seat_plans
from finops.seats.worth import worth_of
from tests.factories.budgets import standing

# Founding a company of 300 takes some ten thousand statements: seconds, but many on a busy machine.
pytestmark = pytest.mark.timeout(600)
AS_OF = "2026-11-20"
CHARGES = 2_000
PERIOD = DayRange(date(2026, 8, 22), date(2026, 11, 21))


def seed_demo() -> str:
    out = StringIO()
    call_command("seed_demo", as_of=AS_OF, charges=CHARGES, stdout=out)
    return out.getvalue()


def rows(statement: str, *params: int) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found


def events_of(organization: Organization) -> list[tuple[str, str]]:
    """(source, id) of every record the demo is made of, worked out anew."""
    keys = dict(VirtualKey.objects.filter(organization=organization).values_list("name", "prefix"))
    world = World(company(), keys, span(seeding._plan_of(organization).until), CHARGES)
    streams = Streams(world)
    return [
        (source, event.external_id)
        for number in range(len(world.span.days))
        for happenings in (streams.on(number), incidents.incidents(world, number))
        for source, event in happenings
    ]


@pytest.mark.django_db
def test_an_interrupted_demo_is_completed_by_the_next_run(monkeypatch: pytest.MonkeyPatch) -> None:
    book = Booking._book

    def pull_the_plug(self: Booking, numbers: range) -> None:
        if numbers.start > 40:
            raise KeyboardInterrupt
        book(self, numbers)

    with monkeypatch.context() as patched, pytest.raises(CommandError, match="run seed_demo again"):
        patched.setattr(Booking, "_book", pull_the_plug)
        seed_demo()
    half = Organization.objects.get(slug="acme")
    assert not seeding.is_complete(half)
    assert rows("SELECT count(*) > 0 FROM ledger_charge WHERE organization_id = %s", half.id) == [(True,)]

    # It goes on as it was begun, whatever this run is asked for.
    call_command("seed_demo", as_of="2026-11-02", charges=99_999, processes=1, stdout=StringIO())

    assert seeding.is_complete(half)
    charged = rows(
        "SELECT s.slug, c.external_id FROM ledger_charge c JOIN sources_source s ON s.id = c.source_id"
        " WHERE c.organization_id = %s AND c.reason = '' AND s.kind <> 'seats'",
        half.id,
    )
    assert sorted(charged) == sorted(events_of(half))


@pytest.fixture(scope="module")
def acme(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Organization]:
    """The demo company, small, for all tests below; gone after them."""
    with django_db_blocker.unblock(), transaction.atomic():
        seed_demo()
        yield Organization.objects.get(slug="acme")
        transaction.set_rollback(True)


def spend(
    acme: Organization, *by: str, only: dict[str, str] | None = None, grain: Grain = Grain.TOTAL
) -> list[SpendRow]:
    filters = {
        name: frozenset(ledger.term_ids(acme.id, name, [value]).values()) for name, value in (only or {}).items()
    }
    return ledger.spend(SpendQuestion(acme.id, PERIOD, by, filters, grain))


def named(acme: Organization, dimension: str, *, only: dict[str, str] | None = None) -> dict[str, Decimal]:
    """Reporting cost by the label of a dimension; '' is none."""
    answer = spend(acme, dimension, only=only)
    labels = ledger.labels(acme.id, dimension, [row.values[0] for row in answer])
    totals: defaultdict[str, Decimal] = defaultdict(Decimal)
    for row in answer:
        totals[labels.get(row.values[0], "") if row.values[0] else ""] += row.reporting_cost
    return totals


def test_everyone_and_everything_is_there(acme: Organization) -> None:
    assert acme.is_demo
    assert "demo" in acme.name
    models = (Team, Person, Project, Agent)
    assert [model.objects.filter(organization=acme).count() for model in models] == [38, 300, 40, 60]
    assert not Agent.objects.filter(organization=acme, owner=None).exists()
    assert Identity.objects.filter(organization=acme).count() > 450
    assert seeding.is_complete(acme)


def test_the_printed_logins_work_and_belong_to_people(acme: Organization) -> None:
    for email, password, _ in LOGINS:
        user = authenticate(None, username=email, password=password)
        assert user is not None
        assert Person.objects.get(organization=acme, user_id=user.pk).email == email
    roles = dict(Membership.objects.filter(organization=acme).values_list("user__email", "role"))
    assert roles[DEMO_FINANCE[0]] == "finance"
    assert sorted(roles.values()) == ["engineer", "finance", "owner", "team_lead"]
    lead = Membership.objects.get(organization=acme, role="team_lead")
    assert [team.slug for team in lead.teams.all()] == ["search"]


def test_running_it_again_adds_nothing(acme: Organization) -> None:
    def picture() -> list[tuple[Any, ...]]:
        tables = ("ledger_charge", "ledger_sighting", "audit_auditevent", "ingest_quarantinedrecord")
        return [rows(f"SELECT count(*) FROM {table} WHERE organization_id = %s", acme.id)[0] for table in tables]

    before = picture()
    assert "nothing to do" in seed_demo()
    assert picture() == before


def test_the_answer_names_the_logins(acme: Organization) -> None:
    said = seed_demo()
    assert all(email in said and password in said for email, password, _ in LOGINS)


def test_every_record_is_charged_once_and_the_pages_add_up_to_the_charges(acme: Organization) -> None:
    charged = rows(
        "SELECT s.slug, c.external_id FROM ledger_charge c JOIN sources_source s ON s.id = c.source_id"
        " WHERE c.organization_id = %s AND c.reason = '' AND s.kind <> 'seats'",
        acme.id,
    )
    assert sorted(charged) == sorted(events_of(acme))
    [(calls, listed, effective, reporting)] = rows(
        "SELECT sum(calls), sum(list_cost), sum(effective_cost), sum(reporting_cost) FROM ledger_charge"
        " WHERE organization_id = %s",
        acme.id,
    )
    for grain in (Grain.TOTAL, Grain.DAY):
        answer = spend(acme, grain=grain)
        assert sum(row.calls for row in answer) == calls
        assert sum(row.list_cost for row in answer) == listed
        assert sum(row.effective_cost for row in answer) == effective
        assert sum(row.reporting_cost for row in answer) == reporting


def test_a_team_codes_on_seats_and_four_of_them_are_idle(acme: Organization) -> None:
    [found] = worth_of(acme.id, list(seat_plans(acme.id)), today=date.fromisoformat(AS_OF))
    # Four who write no code; and in so small a demo some of the team too.
    assert 4 <= len(found.idle) < found.plan.seats
    assert (found.unknown, found.unassigned) == ((), 0)
    assert found.calls > 0
    assert found.month_equivalent > 0
    covered = "tags ->> 'capstan.seat_plan' = 'Claude Team' AND reverses IS NULL"
    paid = rows(
        "SELECT sum(effective_cost), sum(list_cost) > 0 FROM ledger_charge"
        f" WHERE organization_id = %s AND {covered}", acme.id,
    )  # fmt: skip
    assert paid == [(0, True)]
    assert rows("SELECT made_until FROM seats_seatbooks WHERE organization_id = %s", acme.id) == [(date(2026, 11, 21),)]


def test_the_days_that_lie_behind_are_settled(acme: Organization) -> None:
    assert len(rows("SELECT until FROM ledger_settled WHERE organization_id = %s", acme.id)) == 1
    assert settle_days(organization_id=acme.id) is None, "nothing is left to settle"


def test_october_is_closed_and_one_call_of_it_was_taken_back_since(acme: Organization) -> None:
    [row] = months.closings(acme.id)
    assert (row.month, row.closed_at.date(), row.carried) == (date(2026, 10, 1), date(2026, 11, 3), Decimal(0))
    assert row.reason
    [late] = months.late(acme.id)
    assert (late.charges, late.calls) == (1, -1)
    assert late.reporting_cost < 0
    [(spent,)] = rows(
        "SELECT sum(reporting_cost) FROM ledger_charge WHERE organization_id = %s"
        " AND occurred_at >= '2026-10-01T00:00Z' AND occurred_at < '2026-11-01T00:00Z'",
        acme.id,
    )
    assert row.amount + late.reporting_cost == spent


def test_everything_is_priced_but_the_model_nobody_knows_yet(acme: Organization) -> None:
    unpriced = spend(acme, "model", only={"state": "unpriced"})
    labels = ledger.labels(acme.id, "model", [row.values[0] for row in unpriced])
    assert set(labels.values()) == {incidents.NEW_MODEL}
    assert sum(row.effective_cost for row in unpriced) == 0
    assert sum(row.calls for row in unpriced) > 0


def test_no_summed_record_is_taken_for_one_long_prompt(acme: Organization) -> None:
    # Past a threshold every token is dearer; a record of many short calls must not look like one long one.
    pricer = pricing.load_pricer(acme.id)
    world = Booking(acme.id, until=seeding._plan_of(acme).until, charges=CHARGES)._world
    for number, day in enumerate(world.span.days):
        for _, event in Streams(world).on(number):
            found = pricer.find(event.provider, event.model, event.service_tier, event.host, day)
            steps = [step for card in found.cards for step in card.steps[1:]]
            if steps and event.counts[METER_INDEX["requests"]] > 1:
                assert input_tokens(event.counts) <= min(step.above_input_tokens for step in steps), event.model


def test_what_nobody_answers_for_is_the_old_build_server_and_what_nobody_saw(acme: Organization) -> None:
    keys = named(acme, "key", only={"state": "unattributed"})
    assert keys.pop("") == named(acme, "source", only={"state": "unattributed"})["OpenAI cost report"] > 0
    assert {name.split(" ")[0] for name in keys} == {"legacy-ci"}
    assert sum(keys.values()) > 0
    assert Decimal("0.005") < sum(keys.values()) / sum(named(acme, "state").values()) < Decimal("0.05")


def test_the_runaway_night_is_the_dearest_day(acme: Organization) -> None:
    days: defaultdict[date, Decimal] = defaultdict(Decimal)
    for row in spend(acme, grain=Grain.DAY):
        assert row.bucket is not None
        days[row.bucket] += row.reporting_cost
    [(most, dearest), (second, _)] = sorted(((cost, day) for day, cost in days.items()), reverse=True)[:2]
    assert dearest == incidents.runaway_day(
        Booking(acme.id, until=seeding._plan_of(acme).until, charges=CHARGES)._world
    )
    assert most > Decimal("1.15") * second
    night = ledger.spend(SpendQuestion(acme.id, DayRange(dearest, dearest + timedelta(days=1)), ("agent",), limit=1))
    assert [row.values[0] for row in night] == [Agent.objects.get(organization=acme, slug=incidents.RUNAWAY_AGENT).id]


def test_several_providers_and_ways_to_buy(acme: Organization) -> None:
    providers = named(acme, "provider")
    assert {
        "anthropic",
        "openai",
        "google",
        "mistral",
        "openrouter",
        "together",
        shapes.OWN_PROVIDER,
    } <= providers.keys()
    assert named(acme, "service_tier")["batch"] > 0
    assert named(acme, "category")["Purchase"] > 0
    assert named(acme, "category")["Credit"] < 0
    assert named(acme, "tag1")["prod"] > 0
    euro = [row for row in spend(acme, "provider") if row.currency == "EUR"]
    assert euro
    assert all(Decimal(1) < row.reporting_cost / row.effective_cost < Decimal("1.3") for row in euro)


def test_a_discount_shows_from_the_day_it_was_agreed(acme: Organization) -> None:
    anthropic = ledger.term_ids(acme.id, "provider", ["anthropic"])["anthropic"]
    usage = ledger.term_ids(acme.id, "category", ["Usage"])["Usage"]
    of = {"provider": frozenset({anthropic}), "category": frozenset({usage})}
    for period, off in ((DayRange(PERIOD.start, date(2026, 10, 1)), 0), (DayRange(date(2026, 10, 1), PERIOD.end), 12)):
        [row] = ledger.spend(SpendQuestion(acme.id, period, (), of))
        assert row.contracted_cost / row.list_cost == pytest.approx(Decimal(100 - off) / 100)


def test_the_platform_is_paid_by_those_who_use_it(acme: Organization) -> None:
    platform = Project.objects.get(organization=acme, slug="shared-platform").id
    sums = dict(
        rows(
            "SELECT reason, sum(effective_cost) FROM ledger_charge WHERE organization_id = %s AND project_id = %s"
            " AND (reason = 'allocation' OR category_id = (SELECT id FROM ledger_term WHERE organization_id = %s"
            " AND kind = 'category' AND value = 'Purchase')) GROUP BY reason",
            acme.id,
            platform,
            acme.id,
        )
    )
    assert sums[""] > 0
    assert sums["allocation"] == -sums[""]
    [(all_lines,)] = rows(
        "SELECT sum(effective_cost) FROM ledger_charge WHERE organization_id = %s AND reason = 'allocation'", acme.id
    )
    assert all_lines == 0


def test_the_sandbox_changed_hands_when_the_rule_says(acme: Organization) -> None:
    account = ledger.term_ids(acme.id, "provider_account", ["acme-sandbox"])["acme-sandbox"]
    moved = seeding._plan_of(acme).until.date() - timedelta(days=48)
    for period, team in (
        (DayRange(PERIOD.start, moved), "developer-experience"),
        (DayRange(moved, PERIOD.end), "ml-platform"),
    ):
        answer = ledger.spend(SpendQuestion(acme.id, period, ("team",), {"provider_account": frozenset({account})}))
        assert {row.values[0] for row in answer} == {Team.objects.get(organization=acme, slug=team).id}


def test_some_records_wait_in_quarantine_and_some_were_seen_twice(acme: Organization) -> None:
    codes = Counter(QuarantinedRecord.objects.filter(organization=acme).values_list("code", flat=True))
    assert codes["ingest.time_out_of_range"] == 2
    assert codes["pricing.no_exchange_rate"] == 1
    assert codes.total() == 8
    franc = QuarantinedRecord.objects.get(organization=acme, code="pricing.no_exchange_rate")
    assert franc.source.slug == INVOICES
    assert b"CHF" in bytes(franc.raw)
    assert rows("SELECT count(*) > 0 FROM ledger_sighting WHERE organization_id = %s", acme.id) == [(True,)]


def test_the_trail_says_who_made_it(acme: Organization) -> None:
    verbs = Counter(AuditEvent.objects.filter(organization_id=acme.id).values_list("verb", flat=True))
    assert verbs["person.added"] == 300
    assert verbs["attribution_rule.changed"] == 1
    assert verbs["demo.begun"] == verbs["demo.completed"] == 1
    assert set(
        AuditEvent.objects.filter(organization_id=acme.id, verb="person.added").values_list("actor", flat=True)
    ) == {"system:demo"}


def test_each_kind_of_work_is_there(acme: Organization) -> None:
    seen = {
        name.split("-")[0]
        for (name,) in rows("SELECT external_id FROM ledger_charge WHERE organization_id = %s", acme.id)
    }
    assert {stream.name for stream in STREAMS} <= seen


def test_the_last_days_are_what_one_provider_billed_for_them(acme: Organization) -> None:
    """A little less for what was seen, and a key that nobody told of."""
    until = seeding._plan_of(acme).until
    days = DayRange(until.date() - timedelta(days=30), until.date())
    [total] = reconciliation.totals(acme.id, days, at=until)
    assert (total.provider, total.tied, len(total.waiting)) == ("openai", 10, 1)
    assert -total.seen * Decimal("0.05") < total.corrected < 0
    assert 0 < total.unattributed == total.unseen < total.billed / 10
    tied = DayRange(until.date() - timedelta(days=11), until.date() - timedelta(days=1))
    openai = ledger.term_ids(acme.id, "provider", ["openai"])["openai"]
    booked = ledger.spend(SpendQuestion(acme.id, tied, (), {"provider": frozenset({openai})}))
    assert sum(row.effective_cost for row in booked) == total.billed


@pytest.mark.django_db
def test_it_does_not_touch_a_company_of_that_name() -> None:
    Organization.objects.create(slug="acme", name="Acme")
    with pytest.raises(CommandError, match="is not the demo"):
        seed_demo()


@pytest.mark.parametrize("arguments", [["--as-of", "yesterday"], ["--charges", "0"], ["--charges", "many"]])
def test_it_says_what_it_cannot_read(arguments: list[str]) -> None:
    with pytest.raises(CommandError):
        call_command("seed_demo", *arguments)


def test_its_caps_show_one_passed_one_nearly_full_and_somebody_who_asks(acme: Organization) -> None:
    caps = {row.name: row for row in Budget.objects.filter(organization=acme)}
    assert len(caps) == 4
    passed = rows(
        "SELECT count(*) FROM budgets_account AS a WHERE a.budget_id = %s AND a.limit_amount / 2 < a.observed"
        " + (SELECT coalesce(sum(o.amount), 0) FROM budgets_observed AS o WHERE o.account_id = a.id)",
        caps["Invoice matching, a day"].id,
    )
    assert passed == [(1,)]
    month = caps["Everything, a month"]
    assert Decimal("0.85") < standing(month, seeding._plan_of(acme).until).spent / month.limit_amount < 1
    [asked] = Increase.objects.filter(organization=acme)
    assert (asked.state, asked.budget, asked.expires_at > asked.asked_at) == (
        "asked",
        caps["Each person, a week"],
        True,
    )
