"""The pages over HTTP: what each person sees, that figures tie out, and that nothing typed makes a page fail."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from finops.attribution.models import AttributionRule
from finops.attribution.services import create_rule, promote_tag
from finops.attribution.types import Assignment, Condition, Operator, RuleDraft
from finops.audit.models import AuditEvent
from finops.ingest.models import QuarantinedRecord
from finops.ingest.services import run_rework
from finops.jobs.models import Job
from finops.jobs.services import claim
from finops.ledger import selectors as ledger
from finops.orgs import services as orgs
from finops.orgs.models import Person, User, VirtualKey
from finops.pricing.models import Contract
from tests.factories.company import Company, book, busy_company, counts, empty_company, event
from tests.factories.orgs import HOUSE, member

BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
SPEND_PAGES = ("overview", "spend", "charges")
ADMIN_PAGES = (
    "unpriced", "rules", "rule_add", "sources", "source_add", "prices", "contract_discount", "contract_committed",
    "contract_custom", "alias_add", "exchange_add", "people", "person_add", "team_add", "keys", "key_issue", "jobs",
    "audit", "settings", "invite",
)  # fmt: skip


def at(name: str, **kwargs: Any) -> str:
    return reverse(f"dashboards:{name}", kwargs={"organization": "acme", **kwargs})


def text_of(response: Any) -> str:
    text: str = response.content.decode()
    return text


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def company(db: None, now: datetime) -> Company:
    return busy_company(now, days=40, calls_a_day=12)


@pytest.fixture
def browser() -> Callable[[User], Client]:
    def of(user: User) -> Client:
        client = Client()
        client.force_login(user, backend=BACKEND)
        return client

    return of


@pytest.fixture
def alice(company: Company, browser: Callable[[User], Client]) -> Client:
    return browser(company.cast.alice_login)


def ledger_total(company: Company, days: int) -> Decimal:
    """The charges themselves, asked without any of the product's own reading."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(sum(reporting_cost), 0) FROM ledger_charge WHERE organization_id = %s"
            " AND occurred_at >= %s",
            [company.cast.acme.id, (company.at - timedelta(days=days - 1)).replace(hour=0, minute=0, second=0)],
        )
        return Decimal(cursor.fetchone()[0])


# --- Who may come in --------------------------------------------------------------------------------------------------
def test_a_stranger_is_asked_to_log_in(company: Company) -> None:
    for name in (*SPEND_PAGES, *ADMIN_PAGES):
        response = Client().get(at(name))
        assert response.status_code == 302, name
        assert response["Location"].startswith("/accounts/login/")


def test_charlie_of_globex_does_not_even_learn_that_acme_exists(
    company: Company, browser: Callable[..., Client]
) -> None:
    charlie = browser(company.cast.charlie_login)
    for name in (*SPEND_PAGES, *ADMIN_PAGES):
        assert charlie.get(at(name)).status_code == 404, name


def test_alice_opens_every_page(alice: Client) -> None:
    for name in (*SPEND_PAGES, *ADMIN_PAGES):
        response = alice.get(at(name))
        assert response.status_code == 200, name
        assert "<h1" in text_of(response)


def test_the_start_leads_to_the_only_organization(alice: Client) -> None:
    assert alice.get("/")["Location"] == at("overview")


def test_an_engineer_sees_totals_of_the_team_and_only_calls_of_their_own(
    company: Company, browser: Callable[..., Client]
) -> None:
    bob = browser(company.cast.bob_login)
    overview = text_of(bob.get(at("overview"), {"period": "last-30d"}))
    assert ">People<" not in overview
    assert ">Chat<" not in overview
    page = ledger.charges(company.cast.acme.id, _days(company, 40), limit=500)
    whose = {row.dimensions["person"] for row in page.rows}
    assert company.cast.alice.id in whose
    for row in page.rows[:60]:
        expected = 200 if row.dimensions["person"] == company.cast.bob.id else 404
        assert bob.get(at("charge", charge_id=row.id)).status_code == expected
    assert bob.get(at("spend"), {"group": "person"}).status_code == 403
    assert bob.get(at("audit")).status_code == 403


