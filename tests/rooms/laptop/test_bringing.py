"""The database is brought to what a file says: once, again, and when the file has changed."""

from __future__ import annotations

import stat
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings

from finops.audit.models import AuditEvent
from finops.budgets.models import Budget
from finops.budgets.services.budgets import create_budget
from finops.budgets.types import Draft, Enforcement, Period
from finops.orgs.models import Agent, Membership, Organization, Person, Project, VirtualKey
from finops.orgs.services import revoke_key
from finops.pricing.models import Contract
from finops.pricing.selectors import load_pricer
from routing.laptop.errors import FileInvalid
from routing.laptop.reading import read
from routing.laptop.services import Brought, bring, keep_key, keep_login
from routing.upstreams.models import Deployment, Upstream
from tests.factories.ledger import small_book
from tests.factories.orgs import HOUSE, NOON

pytestmark = pytest.mark.django_db

FILE = """
[organization]
name = "Ada's desk"
currency = "EUR"
[person]
name = "Ada"
email = "ada@acme.example"
[attribution]
projects = ["compiler"]
agents = ["reviewer"]
[[upstreams]]
preset = "ollama"
models = ["llama3.2", "qwen3"]
[[upstreams]]
preset = "openai"
credential_env = "KEY"
[[budgets]]
name = "Month"
limit = 20.5
[[prices]]
upstream = "ollama"
input = 0
output = 0.25
"""


@pytest.fixture
def takes(tmp_path: Path, settings: LazySettings) -> Any:
    small_book()
    settings.INTERNAL_HOSTS = frozenset({"localhost:11434"})
    minutes = iter(range(100))

    def take(text: str, key: str = "sk-one") -> Brought:
        (tmp_path / "capstan.toml").write_text(text)
        wanted = read(tmp_path / "capstan.toml", environment={"KEY": key}, internal=frozenset())
        return bring(wanted, at=NOON + timedelta(minutes=next(minutes)))

    return take


def test_a_file_is_taken_and_said_again_it_changes_nothing(takes: Any) -> None:
    brought = takes(FILE)
    organization = Organization.objects.get()
    assert (organization.name, organization.reporting_currency) == ("Ada's desk", "EUR")
    assert (Person.objects.get().name, Project.objects.get().slug, Agent.objects.get().slug) == (
        "Ada",
        "compiler",
        "reviewer",
    )
    assert list(Upstream.objects.order_by("name").values_list("name", "any_model")) == [
        ("ollama", False),
        ("openai", True),
    ]
    assert list(Deployment.objects.order_by("model").values_list("model", flat=True)) == ["llama3.2", "qwen3"]
    budget = Budget.objects.get()
    assert (budget.name, budget.limit_amount, budget.period) == ("Month", Decimal("20.5"), "month")
    found = load_pricer(organization.id).find("ollama", "qwen3", "", "", NOON.date())
    assert (found.priced, found.cards[0].currency) == (True, "EUR")
    trail = AuditEvent.objects.filter(organization_id=organization.id)
    assert set(trail.values_list("actor", flat=True)) == {"config:capstan.toml"}
    assert "sk-one" not in str(list(trail.values_list("details", flat=True)))

    before = trail.count()
    again = takes(FILE)
    assert (again.organization_id, again.person_id, again.changes) == (brought.organization_id, brought.person_id, ())
    assert trail.count() == before


def test_what_changed_in_the_file_is_changed(takes: Any) -> None:
    takes(FILE)
    changed = FILE.replace("20.5", "5").replace('"qwen3"', '"qwen4"').replace("0.25", "0.5").replace('"Ada"', '"A. L."')
    assert takes(changed, key="sk-two").changes == (
        "person changed",
        "model qwen4 at ollama added",
        "model qwen3 at ollama removed",
        "upstream openai changed",
        "price of llama3.2 changed",
        "price of qwen4 added",
        "price of qwen3 ended",
        "budget Month: limit 20.5 to 5",
    )
    assert takes(changed, key="sk-two").changes == ()
    assert Budget.objects.count() == 1
    assert Contract.objects.filter(effective_to__isnull=True).count() == 2


