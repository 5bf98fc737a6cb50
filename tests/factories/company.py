"""A small company with spend, for tests of the pages: made through the product's own doors, the same every time."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from genai_prices import data as genai_data

from finops.connectors.types import NO_COUNTS, Counts, Dimensions, UsageEvent
from finops.core.tokens import METER_INDEX
from finops.ingest.services import take
from finops.ingest.types import Received
from finops.orgs import services as orgs
from finops.orgs.models import Agent, Project
from finops.pricing.services import seed_price_book
from finops.sources.models import Source
from finops.sources.services import add_source
from tests.factories.orgs import HOUSE, Cast, the_cast

MODELS = (
    ("anthropic", "claude-sonnet-4-5", 9),
    ("openai", "gpt-4o", 7),
    ("openai", "gpt-4o-mini", 12),
    ("google", "gemini-2.5-flash", 6),
    ("anthropic", "claude-haiku-4-5", 8),
)
UNKNOWN_MODEL = ("openai", "gpt-6-preview-unlisted", 1)


@dataclass(frozen=True, slots=True)
class Company:
    """The cast, with two projects, an agent, a source, and charges over `days` days up to `at`."""

    cast: Cast
    source: Source
    projects: tuple[Project, ...]
    agent: Agent
    at: datetime


def counts(**meters: int) -> Counts:
    found = list(NO_COUNTS)
    for name, value in meters.items():
        found[METER_INDEX[name]] = value
    return tuple(found)


def event(number: int, occurred_at: datetime, **fields: object) -> UsageEvent:
    """One call of 1,000 tokens in and 200 out, unless told otherwise."""
    given = {
        "provider": "openai",
        "model": "gpt-4o",
        "counts": counts(input_uncached=1000, output_text=200, requests=1),
    }
    return UsageEvent(external_id=f"call-{number}", occurred_at=occurred_at, **{**given, **fields})  # type: ignore[arg-type]


def book(company: Company, events: list[UsageEvent]) -> None:
    take(
        organization_id=company.cast.acme.id,
        source_id=company.source.id,
        parser="capstan",
        received=[Received(b"{}", one) for one in events],
        at=company.at,
    )


def empty_company(at: datetime) -> Company:
    """The cast with its furniture, and no spend yet."""
    cast = the_cast()
    seed_price_book(by=HOUSE, at=at, providers=_known(), version="of tests")
    mine: dict[str, Any] = {"organization_id": cast.acme.id, "by": HOUSE, "at": at}
    projects = (
        orgs.add_project(name="Answers", team_id=cast.search.id, **mine),
        orgs.add_project(name="Assistant", team_id=cast.chat.id, **mine),
    )
    agent = orgs.add_agent(name="Night indexer", owner_id=cast.bob.id, project_id=projects[0].id, **mine)
    source = add_source(slug="gateway", name="Gateway", **mine)
    return Company(cast, source, projects, agent, at)


@cache
def _known() -> tuple[Any, ...]:
    """Some models of the real book: the whole of it takes seconds a test does not have."""
    offered = {provider: {model for by, model, _ in MODELS if by == provider} for provider, _, _ in MODELS}
    return tuple(
        replace(one, models=[model for model in one.models if model.id in offered[one.id]])
        for one in genai_data.providers
        if one.id in offered
    )


def busy_company(at: datetime, *, days: int = 60, calls_a_day: int = 40) -> Company:
    """Weekdays busier than weekends, growth, one runaway night, an unpriced model, and calls nobody owns."""
    company = empty_company(at)
    dice = random.Random(7)
    today = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    events: list[UsageEvent] = []
    for back in range(days, -1, -1):
        day = today - timedelta(days=back)
        many = calls_a_day // 4 if day.weekday() >= 5 else calls_a_day + (days - back) // 3
        for _ in range(many * (3 if back == 12 else 1)):
            when = min(day + timedelta(seconds=dice.randrange(86_400)), at - timedelta(minutes=2))
            events.append(_call(company, dice, len(events), when))
    book(company, events)
    return company


def _call(company: Company, dice: random.Random, number: int, when: datetime) -> UsageEvent:
    provider, model, _ = dice.choices((*MODELS, UNKNOWN_MODEL), weights=[m[2] for m in (*MODELS, UNKNOWN_MODEL)])[0]
    cast = company.cast
    who = dice.random()
    dimensions = Dimensions()
    if who < 0.45:
        dimensions = Dimensions(person=dice.choice((cast.bob.slug, cast.alice.slug)), team=cast.search.slug)
    elif who < 0.7:
        dimensions = Dimensions(project=company.projects[1].slug)
    elif who < 0.92:
        dimensions = Dimensions(agent=company.agent.slug)
    return event(
        number,
        when,
        provider=provider,
        model=model,
        counts=counts(
            input_uncached=dice.randrange(2_000, 60_000),
            cache_read=dice.randrange(0, 90_000) if provider == "anthropic" else 0,
            output_text=dice.randrange(200, 6_000),
            requests=1,
        ),
        session=f"s-{number // 9}",
        provider_request_id=f"req_{number:06d}",
        region="eu-west-1",
        dimensions=dimensions,
        tags=(("env", dice.choice(("prod", "staging"))),),
    )