def test_a_viewer_sees_totals_and_no_single_call(company: Company, browser: Callable[..., Client]) -> None:
    viewer = browser(_login(member(company.cast.acme, "Vera", "viewer")))
    overview = viewer.get(at("overview"))
    assert overview.status_code == 200
    assert at("charges") not in text_of(overview)
    assert viewer.get(at("charges")).status_code == 403
    assert viewer.get(at("spend_csv")).status_code == 403


def test_a_team_lead_sees_their_team_and_nothing_else(company: Company, browser: Callable[..., Client]) -> None:
    cast = company.cast
    lead = member(cast.acme, "Erin", "team_lead")
    orgs.change_role(
        organization_id=cast.acme.id, user_id=lead.user_id or 0, role="team_lead", team_ids=[cast.chat.id], by=HOUSE,
        at=company.at,
    )  # fmt: skip
    erin = browser(_login(lead))
    page = text_of(erin.get(at("spend"), {"group": "team", "period": "last-30d"}))
    assert ">Chat<" in page
    assert ">Search<" not in page
    assert erin.get(at("spend"), {"team": cast.search.id}).status_code == 403


# --- Figures tie out --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("group", ["", "team", "model", "team,model", "tag:env", "person", "state"])
def test_the_csv_the_screen_and_the_charges_say_the_same_total(
    now: datetime, db: None, group: str, browser: Any
) -> None:
    company = empty_company(now)
    promote_tag(organization_id=company.cast.acme.id, key="env", by=HOUSE, at=now)
    book(
        company,
        [
            event(number, now - timedelta(hours=number * 7),
                  counts=counts(input_uncached=3_333 * number, output_text=77),
                  tags=(("env", "prod" if number % 2 else "staging"),), model="gpt-4o" if number % 3 else "gpt-4o-mini")
            for number in range(1, 60)
        ],
    )  # fmt: skip
    alice = browser(company.cast.alice_login)
    question = {"period": "last-30d", "group": group}
    response = alice.get(at("spend_csv"), question)
    rows = list(csv.DictReader(io.StringIO(b"".join(response).decode())))
    total = sum((Decimal(row["reporting_cost"]) for row in rows), Decimal(0))
    assert total == ledger_total(company, 30) > 0
    assert sum(int(row["calls"]) for row in rows) == 59
    assert f'title="${total.normalize():,f}"' in text_of(alice.get(at("spend"), question))


def test_the_shown_column_adds_up_to_the_shown_total(company: Company, alice: Client) -> None:
    page = text_of(alice.get(at("spend"), {"period": "last-30d", "group": "model"}))
    body, foot = page.split("<tbody>")[-1].split("</tbody>")[0], page.split("<tfoot>")[1]
    cells = [
        Decimal(found.replace(",", ""))
        for found in re.findall(r'<td class="n" title="[^"]*"><a[^>]*>\$([\d,.]+)<', body)
    ]
    total = re.search(r"\$([\d,.]+)<", foot)
    assert total
    assert sum(cells) == Decimal(total[1].replace(",", ""))


def test_a_figure_opens_to_the_charges_that_make_it(company: Company, alice: Client) -> None:
    page = text_of(alice.get(at("spend"), {"period": "last-30d", "group": "model"}))
    href = re.search(r'href="(/o/acme/charges/\?[^"]*model=\d+[^"]*)"', page)
    assert href
    listed = text_of(alice.get(href[1].replace("&amp;", "&")))
    models = set(re.findall(r'<td class="cell-name">([^<]+)<span', listed))
    assert len(models) == 1


def test_charges_page_through_everything_once(company: Company, alice: Client) -> None:
    url, seen = at("charges") + "?period=last-30d", []
    while url:
        page = text_of(alice.get(url))
        seen += re.findall(r'href="/o/acme/charges/([0-9a-f-]{36})/"', page)
        onward = re.search(r'href="([^"]+)" rel="next"', page)
        url = onward[1].replace("&amp;", "&") if onward else ""
    assert len(seen) == len(set(seen)) > 100


