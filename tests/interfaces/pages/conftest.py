"""The pages as their readers see them: HTML over HTTP, by a login."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from finops.core.periods import DayRange
from finops.orgs.models import Person, User
from tests.factories.company import Company, busy_company
from tests.interfaces.conftest import BACKEND

SPEND_PAGES = ("overview", "spend", "charges")
ADMIN_PAGES = (
    "unpriced", "rules", "rule_add", "sources", "source_add", "prices", "contract_discount",
    "contract_committed", "contract_custom", "alias_add", "exchange_add", "people", "person_add", "team_add",
    "keys", "key_issue", "jobs", "audit", "settings", "invite", "caps", "cap_add", "increases", "headroom",
    "stops", "stop_new", "limit_new", "breaker_new", "account_add", "incidents", "alert_rules",
    "alert_rule_add", "channels", "channel_add", "upstreams", "upstream_add", "wishes_add", "captures",
    "connect", "recommendations", "experiments", "experiment_add", "routing_rules", "routing_rule_add",
    "task_types", "savings", "tiers", "value", "reconciliation", "months", "discovered", "discovered_assign",
    "seats", "seat_plan_add",
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


def days_of(company: Company, days: int) -> DayRange:
    """The last days, today among them."""
    last = company.at.date() + timedelta(days=1)
    return DayRange(last - timedelta(days=days), last)


def login_of(person: Person) -> User:
    assert person.user is not None
    return person.user
