"""A cap's page says how strongly it holds, which keys were blocked ahead of it, and what that came to."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from django.test import Client

from finops.budgets.models import Budget
from finops.budgets.types import Enforcement
from finops.orgs.models import User
from finops.sources.services import add_source
from tests.factories.budgets import budget
from tests.factories.company import Company, empty_company
from tests.factories.enforcement import blocked, key_of, reach
from tests.factories.orgs import HOUSE
from tests.interfaces.pages.conftest import at, text_of


@pytest.fixture
def company(db: None) -> Company:
    return empty_company(datetime.now(UTC).replace(microsecond=0))


@pytest.fixture
def cap(company: Company) -> Budget:
    """Bob's key at the proxy was blocked ahead of his week."""
    acme = company.cast.acme
    made = budget(acme.id, "200", each="person", at=company.at)
    proxy = add_source(organization_id=acme.id, slug="litellm", name="LiteLLM in Paris", by=HOUSE, at=company.at)
    reach(proxy, "https://litellm.example.com")
    blocked(made, str(company.cast.bob.id), key_of(proxy, 7, "person", company.cast.bob.id), company.at)
    return made


def page(client: Client, cap: Budget) -> str:
    """Its words, without the marks."""
    return " ".join(re.sub(r"<[^>]*>", " ", text_of(client.get(at("cap", budget_id=cap.id)))).split())


def test_it_says_what_holds_what_was_blocked_and_what_was_left(cap: Budget, alice: Client) -> None:
    said = page(alice, cap)
    for words in (
        "preventive At litellm: Keys are blocked before what is likely spent passes the limit.",
        "None of 1 accounts whose keys were blocked went past the limit. 10.0 % of the limit was left on average.",
        "160.00 of 200.00 is reported",
        "LiteLLM in Paris",
    ):
        assert words in said


def test_one_that_only_tells_says_that_nothing_is_stopped(company: Company, alice: Client) -> None:
    tells = budget(company.cast.acme.id, "1", enforcement=Enforcement.ALERT, at=company.at)
    said = page(alice, tells)
    assert "nothing is stopped" in said
    assert "preventive" not in said


def test_one_that_went_past_says_by_how_much(cap: Budget, alice: Client) -> None:
    cap.blocks.update(overshoot=3, unused=0)
    assert "1 of 1 accounts went past the limit, at worst by $3.00." in page(alice, cap)


def test_bob_sees_his_own_and_not_which_key(cap: Budget, company: Company, browser: Callable[[User], Client]) -> None:
    said = page(browser(company.cast.bob_login), cap)
    assert "160.00 of 200.00 is reported" in said
    assert f"{7:064x}"[:24] not in said
