"""Stops, breakers and limits as pages: stopped by name, lifted, set and removed; and who may."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from finops.budgets.models import BreakerRule, Budget, Limit, Stop
from finops.budgets.services.stops import stop_now
from finops.budgets.types import Enforcement
from finops.connectors.types import Dimensions
from finops.orgs import services as orgs
from tests.factories.budgets import budget
from tests.factories.company import Company, book, empty_company, event
from tests.factories.orgs import HOUSE, NOON, actor, member
from tests.interfaces.pages.conftest import at, login_of, text_of


@pytest.fixture
def company(db: None) -> Company:
    """A minute ago Bob of Search made two calls in a session."""
    made = empty_company(datetime.now(UTC).replace(microsecond=0))
    bob = Dimensions(person=made.cast.bob.slug, team=made.cast.search.slug)
    then = made.at - timedelta(minutes=1)
    book(made, [event(number, then, dimensions=bob, session="bobs-session") for number in range(2)])
    return made


@pytest.fixture
def lead(company: Company, browser: Callable[..., Client]) -> Client:
    """Erin leads Search."""
    erin = member(company.cast.acme, "Erin", "team_lead")
    orgs.change_role(
        organization_id=company.cast.acme.id, user_id=erin.user_id or 0, role="team_lead",
        team_ids=[company.cast.search.id], by=HOUSE, at=NOON,
    )  # fmt: skip
    return browser(login_of(erin))


def stop_page(dimension: str, **given: object) -> str:
    query = "&".join(f"{name}={value}" for name, value in {"dimension": dimension, **given}.items())
    return f"{at('stop_new')}?{query}"


def test_somebody_is_stopped_by_name_and_let_go_on(company: Company, alice: Client) -> None:
    bob = company.cast.bob
    page = stop_page("person", id=bob.id)
    asked = text_of(alice.get(page))
    assert "Stop person Bob now" in asked
    assert "Person Bob makes no call from now on" in asked
    assert not Stop.objects.exists()
    told = text_of(alice.post(page, {"length": "60", "reason": "The script of the night"}, follow=True))
    assert "Person Bob is stopped." in told
    assert "The script of the night" in told
    row = Stop.objects.get()
    assert (row.dimension, row.subject, row.by) == ("person", str(bob.id), f"user:{company.cast.alice.user_id}")
    assert row.until is not None
    assert timedelta(minutes=59) < row.until - row.at <= timedelta(minutes=60)
    lifted = text_of(alice.post(at("stop_lift", stop_id=row.id), follow=True))
    assert "Calls go on from now on" in lifted
    assert "Nothing is stopped." in lifted
    assert "It is over already" in text_of(alice.post(at("stop_lift", stop_id=row.id), follow=True))


def test_whom_to_stop_is_typed_and_then_seen_by_name(company: Company, alice: Client) -> None:
    assert "Nothing is stopped before you have seen it by name" in text_of(alice.get(at("stop_new")))
    assert "Stop person Bob now" in text_of(alice.get(stop_page("person", subject="bob")))
    assert "Stop the whole organization now" in text_of(alice.get(stop_page("organization", subject="")))
    assert "Stop session s-1 now" in text_of(alice.get(stop_page("session", subject="s-1")))


@pytest.mark.parametrize(
    "query",
    [
        "dimension=person&subject=charlie",
        "dimension=planet&subject=mars",
        "dimension=team&subject=",
        "dimension=person&id=2147483648",
        "dimension=session&subject=%00",
        f"dimension=session&subject={'x' * 301}",
    ],
)
def test_what_is_not_there_is_not_stopped(company: Company, alice: Client, query: str) -> None:
    assert alice.get(f"{at('stop_new')}?{query}").status_code == 404


def test_nobody_of_another_organization_is_stopped(company: Company, alice: Client) -> None:
    assert alice.get(stop_page("person", id=company.cast.charlie.id)).status_code == 404


def test_a_session_without_a_name_is_refused_in_the_form(company: Company, alice: Client) -> None:
    answer = alice.post(stop_page("session", subject=""), {"length": "", "reason": ""})
    assert answer.status_code == 422
    assert "1 to 200" in text_of(answer)


def test_the_button_stands_where_somebody_is_seen(company: Company, alice: Client, lead: Client) -> None:
    cast = company.cast
    issued = orgs.issue_key(organization_id=cast.acme.id, name="CI", by=HOUSE, at=NOON)
    agent = orgs.add_agent(organization_id=cast.acme.id, name="Reviewer", owner_id=cast.alice.id, by=HOUSE, at=NOON)
    each = budget(cast.acme.id, "5", at=company.at, each="person")
    team = budget(cast.acme.id, "5", at=company.at, scope={"team": (str(cast.search.id),)})

    def has(client: Client, address: str, query: str) -> bool:
        return f"{at('stop_new')}?{query}".replace("&", "&amp;") in text_of(client.get(address))

    assert has(alice, at("keys"), f"dimension=key&id={issued.key.id}")
    assert has(alice, at("things", kind="agent"), f"dimension=agent&id={agent.id}")
    assert has(alice, at("sessions"), "dimension=session&subject=bobs-session")
    for client in (alice, lead):
        assert has(client, at("person", person="bob"), f"dimension=person&id={cast.bob.id}")
    assert has(alice, at("cap", budget_id=each.id), f"dimension=person&id={cast.bob.id}")
    assert has(alice, at("cap", budget_id=team.id), f"dimension=team&id={cast.search.id}")
    assert not has(lead, at("person", person="alice"), f"dimension=person&id={cast.alice.id}")
    assert not has(lead, at("things", kind="agent"), f"dimension=agent&id={agent.id}")


def test_a_team_lead_stops_their_team_and_nobody_else(company: Company, lead: Client) -> None:
    cast = company.cast
    assert lead.post(stop_page("team", id=cast.search.id), {"length": "", "reason": ""}).status_code == 302
    for page in (stop_page("team", id=cast.chat.id), stop_page("organization"), stop_page("person", id=cast.alice.id)):
        assert lead.get(page).status_code == 403
        assert lead.post(page, {"length": "", "reason": ""}).status_code == 403
    whole = stop_now(organization_id=cast.acme.id, dimension="organization", by=HOUSE, at=company.at)
    shown = lead.get(at("stops"))
    assert [(one.what, one.may_lift) for one in shown.context["open"]] == [
        ("The whole organization", False),
        ("Team Search", True),
    ]
    assert lead.post(at("stop_lift", stop_id=whole.id)).status_code == 404
    assert Stop.objects.filter(lifted_at=None).count() == 2


def test_an_engineer_sees_what_stops_them_and_stops_nobody(company: Company, browser: Callable[..., Client]) -> None:
    cast, bob = company.cast, browser(company.cast.bob_login)
    stop_now(
        organization_id=cast.acme.id, dimension="person", subject=str(cast.bob.id), reason="It loops",
        by=actor(cast.alice_login), at=company.at,
    )  # fmt: skip
    stop_now(
        organization_id=cast.acme.id, dimension="person", subject=str(cast.alice.id), by=HOUSE, at=company.at,
    )  # fmt: skip
    page = bob.get(at("stops"))
    assert [one.what for one in page.context["open"]] == ["Person Bob"]
    assert "It loops" in text_of(page)
    assert "Stop now" not in text_of(page)
    assert bob.get(stop_page("person", id=cast.bob.id)).status_code == 403


def test_a_breaker_is_set_in_place_of_a_default_and_removed(company: Company, alice: Client) -> None:
    def shown() -> list[str]:
        rows = alice.get(at("stops")).context["breakers"]
        return [f"{one.watches}: {one.threshold}, {one.pause}{'' if one.rule else ', default'}" for one in rows]

    assert "Each session: 2,000 calls in one session, 1 day, default" in shown()
    assert "Each session: $250.00 spent in one session, 1 day, default" in shown()
    form = {"what": "session session_calls", "subject": "", "threshold": "500", "pause_minutes": "90"}
    alice.post(at("breaker_new"), form)
    assert "Each session: 500 calls in one session, 90 minutes" in shown()
    assert "Each session: 2,000 calls in one session, 1 day, default" not in shown()
    alice.post(at("breaker_new"), form | {"threshold": ""})
    assert "Each session: calls in one session: off, 90 minutes" in shown()
    alice.post(at("breaker_end", breaker_id=BreakerRule.objects.get().id))
    assert "Each session: 2,000 calls in one session, 1 day, default" in shown()


def test_limits_are_set_and_removed(company: Company, alice: Client) -> None:
    form = {"dimension": "person", "subject": "bob", "allowed_models": "claude-*\ngpt-5, o3", "tokens_per_minute": ""}
    alice.post(at("limit_new"), form | {"requests_per_minute": "30", "max_concurrent": "7"})
    row = Limit.objects.get()
    numbers = row.requests_per_minute, row.tokens_per_minute, row.max_concurrent
    assert (row.subject, row.allowed_models, *numbers) == (
        str(company.cast.bob.id), ["claude-*", "gpt-5", "o3"], 30, None, 7,
    )  # fmt: skip
    page = text_of(alice.get(at("stops")))
    assert "Person Bob" in page
    assert "Calls at once" in page
    assert "claude-*, gpt-5, o3" in page
    alice.post(at("limit_end", limit_id=row.id))
    assert "any model, as often as the caps allow" in text_of(alice.get(at("stops")))


@pytest.mark.parametrize(
    ("name", "form", "says"),
    [
        ("limit_new", {"dimension": "person", "subject": "", "allowed_models": ""}, "say the models"),
        ("limit_new", {"dimension": "person", "subject": "charlie", "allowed_models": "x"}, "there is no person"),
        ("limit_new", {"dimension": "key", "subject": "", "allowed_models": "****"}, "stars"),
        ("breaker_new", {"what": "session depth", "threshold": "0", "pause_minutes": "5"}, "more than 0"),
        ("breaker_new", {"what": "key depth", "threshold": "5", "pause_minutes": "5"}, "valid choice"),
    ],
)
def test_what_is_wrong_is_said_in_the_form(
    company: Company, alice: Client, name: str, form: dict[str, str], says: str
) -> None:
    answer = alice.post(at(name), form)
    assert answer.status_code == 422
    assert says in str(answer.context["form"].errors).lower()


def test_a_downgrade_is_made_and_changed_on_its_page(company: Company, alice: Client) -> None:
    form = {
        "name": "Down", "limit": "5", "period": "day", "each": "", "timezone": "UTC", "enforcement": "downgrade",
        "thresholds": "50", "act": "save",
    }  # fmt: skip
    answer = alice.post(at("cap_add"), form)
    assert "say which cheaper model" in str(answer.context["form"].errors["downgrade_to"]).lower()
    alice.post(at("cap_add"), form | {"downgrade_to": "anthropic/claude-sonnet-4-5", "downgrade_at": "70"})
    row = Budget.objects.get()
    assert (row.enforcement, row.downgrade_at) == (Enforcement.DOWNGRADE, 70)
    assert row.downgrade_to == [{"provider": "anthropic", "model": "claude-sonnet-4-5"}]
    assert "anthropic/claude-sonnet-4-5</span> from 70 % on" in text_of(alice.get(at("cap", budget_id=row.id)))
    assert "anthropic/claude-sonnet-4-5" in text_of(alice.get(at("cap_change", budget_id=row.id)))


def test_the_page_costs_the_same_however_much_is_stopped(company: Company, alice: Client) -> None:
    def cost() -> int:
        with CaptureQueriesContext(
            connection,
        ) as asked:
            alice.get(at("stops"))
        return len(asked)

    who: dict[str, Any] = {"organization_id": company.cast.acme.id, "by": actor(company.cast.alice_login)}
    stop_now(dimension="person", subject=str(company.cast.bob.id), at=company.at, **who)
    before = cost()
    for n in range(12):
        agent = orgs.add_agent(organization_id=company.cast.acme.id, name=f"Agent {n}", by=HOUSE, at=NOON)
        stop_now(dimension="agent", subject=str(agent.id), at=company.at, **who)
    assert cost() <= before + 1
