"""Founds the demo company through the services everybody uses, so that its audit trail is a real one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any, Final

from allauth.account.models import EmailAddress
from django.db import transaction

from finops.attribution import services as attribution
from finops.attribution.types import Assignment, Condition, Method, Operator, RuleDraft, SharedCostDraft
from finops.core.actors import system
from finops.core.periods import day_start, month_start
from finops.ingest.demo import caps
from finops.ingest.demo import company as plan
from finops.ingest.demo.incidents import RUNAWAY_AGENT
from finops.ingest.demo.rhythm import SATURDAY, Span
from finops.ingest.demo.shapes import EURO_MODEL, EURO_PROVIDER, OWN_HOST, OWN_MODEL, OWN_PROVIDER
from finops.ingest.demo.streams import BILLED, CLAUDE_CODE, GATEWAY, INVOICES, LITELLM, REPORTED
from finops.ingest.demo.world import RESEARCHING, RULED, SERVICE_KEYS
from finops.orgs import services as orgs
from finops.orgs.models import Organization
from finops.pricing import services as pricing
from finops.pricing.rules.terms import GivenRate
from finops.pricing.types import StepRates
from finops.sources import services as sources
from finops.sources.kinds import ACCOUNT
from finops.sources.models import Source

DEMO: Final = system("demo")
# The company began with Capstan a little before the first call that is shown.
BEFORE: Final = timedelta(days=12)
Say = Callable[[int, int], None]
_SOURCES: Final = (
    (GATEWAY, "Model gateway", "api", Source.Level.METERED),
    (LITELLM, "LiteLLM proxy", "litellm", Source.Level.METERED),
    (CLAUDE_CODE, "Coding tools", "api", Source.Level.METERED),
    (INVOICES, "Invoices", "file", Source.Level.BILLED),
)
# What is fetched from an account at a provider: no charges, but what they are measured by.
_STATEMENTS: Final = (
    (REPORTED, "OpenAI usage report", Source.Level.METERED, Source.States.USAGE),
    (BILLED, "OpenAI cost report", Source.Level.BILLED, Source.States.MONEY),
)


@transaction.atomic
def found(company: plan.Company, span: Span, say: Say = lambda done, total: None) -> Organization:
    """The organization with everyone and everything in it; all of it or, if it is interrupted, nothing."""
    at = day_start(span.first) - BEFORE
    organization = orgs.create_organization(
        slug=plan.SLUG, name=plan.NAME, timezone="Europe/Berlin", is_demo=True, by=DEMO, at=at
    )
    ids = _Ids(organization.id, at)
    for slug, name, kind, level in _SOURCES:
        sources.add_source(slug=slug, name=name, kind=kind, level=level, **ids.common)
    for slug, name, level, states in _STATEMENTS:
        kind = ACCOUNT
        sources.add_source(slug=slug, name=name, kind=kind, level=level, revises=True, states=states, **ids.common)
    total = len(company.people) + len(company.agents)
    _teams(ids, company)
    for done, person in enumerate(company.people):
        ids.person[person.slug] = orgs.add_person(
            name=person.name,
            slug=person.slug,
            email=person.email,
            team_id=ids.team[person.team],
            identities=_identities(person),
            **ids.common,
        ).id
        say(done, total)
    _programs(ids, company)
    say(total, total)
    _logins(ids, company)
    _prices(ids, span)
    _rules(ids, span)
    caps.before_booking(organization.id, ids.agent[RUNAWAY_AGENT], at=day_start(span.first))
    return organization


class _Ids:
    """What was made so far, by slug; and what every service is told."""

    def __init__(self, organization_id: int, at: datetime) -> None:
        self.at = at
        self.common: dict[str, Any] = {"organization_id": organization_id, "by": DEMO, "at": at}
        self.team: dict[str, int] = {}
        self.person: dict[str, int] = {}
        self.project: dict[str, int] = {}
        self.agent: dict[str, int] = {}

    def later(self, at: datetime) -> dict[str, Any]:
        return self.common | {"at": at}


def _identities(person: plan.PersonPlan) -> list[tuple[str, str]]:
    """What tools call a person beside their e-mail address."""
    found = []
    if not person.codes:
        found.append(("provider_user", f"user-{person.slug}"))
    elif person.team in RULED:
        found.append(("github", f"acme-{person.slug}"))
    if person.team in RESEARCHING:
        found.append(("key_alias", f"lab-{person.slug}"))
    return found


def _teams(ids: _Ids, company: plan.Company) -> None:
    for team in company.teams:
        ids.team[team.slug] = orgs.add_team(
            name=team.name,
            slug=team.slug,
            parent_id=ids.team.get(team.parent),
            cost_centre=team.cost_centre,
            **ids.common,
        ).id


def _programs(ids: _Ids, company: plan.Company) -> None:
    """Projects, agents with the person who answers for each, customers, and a key for every program."""
    team_of = {project.slug: project.team for project in company.projects}
    for project in company.projects:
        ids.project[project.slug] = orgs.add_project(
            name=project.name, slug=project.slug, team_id=ids.team[project.team], **ids.common
        ).id
    for agent in company.agents:
        # The keenest of the team that builds it.
        mates = [person for person in company.people if person.team == team_of[agent.project]]
        owner = max(mates, key=lambda person: (person.codes, person.keen, person.slug))
        ids.agent[agent.slug] = orgs.add_agent(
            name=agent.name,
            slug=agent.slug,
            owner_id=ids.person[owner.slug],
            project_id=ids.project[agent.project],
            **ids.common,
        ).id
        orgs.issue_key(name=agent.slug, agent_id=ids.agent[agent.slug], **ids.common)
    for slug, name in company.customers:
        orgs.add_customer(name=name, slug=slug, **ids.common)
    for name, bound in SERVICE_KEYS.items():
        orgs.issue_key(name=name, project_id=ids.project.get(bound), **ids.common)
    hackathon = orgs.issue_key(name="hackathon", project_id=ids.project["prototypes"], **ids.common)
    orgs.revoke_key(key_id=hackathon.key.id, **ids.later(ids.at + timedelta(days=9)))


def _logins(ids: _Ids, company: plan.Company) -> None:
    people = {person.email: person for person in company.people if person.role}
    for email, password, _ in plan.LOGINS:
        person = people[email]
        teams = [ids.team[slug] for slug in plan.LEAD_OF] if person.role == "team_lead" else []
        membership = orgs.invite(email=email, role=person.role, name=person.name, team_ids=teams, **ids.common)
        user = membership.user
        user.set_password(password)
        user.save(update_fields=["password"])
        EmailAddress.objects.get_or_create(user=user, email=email, defaults={"verified": True, "primary": True})


def _prices(ids: _Ids, span: Span) -> None:
    """A discount from one provider, a better one from another that began half way, and prices of the company's own."""
    first = ids.at.date()
    agreed = pricing.Agreed(provider="openai", effective_from=first, note="Enterprise agreement")
    pricing.set_discount(about=agreed, percent=Decimal(6), **ids.common)
    began = month_start(span.from_end(45))
    agreed = pricing.Agreed(provider="anthropic", effective_from=began, note="Volume agreement, signed this autumn")
    pricing.set_discount(about=agreed, percent=Decimal(12), **ids.later(day_start(began)))
    rates = {"input_uncached": Decimal("0.22"), "output_text": Decimal("0.68")}
    own = pricing.Agreed(provider=OWN_PROVIDER, model=OWN_MODEL, effective_from=first, note="Power and depreciation")
    pricing.add_custom_model(about=own, steps=[StepRates(0, rates)], host=OWN_HOST, **ids.common)
    euro = pricing.Agreed(provider=EURO_PROVIDER, model=EURO_MODEL, effective_from=first, note="Billed in euro")
    rates = {"input_uncached": Decimal("1.35"), "cache_read": Decimal("0.14"), "output_text": Decimal("6.80")}
    pricing.add_custom_model(about=euro, steps=[StepRates(0, rates)], currency="EUR", **ids.common)
    pricing.add_exchange_rates(rates=_euro_in_dollars(first, span.until.date()), **ids.common)


