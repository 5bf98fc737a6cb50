"""A team lead caps inside the envelope the team was given, and touches nothing else."""

from __future__ import annotations

from collections.abc import Callable

from finops.budgets.models import Budget
from tests.interfaces.budgets.conftest import SEARCH, made
from tests.interfaces.conftest import Api, refused, told

EACH = SEARCH | {"name": "A day each", "period": "day", "each": "person", "limit": "10"}


def test_a_lead_makes_changes_and_archives_budgets_of_their_team(alice: Api, lead: Api) -> None:
    made(alice, SEARCH)
    cap = made(lead, EACH)
    assert cap["by_lead"] is True
    assert told(lead.patch(f"budgets/{cap['id']}", {"limit": "100"}))["limit"] == "100.000000000000"
    beyond = (422, "budgets.beyond_envelope", "limit")
    assert refused(lead.patch(f"budgets/{cap['id']}", {"limit": "100.01"})) == beyond
    # What is carried over counts too.
    assert refused(lead.patch(f"budgets/{cap['id']}", {"rollover": "1"})) == beyond
    assert told(lead.post(f"budgets/{cap['id']}/archive"))["archived_at"] is not None


def test_no_envelope_no_budget(alice: Api, lead: Api) -> None:
    none = (422, "budgets.no_envelope", "scope.team")
    assert refused(lead.post("budgets", EACH)) == none
    # A day does not hold for a week, and a budget of one model is not the team's.
    made(alice, SEARCH | {"period": "day"})
    made(alice, SEARCH | {"scope": {"team": ["search"], "model": ["gpt"]}})
    assert refused(lead.post("budgets", EACH | {"period": "week"})) == none
    # Nor does a lead's own budget make room for another.
    own = made(lead, EACH | {"limit": "5"})
    assert told(lead.patch(f"budgets/{own['id']}", {"limit": "100"}))["by_lead"] is True
    assert refused(lead.post("budgets", EACH | {"limit": "101"})) == (422, "budgets.beyond_envelope", "limit")


def test_a_lead_touches_neither_other_teams_nor_what_managers_made(alice: Api, lead: Api) -> None:
    envelope = made(alice, SEARCH)["id"]
    made(alice, SEARCH | {"scope": {"team": ["chat"]}})
    outside = (403, "budgets.outside_team", "scope.team")
    for scope in ({}, {"team": ["chat"]}, {"team": ["search", "chat"]}, {"team": [None]}):
        assert refused(lead.post("budgets", EACH | {"scope": scope})) == outside
    not_yours = (403, "budgets.not_yours")
    assert refused(lead.patch(f"budgets/{envelope}", {"limit": "1"}))[:2] == not_yours
    assert refused(lead.post(f"budgets/{envelope}/archive"))[:2] == not_yours
    exception = {"limit": "1000"}
    assert refused(lead.post(f"budgets/{envelope}/exceptions", exception))[:2] == (403, "orgs.permission_missing")


def test_a_smaller_envelope_holds_up_who_wants_more_and_not_who_wants_less(alice: Api, lead: Api) -> None:
    envelope = made(alice, SEARCH)["id"]
    cap = f"budgets/{made(lead, EACH | {'limit': '80'})['id']}"
    alice.patch(f"budgets/{envelope}", {"limit": "50"})
    assert told(lead.patch(cap, {"limit": "70", "name": "Less"}))["limit"] == "70.000000000000"
    assert refused(lead.patch(cap, {"limit": "75"}))[1] == "budgets.beyond_envelope"


def test_nobody_else_makes_budgets(bob: Api, viewer: Api, by_key: Callable[..., Api]) -> None:
    # A key leads no team.
    for api in (bob, viewer, by_key("budgets.read", "budgets.team"), by_key("budgets.read", "budgets.ask")):
        assert refused(api.post("budgets", EACH))[:2] == (403, "orgs.permission_missing")
    assert refused(by_key("spend.read").get("budgets"))[:2] == (403, "orgs.permission_missing")
    assert not Budget.objects.exists()