def test_an_unpriced_model_does_not_look_free(company: Company, alice: Client) -> None:
    page = text_of(alice.get(at("spend"), {"period": "last-30d", "group": "model"}))
    row = next(part for part in page.split("<tr>") if "gpt-6-preview-unlisted" in part and "cell-name" in part)
    assert "unpriced" in row
    assert "$0.00" not in row


def test_a_charges_page_tells_how_it_was_priced_and_whose_it_is(company: Company, alice: Client) -> None:
    rows = ledger.charges(company.cast.acme.id, _days(company, 40), limit=500).rows
    row = next(row for row in rows if row.dimensions["person"] == company.cast.bob.id and row.counts[1])
    page = text_of(alice.get(at("charge", charge_id=row.id)))
    for said in (
        "Input uncached",
        "Cache read",
        "Output text",
        "per million",
        "Team: Search",
        "Person: Bob",
        row.external_id,
    ):
        assert said in page
    assert f"{row.effective_cost.normalize():f}" in page
    assert "do not add up" not in page
    assert ">prod<" in page or ">staging<" in page


def test_a_price_agreed_later_leaves_what_was_posted_explained_as_it_was(company: Company, alice: Client) -> None:
    row = ledger.charges(company.cast.acme.id, _days(company, 40), limit=500).rows[0]
    before = text_of(alice.get(at("charge", charge_id=row.id))).split("How it was priced")[1]
    provider = ledger.labels(company.cast.acme.id, "provider", [row.dimensions["provider"]]).popitem()[1]
    answer = alice.post(
        at("contract_discount"), {"provider": provider, "percent": "10", "effective_from": "2020-01-01"}, follow=True
    )
    assert "The discount holds" in text_of(answer)
    assert Contract.objects.get().percent == 10
    assert AuditEvent.objects.filter(verb__startswith="pricing.contract").exists()
    assert text_of(alice.get(at("charge", charge_id=row.id))).split("How it was priced")[1] == before
    book(company, [event(90_000, company.at - timedelta(hours=1), provider=provider, model=row.model_raw)])
    newest = next(
        one
        for one in ledger.charges(company.cast.acme.id, _days(company, 2), limit=500).rows
        if one.external_id == "call-90000"
    )
    page = text_of(alice.get(at("charge", charge_id=newest.id)))
    assert newest.contracted_cost == newest.list_cost * Decimal("0.9")
    assert f"{newest.contracted_cost.normalize():f}" in page
    assert "do not add up" not in page


def test_a_charge_that_does_not_exist_is_a_page_that_says_so(alice: Client) -> None:
    assert alice.get(at("charge", charge_id=uuid4())).status_code == 404


# --- Odd questions ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "query",
    ["period=nonsense", "team=abc", "group=a,b,c", "compare=x", "grain=x", "nonsense=1", "period=custom&from=x&to=y"],
)
def test_a_question_that_cannot_be_understood_is_a_page_with_400(alice: Client, query: str) -> None:
    for name in SPEND_PAGES:
        response = alice.get(f"{at(name)}?{query}")
        assert response.status_code == 400
        assert "dashboards." in text_of(response)


@pytest.mark.parametrize("odd", ["\0", "%", "'; --", "😀" * 50, "x" * 5000, "\ud7ff", "../..", "<b>"])
def test_odd_text_never_makes_a_page_fail(alice: Client, odd: str) -> None:
    asked = [
        (at("prices"), {"q": odd}), (at("people"), {"q": odd}), (at("sources"), {"state": odd, "code": odd}),
        (at("audit"), {"about": odd}), (at("audit"), {"cursor": odd}), (at("charges"), {"cursor": odd}),
        (at("charges"), {"session": odd}), (at("model"), {"provider": odd, "model": odd}),
        (at("jobs"), {"cursor": odd}),
        (at("pick"), {"pick": odd, "for": odd}), (at("pick"), {"pick": "model", "for": "spend", "q": odd}),
        (at("spend"), {"group": odd}), (at("overview"), {"period": odd}),
    ]  # fmt: skip
    for url, query in asked:
        response = alice.get(url, query)
        assert response.status_code in {200, 400, 404}, url
        assert "<b>" not in text_of(response).replace("<b>{", "") or odd != "<b>" or "&lt;b&gt;" in text_of(response)


