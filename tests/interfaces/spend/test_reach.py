"""Who may ask what about spend over REST."""

from __future__ import annotations

from collections.abc import Callable

from finops.orgs import services as orgs
from tests.factories.company import Company
from tests.factories.orgs import HOUSE
from tests.factories.spend import AT
from tests.interfaces.conftest import Api
from tests.interfaces.spend.conftest import OCTOBER, PEOPLE, body, by_value, refused, times, with_key


def test_a_team_lead_reaches_the_teams_they_lead(lead: Api) -> None:
    assert body(lead, f"spend?{OCTOBER}")["totals"]["calls"] == 4
    assert by_value(body(lead, f"spend?{OCTOBER}&group_by=person"), "person")["bob"] == times(2)
    assert refused(lead, f"spend?{OCTOBER}&filter.team=chat") == (403, "orgs.out_of_reach", "team")
    both = body(lead, f"spend?{OCTOBER}&filter.team=search,chat")
    assert both["totals"]["calls"] == 4
    assert [one["value"] for one in body(lead, "dimensions/team/values")["items"]] == ["search"]
    assert {charge["external_id"] for charge in body(lead, f"charges?{OCTOBER}")["items"]} == {
        "call-1", "call-2", "call-3", "call-7",
    }  # fmt: skip
    assert body(lead, f"unpriced?{OCTOBER}")["rows"] == []
    # Sessions know no team, so a part of one cannot be told from the rest.
    assert refused(lead, f"sessions?{OCTOBER}") == (403, "orgs.out_of_reach", "team")


def test_an_engineer_sees_their_teams_totals_and_their_own_calls(bob: Api) -> None:
    assert body(bob, f"spend?{OCTOBER}")["totals"]["calls"] == 4
    assert body(bob, f"spend?{OCTOBER}&filter.person=bob&group_by=person")["totals"]["calls"] == 2
    for question in (
        "filter.person=alice",
        "filter.person=bob,alice",
        "filter.person=nobody-at-all",
        "group_by=person",
    ):
        assert refused(bob, f"spend?{OCTOBER}&{question}") == (403, PEOPLE, "person")
    assert refused(bob, "dimensions/person/values") == (403, PEOPLE, "person")
    assert "person" not in {one["name"] for one in body(bob, "dimensions")["items"]}
    assert {charge["external_id"] for charge in body(bob, f"charges?{OCTOBER}")["items"]} == {"call-1", "call-2"}
    assert refused(bob, f"charges?{OCTOBER}&filter.person=alice") == (403, PEOPLE, "person")
    assert [row["session"] for row in body(bob, f"sessions?{OCTOBER}")["rows"]] == ["run-1"]


def test_a_charge_of_somebody_else_is_not_there(alice: Api, bob: Api) -> None:
    every = {charge["external_id"]: charge["id"] for charge in body(alice, f"charges?{OCTOBER}")["items"]}
    assert body(bob, f"charges/{every['call-1']}")["dimensions"]["person"]["value"] == "bob"
    assert refused(bob, f"charges/{every['call-3']}") == (404, "core.not_found", None)
    missing = "0199a000-0000-7000-8000-000000000000"
    assert refused(bob, f"charges/{missing}") == (404, "core.not_found", None)


def test_a_viewer_sees_every_total_and_no_person(viewer: Api) -> None:
    assert body(viewer, f"spend?{OCTOBER}")["totals"]["calls"] == 9
    assert len(body(viewer, f"unpriced?{OCTOBER}")["rows"]) == 1
    assert {one["value"] for one in body(viewer, "dimensions/team/values")["items"]} == {"search", "chat"}
    for question in ("group_by=person", "group_by=team,key", "filter.person=bob", "filter.key=cap_none"):
        status, code, _ = refused(viewer, f"spend?{OCTOBER}&{question}")
        assert (status, code) == (403, PEOPLE)
    for question in ("charges", "sessions"):
        assert refused(viewer, f"{question}?{OCTOBER}")[:2] == (403, "orgs.permission_missing")


def test_a_key_bound_to_search_reads_search(search_key: Callable[..., Api], company: Company) -> None:
    key = search_key("spend.read")
    assert body(key, f"spend?{OCTOBER}")["totals"]["calls"] == 4
    assert refused(key, f"spend?{OCTOBER}&filter.team=chat") == (403, "orgs.out_of_reach", "team")
    assert refused(key, f"spend?{OCTOBER}&group_by=person") == (403, PEOPLE, "person")
    # Nor does it learn the names of what Search never used.
    orgs.add_project(organization_id=company.cast.acme.id, name="Secret merger", by=HOUSE, at=AT)
    projects = {one["value"] for one in body(key, "dimensions/project/values")["items"]}
    assert "secret-merger" not in projects
    assert body(key, "dimensions/team/values?search=ch")["items"][0]["value"] == "search"
    assert refused(key, f"charges?{OCTOBER}")[:2] == (403, "orgs.permission_missing")
    # Who may list charges and not people has only their own, and a key is nobody.
    assert body(search_key("charges.read"), f"charges?{OCTOBER}")["items"] == []
    people = search_key("spend.read", "charges.read", "spend.read_people")
    assert len(body(people, f"charges?{OCTOBER}")["items"]) == 4


def test_a_key_without_spend_asks_in_vain(company: Company) -> None:
    key = with_key(company, "usage.write")
    for path in ("spend", "dimensions", "dimensions/team/values", "charges", "sessions", "unpriced"):
        assert refused(key, path)[:2] == (403, "orgs.permission_missing")