def test_what_the_file_no_longer_names_is_archived_and_comes_back(takes: Any) -> None:
    takes(FILE)
    short = (
        '[[upstreams]]\npreset = "ollama"\nmodels = "any"\n[organization]\ncurrency = "EUR"\n[person]\nname = "Ada"\n'
    )
    changes = takes(short).changes
    assert {"project compiler archived", "agent reviewer archived", "upstream openai archived"} < set(changes)
    assert {"budget Month archived", "price of llama3.2 ended", "model qwen3 at ollama removed"} < set(changes)
    assert Budget.objects.filter(archived_at__isnull=True).count() == 0
    again = takes(FILE).changes
    assert {"project compiler restored", "upstream openai restored", "budget Month added"} < set(again)


def test_what_people_made_on_pages_stays(takes: Any) -> None:
    organization = takes(FILE).organization_id
    draft = Draft(name="By hand", limit_amount=Decimal(1), period=Period.DAY, enforcement=Enforcement.HARD)
    create_budget(organization_id=organization, draft=draft, by=HOUSE, at=NOON)
    assert takes(FILE.replace('"Month"', '"Every month"')).changes == (
        "budget Every month added",
        "budget Month archived",
    )
    live = Budget.objects.filter(archived_at__isnull=True)
    assert set(live.values_list("name", flat=True)) == {"By hand", "Every month"}


def test_a_budget_of_another_period_is_another_budget(takes: Any) -> None:
    takes(FILE)
    assert takes(FILE.replace("limit = 20.5", 'limit = 20.5\nperiod = "day"')).changes == ("budget Month added",)
    assert [(row.period, row.archived_at is None) for row in Budget.objects.order_by("id")] == [
        ("month", False),
        ("day", True),
    ]


def test_what_the_database_refuses_is_refused_whole_by_its_place(takes: Any) -> None:
    takes(FILE)
    wrong = FILE.replace("limit = 20.5", 'limit = 1\nenforcement = "downgrade"\ndowngrade_to = ["openai/none"]')
    with pytest.raises(FileInvalid, match=r"^budgets\[0\]\.downgrade_to"):
        takes(wrong.replace('"compiler"', '"other"'))
    assert Budget.objects.get().limit_amount == Decimal("20.5")
    assert Project.objects.get().slug == "compiler"
    with pytest.raises(FileInvalid, match=r"^person\.email: this is not an e-mail address"):
        takes(FILE.replace("ada@acme.example", "ada"))


def test_a_budget_that_goes_to_a_cheaper_model_is_the_same_when_it_is_said_again(takes: Any) -> None:
    cheaper = FILE.replace("limit = 20.5", 'limit = 1\nenforcement = "downgrade"\ndowngrade_to = ["ollama/qwen3"]')
    takes(cheaper)
    assert takes(cheaper).changes == ()
    assert takes(FILE).changes == ("budget Month: limit 1 to 20.5, enforcement downgrade to hard, downgrade changed",)


def test_one_key_is_kept_until_it_is_none_any_more(takes: Any, tmp_path: Path) -> None:
    brought, path = takes(FILE), tmp_path / "laptop.key"
    mine: dict[str, Any] = {"organization_id": brought.organization_id, "person_id": brought.person_id, "path": path}
    assert keep_key(**mine, at=NOON)
    secret = path.read_text().strip()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    key = VirtualKey.objects.get()
    assert (key.permissions, key.person_id, secret.startswith(f"{key.prefix}_")) == (
        ["calls.make"],
        brought.person_id,
        True,
    )
    assert not keep_key(**mine, at=NOON)

    revoke_key(organization_id=brought.organization_id, key_id=key.id, by=HOUSE, at=NOON)
    assert keep_key(**mine, at=NOON)
    path.unlink()
    assert keep_key(**mine, at=NOON)
    assert [row.revoked_at is None for row in VirtualKey.objects.order_by("id")] == [False, False, True]
    assert path.read_text().strip() != secret


def test_the_engineer_owns_the_pages(takes: Any) -> None:
    brought = takes(FILE)
    user = keep_login(organization_id=brought.organization_id, email="ada@acme.example", at=NOON)
    assert keep_login(organization_id=brought.organization_id, email="ada@acme.example", at=NOON) == user
    assert Membership.objects.get().role == "owner"
    assert Person.objects.get().user == user