def test_an_empty_organization_says_what_to_do_first(now: datetime, db: None, browser: Any) -> None:
    alice = browser(empty_company(now).cast.alice_login)
    assert "No usage has come in yet" in text_of(alice.get(at("overview")))
    assert "Everything has a price" in text_of(alice.get(at("unpriced")))


def test_a_filter_that_holds_nothing_says_so_and_how_to_clear_it(alice: Client) -> None:
    page = text_of(alice.get(at("spend"), {"customer": 4_000_000}))
    assert "Nothing in this filter" in page
    assert "Clear the filters" in page


# --- htmx, themes, forms ----------------------------------------------------------------------------------------------
def test_htmx_gets_the_part_it_asked_for_and_a_browser_the_whole_page(alice: Client) -> None:
    whole, part = alice.get(at("spend")), alice.get(at("spend"), headers={"HX-Request": "true"})
    assert "<html" in text_of(whole)
    assert "<html" not in text_of(part)
    assert 'id="answer"' in text_of(part)
    assert part["HX-Push-Url"].startswith("/o/acme/spend/?period=mtd")
    for response in (whole, part):
        assert "HX-Request" in response["Vary"]
    restored = alice.get(at("spend"), headers={"HX-Request": "true", "HX-History-Restore-Request": "true"})
    assert "<html" in text_of(restored)


def test_the_theme_is_kept_with_the_login_and_rendered_by_the_server(alice: Client) -> None:
    assert "data-theme" not in text_of(alice.get(at("overview"))).split("<head>")[0]
    answer = alice.post("/preferences/", {"theme": "dark", "next": at("spend")})
    assert answer["Location"] == at("spend")
    assert 'data-theme="dark"' in text_of(alice.get(at("overview")))
    assert (
        alice.post("/preferences/", {"theme": "dark", "next": "https://evil.example/"})["Location"] == "/preferences/"
    )


def test_single_letter_keys_can_be_switched_off(alice: Client) -> None:
    assert "shortcuts.js" in text_of(alice.get(at("overview")))
    alice.post("/preferences/", {"shortcuts": "off"})
    assert "shortcuts.js" not in text_of(alice.get(at("overview")))


def test_demo_data_is_labelled_on_every_page(company: Company, alice: Client) -> None:
    company.cast.acme.is_demo = True
    company.cast.acme.save(update_fields=["is_demo"])
    for name in (*SPEND_PAGES, "people"):
        assert "Synthetic demo data." in text_of(alice.get(at(name)))


def test_a_form_without_its_token_is_refused(company: Company) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(company.cast.alice_login, backend=BACKEND)
    assert strict.post(at("tag_promote"), {"key": "env"}).status_code == 403
    assert strict.post("/preferences/", {"theme": "dark"}).status_code == 403


# --- Changing things --------------------------------------------------------------------------------------------------
def test_a_key_is_shown_once(company: Company, alice: Client) -> None:
    form = {"name": "Gateway", "permissions": ["usage.write"], "team": "search"}
    answer = alice.post(at("key_issue"), form)
    secret = re.search(r"cap_[A-Za-z0-9]+_[A-Za-z0-9_-]{20,}", text_of(answer))
    assert secret
    assert answer["Cache-Control"] == "no-store"
    key = VirtualKey.objects.get(name="Gateway")
    assert key.team_id == company.cast.search.id
    assert secret[0] not in text_of(alice.get(at("keys")))
    alice.post(at("key_revoke", key_id=key.id))
    assert "revoked" in text_of(alice.get(at("keys")))
    assert AuditEvent.objects.filter(verb="key.revoked").exists()


