"""What a page costs: its queries are bounded and do not grow with its rows."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from finops.attribution.services import create_rule
from finops.attribution.types import Assignment, Condition, Operator, RuleDraft
from finops.orgs import services as orgs
from tests.factories.company import Company
from tests.factories.orgs import HOUSE
from tests.interfaces.pages.conftest import at


@pytest.mark.parametrize(
    ("name", "query", "most"),
    [
        ("overview", {"period": "last-30d"}, 52),
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