def _euro_in_dollars(first: date, last: date) -> list[GivenRate]:
    """An invented fixing for every working day, that goes nowhere in particular."""
    dice = Random("euro in dollars")  # noqa: S311 - the same rates every time
    fixing, rates = 11_640, []
    for number in range((last - first).days + 1):
        day = first + timedelta(days=number)
        fixing += dice.randint(-55, 55) + (11_640 - fixing) // 12
        if day.weekday() < SATURDAY:
            rates.append(GivenRate(day, "EUR", "USD", Decimal(fixing).scaleb(-4), "invented for the demo"))
    return rates


def _rules(ids: _Ids, span: Span) -> None:
    for key in ("env", "feature"):
        attribution.promote_tag(key=key, **ids.common)
    for team, prefix in RULED.items():
        project = {"search": "search-relevance", "chat": "chat-core", "payments": "checkout"}[team]
        draft = _draft("tag:repo", Operator.STARTS_WITH, prefix, project=ids.project[project])
        attribution.create_rule(name=f"Repositories of {team.title()}", draft=draft, **ids.common)
    research = _draft("provider_account", Operator.IS, "acme-research", project=ids.project["model-evaluation"])
    attribution.create_rule(name="The research account", draft=research, **ids.common)
    # The prototypes changed hands half way, and the rule says from when.
    sandbox = ("provider_account", Operator.IS, "acme-sandbox")
    before = _draft(*sandbox, override=True, team=ids.team["developer-experience"])
    rule = attribution.create_rule(name="The sandbox account", draft=before, **ids.common)
    moved = day_start(span.from_end(48))
    now = _draft(*sandbox, override=True, active_from=moved, team=ids.team["ml-platform"])
    attribution.change_rule(rule_id=rule.id, draft=now, expected_number=1, **ids.later(moved))
    teams = ("search", "chat", "assist", "web", "mobile", "payments", "data-platform")
    targets = tuple(ids.team[slug] for slug in teams)
    shared = SharedCostDraft(
        pool={"project": (ids.project["shared-platform"],), "category": ("Purchase",)},
        method=Method.USAGE,
        dimension="team",
        targets=targets,
    )
    attribution.add_shared_cost_rule(name="Shared platform", draft=shared, **ids.common)


def _draft(
    field: str,
    operator: Operator,
    value: str,
    *,
    task_type: str = "",
    override: bool = False,
    active_from: datetime | None = None,
    **owners: int,
) -> RuleDraft:
    return RuleDraft(
        (Condition(field, operator, (value,)),),
        Assignment(owners, task_type),
        override=override,
        active_from=active_from,
    )