def test_a_refused_form_keeps_what_was_typed_and_names_the_field(alice: Client) -> None:
    answer = alice.post(at("key_issue"), {"name": "Gateway", "permissions": ["usage.write"], "team": "nobody"})
    assert answer.status_code == 422
    assert 'value="Gateway"' in text_of(answer)
    assert "There is no team with the short name" in text_of(answer)
    answer = alice.post(at("settings"), {
        "name": "Acme", "reporting_currency": "usd!", "timezone": "UTC", "fiscal_calendar": "months",
        "fiscal_start_month": "1",
    })  # fmt: skip
    assert answer.status_code == 422


def test_a_rule_is_told_before_it_is_saved(company: Company, alice: Client) -> None:
    month = f"{company.at - timedelta(days=company.at.day):%Y-%m}"
    draft = {
        "name": "Region is Chat",
        "field0": "region",
        "operator0": "is",
        "values0": "eu-west-1",
        "team": "chat",
        "month": month,
    }
    told = text_of(alice.post(at("rule_add"), {**draft, "act": "preview"}))
    assert re.search(r"This would move <b[^>]*>\$[\d.]+</b> of", told)
    assert not AttributionRule.objects.exists()
    saved = alice.post(at("rule_add"), {**draft, "act": "save"})
    assert saved.status_code == 302
    rule = AttributionRule.objects.get()
    listed = text_of(alice.get(at("rules")))
    assert "Region is Chat" in listed
    assert "eu-west-1" in listed
    edited = text_of(alice.get(at("rule_edit", rule_id=rule.id)))
    assert 'value="chat"' in edited
    alice.post(at("rule_retire", rule_id=rule.id))
    assert "Region is Chat" not in text_of(alice.get(at("rules")))
    assert "Region is Chat" in text_of(alice.get(at("rules"), {"retired": "1"}))


def test_a_bad_condition_is_said_beside_the_form(alice: Client) -> None:
    draft = {"name": "Bad", "field0": "nonsense", "operator0": "is", "values0": "x", "team": "chat", "act": "preview"}
    answer = alice.post(at("rule_add"), draft)
    assert answer.status_code == 422
    assert "nonsense" in text_of(answer)


def test_an_unpriced_model_is_described_and_rated_again(company: Company, alice: Client) -> None:
    page = text_of(alice.get(at("unpriced")))
    assert "gpt-6-preview-unlisted" in page
    described = {"provider": "openai", "model": "gpt-6-preview-unlisted", "input_uncached": "2", "output_text": "8",
                 "cache_read": "0.5", "requests": "0", "currency": "USD", "effective_from": "2020-01-01"}  # fmt: skip
    assert alice.post(at("contract_custom"), described).status_code == 302
    assert alice.post(at("rerate")).status_code == 302
    job = claim(job_id=Job.objects.get().id, at=company.at)
    assert job is not None
    run_rework(job=job, now=lambda: company.at)
    assert "Everything has a price" in text_of(alice.get(at("unpriced")))
    jobs = text_of(alice.get(at("jobs")))
    assert "Rating again" in jobs
    assert "done" in jobs


def test_what_is_held_can_be_read_replayed_and_given_up(company: Company, alice: Client) -> None:
    record = QuarantinedRecord.objects.create(
        organization=company.cast.acme, source=company.source, digest=b"x" * 16, external_id="bad-1",
        code="ingest.unreadable", field="model", message="the record could not be read",
        raw=b'{"id": "bad-1", "\xff": "<script>"}', parser="capstan", received_at=company.at,
    )  # fmt: skip
    assert "bad-1" in text_of(alice.get(at("sources")))
    page = text_of(alice.get(at("record", record_id=record.id)))
    assert "&lt;script&gt;" in page
    assert "<script>&quot;" not in page
    again = text_of(alice.post(at("record_replay", record_id=record.id), follow=True))
    assert "Still not bookable" in again
    alice.post(at("record_discard", record_id=record.id))
    record.refresh_from_db()
    assert record.state == "discarded"


def test_a_person_is_erased_only_by_typing_the_name(company: Company, alice: Client) -> None:
    url = at("person_erase", person=company.cast.bob.slug)
    assert alice.post(url, {"confirm": "bob"}).status_code == 422
    assert alice.post(url, {"confirm": "Bob"}).status_code == 302
    person = Person.objects.get(id=company.cast.bob.id)
    assert person.erased_at is not None
    assert "Bob" not in text_of(alice.get(at("spend"), {"group": "person", "period": "last-30d"}))


