"""Spend over REST: a small company's October, and those who ask about it."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from finops.orgs import services as orgs
from finops.orgs.models import User
from tests.factories.company import Company
from tests.factories.orgs import HOUSE, NOON, member
from tests.factories.spend import spending_company
from tests.interfaces.conftest import Api

OCTOBER = "period=2026-10"
# 1,000 tokens in and 200 out of gpt-4o at 2.50 and 10.00 a million.
CALL = Decimal("0.0045")
PEOPLE = "orgs.out_of_reach"


def times(many: int) -> str:
    return f"{CALL * many:.12f}"


@pytest.fixture
def company(db: None) -> Company:
    return spending_company()


@pytest.fixture
def alice(company: Company, login: Callable[[User], Api]) -> Api:
    return login(company.cast.alice_login)


@pytest.fixture
def bob(company: Company, login: Callable[[User], Api]) -> Api:
    """An engineer of Search."""
    return login(company.cast.bob_login)


@pytest.fixture
def lead(company: Company, login: Callable[[User], Api]) -> Api:
    """Leads Search."""
    lena = member(company.cast.acme, "Lena", "viewer")
    assert lena.user_id is not None
    orgs.change_role(
        organization_id=company.cast.acme.id,
        user_id=lena.user_id,
        role="team_lead",
        team_ids=[company.cast.search.id],
        by=HOUSE,
        at=NOON,
    )
    assert lena.user is not None
    return login(lena.user)


@pytest.fixture
def viewer(company: Company, login: Callable[[User], Api]) -> Api:
    vera = member(company.cast.acme, "Vera", "viewer")
    assert vera.user is not None
    return login(vera.user)


def with_key(company: Company, *permissions: str, team_id: int | None = None) -> Api:
    issued = orgs.issue_key(
        organization_id=company.cast.acme.id, name="Script", permissions=permissions, team_id=team_id, by=HOUSE, at=NOON
    )
    return Api(Client(), Authorization=f"Bearer {issued.secret}")


@pytest.fixture
def search_key(company: Company) -> Callable[..., Api]:
    """A key bound to Search that carries these permissions."""
    return lambda *permissions: with_key(company, *permissions, team_id=company.cast.search.id)


def body(api: Api, path: str) -> Any:
    answer = api.get(path)
    assert answer.status_code == 200, answer.content
    return json.loads(answer.content)


def refused(api: Api, path: str) -> tuple[int, str, str | None]:
    said = json.loads(api.get(path).content)
    return said["status"], said["code"], said.get("field")


def by_value(answer: Any, dimension: str, measure: str = "reporting_cost") -> dict[str, Any]:
    return {row["group"][dimension]["value"]: row[measure] for row in answer["rows"]}
