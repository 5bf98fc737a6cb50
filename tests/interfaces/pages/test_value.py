"""The page of cost, energy and value: side by side, with bounds, and with what nobody knows."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from finops.energy.models import ModelEnergy
from tests.factories.company import Company
from tests.interfaces.pages.conftest import at, text_of


def seen(client: Client, **query: Any) -> str:
    return html.unescape(text_of(client.get(at("value"), {"period": "last-30d", **query})))


def test_energy_is_never_a_figure_alone_and_unknown_is_said(company: Company, alice: Client) -> None:
    page = seen(alice, group="project")
    assert "Energy by model" in page
    assert "Nobody knows; say a figure of yours" in page or " to " in page
    assert "nobody scored any" in page
    assert "EcoLogits 0.11.3" in page


def test_a_figure_of_ones_own_is_shown_as_that(company: Company, alice: Client) -> None:
    ModelEnergy.objects.create(
        organization=company.cast.acme, model="claude-sonnet-4-5", lower=1, upper=2, source="the host's paper",
        changed_at=company.at,
    )  # fmt: skip
    page = seen(alice)
    assert "the host's paper" in page
    assert "your figure" in page
    assert "1.00 to 2.00\u202fWh" in page


def test_by_person_only_for_whom_people_are_shown(company: Company, browser: Callable[..., Client]) -> None:
    bob = browser(company.cast.bob_login)
    page = seen(bob)
    assert "Seeing it by person needs the permission" in page
    assert bob.get(at("value"), {"group": "person"}).status_code == 403
    assert seen(bob, group="person", person=str(company.cast.bob.id)).count("cell-name") > 0


@pytest.mark.parametrize(
    ("query", "status"),
    [({"group": "model"}, 400), ({"group": "team,project"}, 400), ({"period": "2025"}, 400), ({"group": "team"}, 200)],
)
def test_what_is_unclear_is_a_page_that_says_so(alice: Client, query: dict[str, str], status: int) -> None:
    assert alice.get(at("value"), query).status_code == status


def test_more_groups_ask_no_more_questions(company: Company, alice: Client) -> None:
    def asked(group: str) -> int:
        seen(alice, group=group)
        with CaptureQueriesContext(connection) as queries:
            seen(alice, group=group)
        return len(queries)

    assert asked("person") == asked("project") == asked("team") <= 40