def test_people_teams_and_things_are_added_and_changed(company: Company, alice: Client) -> None:
    acme = company.cast.acme
    assert alice.post(at("team_add"), {"name": "Ranking", "parent": "search"}).status_code == 302
    assert (
        alice.post(at("person_add"), {"name": "Zoe", "email": "zoe@acme.example", "team": "ranking"}).status_code == 302
    )
    assert alice.post(at("thing_add", kind="agent"), {"name": "Crawler", "owner": "zoe"}).status_code == 302
    assert alice.post(at("identity_add", person="zoe"), {"kind": "github", "value": "zoe-codes"}).status_code == 302
    page = text_of(alice.get(at("people")))
    assert "Ranking" in page
    assert "CC-100" in page  # inherited from Search
    assert "zoe-codes" in text_of(alice.get(at("person", person="zoe")))
    assert "Crawler" in text_of(alice.get(at("things", kind="agent")))
    assert alice.post(at("team", team="search"), {"name": "Search", "parent": "ranking"}).status_code == 422
    assert acme.team_set.get(slug="search").parent is None


def test_a_discount_out_of_bounds_and_an_overlap_are_said_in_the_form(alice: Client) -> None:
    about = {"provider": "openai", "effective_from": "2026-01-01"}
    assert alice.post(at("contract_discount"), {**about, "percent": "101"}).status_code == 422
    assert alice.post(at("contract_discount"), {**about, "percent": "5"}).status_code == 302
    assert alice.post(at("contract_discount"), {**about, "percent": "6"}).status_code == 422
    contract = Contract.objects.get()
    assert alice.post(at("contract_close", contract_id=contract.id), {"effective_to": "2026-06-01"}).status_code == 302


# --- Cost of a page ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "query", "most"),
    [
        ("overview", {"period": "last-30d"}, 50),
        ("spend", {"period": "last-30d", "group": "team,model"}, 33),
        ("charges", {"period": "last-30d"}, 17),
        ("people", {}, 14),
        ("keys", {}, 12),
        ("rules", {}, 14),
        ("prices", {}, 18),
        ("settings", {}, 14),
        ("audit", {}, 14),
        ("unpriced", {}, 18),
    ],
)
def test_a_page_asks_a_bounded_number_of_questions(
    company: Company, alice: Client, django_assert_max_num_queries: Any, name: str, query: dict[str, str], most: int
) -> None:
    alice.get(at(name), query)
    with django_assert_max_num_queries(most):
        alice.get(at(name), query)


def test_more_rows_ask_no_more_questions(company: Company, alice: Client, django_assert_max_num_queries: Any) -> None:
    def add(number: int) -> None:
        acme = company.cast.acme.id
        at_once: dict[str, Any] = {"by": HOUSE, "at": company.at}
        team = orgs.add_team(organization_id=acme, name=f"Team {number}", **at_once)
        orgs.add_person(organization_id=acme, name=f"Person {number}", team_id=team.id, **at_once)
        orgs.issue_key(organization_id=acme, name=f"Key {number}", team_id=team.id, **at_once)
        draft = RuleDraft((Condition("region", Operator.IS, ("x",)),), Assignment({"team": team.id}))
        create_rule(organization_id=acme, name=f"Rule {number}", draft=draft, **at_once)

    pages = ("people", "keys", "rules", "audit", "settings")
    add(0)
    asked = {}
    for name in pages:
        alice.get(at(name))
        with CaptureQueriesContext(connection) as queries:
            alice.get(at(name))
        asked[name] = len(queries)
    for number in range(1, 8):
        add(number)
    for name in pages:
        with django_assert_max_num_queries(asked[name]):
            alice.get(at(name))


def _days(company: Company, days: int) -> Any:
    from finops.core.periods import DayRange

    last = company.at.date() + timedelta(days=1)
    return DayRange(last - timedelta(days=days), last)


def _login(person: Person) -> User:
    assert person.user is not None
    return person.user
