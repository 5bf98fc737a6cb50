"""What a finance person is here to find: a runaway night, a model without a price, invoices, and records gone wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any, Final

from finops.connectors.capstan.parse import parse
from finops.connectors.types import Dimensions, GivenCost, Received, UsageEvent
from finops.core.money import PICO
from finops.core.periods import day_start
from finops.ingest.demo.rhythm import OFFICE, SATURDAY, moment, whole
from finops.ingest.demo.shapes import OPUS, counts
from finops.ingest.demo.streams import CLAUDE_CODE, GATEWAY, INVOICES, LITELLM
from finops.ingest.demo.world import World

# What the company's fixed amounts are meant for; a smaller demo pays less rent.
FULL_SIZE: Final = 250_000
NEW_MODEL: Final = "claude-opus-6-preview"
NEW_MODEL_DAYS: Final = 5
RUNAWAY_AGENT: Final = "invoice-matcher"
_RUNAWAY_SHARE: Final = 0.0168
_RUNAWAY_FROM: Final = timedelta(hours=2)
_RUNAWAY_FOR: Final = timedelta(hours=4, minutes=40)
_NEW_MODEL_SHARE: Final = 0.004
# Every so many of a day's records are sent again, or were seen by the gateway as well.
_RESENT: Final = 40
_SEEN_TWICE: Final = 12

# What arrives by invoice on the first of a month: id, provider, cost in whole units, currency, team, project, category.
_MONTHLY: Final = (
    ("reserved-capacity", "aws", 2_600, "USD", "infrastructure", "shared-platform", "Purchase"),
    ("gpu-rent", "acme", 1_450, "USD", "infrastructure", "shared-platform", "Purchase"),
    ("writing-seats", "mistral", 780, "EUR", "content", "content-studio", "Purchase"),
    ("loyalty-credit", "openai", -450, "USD", "procurement", "", "Credit"),
)


def runaway_day(world: World) -> date:
    """A working night some three weeks before the end."""
    day = world.span.from_end(19)
    while day.weekday() >= SATURDAY or day.weekday() == 0:
        day -= timedelta(days=1)
    return day


def incidents(world: World, number: int) -> Iterator[tuple[str, UsageEvent]]:
    """(source, event) of what happened beside the day's work."""
    day = world.span.days[number]
    if day == runaway_day(world):
        for event in _runaway(world, day):
            yield LITELLM, event
    if day > world.span.from_end(NEW_MODEL_DAYS):
        for event in _new_model(world, day, number):
            yield CLAUDE_CODE, event
    if day.day == 1:
        for event in _invoices(world, day):
            yield INVOICES, event


def _runaway(world: World, day: date) -> Iterator[UsageEvent]:
    """A program that asks the same question again and again, with the whole archive as its prompt."""
    times = max(20, round(world.charges * _RUNAWAY_SHARE))
    step = _RUNAWAY_FOR / times
    used = counts(fresh=812_000, out=1_900, think=2_600)
    for place in range(times):
        yield UsageEvent(
            external_id=f"runaway-{day:%Y%m%d}-{place:05d}",
            occurred_at=day_start(day) + _RUNAWAY_FROM + place * step,
            provider="anthropic",
            model=f"anthropic/{OPUS.new}",
            counts=used,
            provider_account="acme-data",
            session=f"match-invoices-{day:%m%d}-retry",
            task_type="extract",
            key_prefix=world.keys[RUNAWAY_AGENT],
            tags=(("env", "prod"), ("feature", "invoices")),
        )


def _new_model(world: World, day: date, number: int) -> Iterator[UsageEvent]:
    """Somebody tries what came out this week; the price book has not heard of it."""
    dice = world.dice("new model", day)
    eagerness = 1 + NEW_MODEL_DAYS - (world.span.until.date() - day).days
    quiet = 0.1 if day.weekday() >= SATURDAY else 1.0
    for place in range(max(1, whole(world.charges * _NEW_MODEL_SHARE * quiet * eagerness / 15, dice))):
        person = world.tinkerers.draw(dice)
        calls = 2 + int(dice.random() * 12)
        at = moment(person.office, day, OFFICE, dice)
        if at < world.span.until:
            yield UsageEvent(
                external_id=f"preview-{day:%Y%m%d}-{place:05d}",
                occurred_at=at,
                provider="anthropic",
                model=NEW_MODEL,
                counts=counts(
                    fresh=900 * calls, read=70_000 * calls, write=4_000 * calls, out=900 * calls, calls=calls
                ),
                provider_account="acme-engineering",
                session=f"cc-{person.slug}-{day:%m%d}-preview",
                task_type="code",
                identities=(("email", person.email),),
                tags=(("env", "dev"), ("feature", "coding")),
            )


def _invoices(world: World, day: date) -> Iterator[UsageEvent]:
    for name, provider, cost, currency, team, project, category in _MONTHLY:
        yield UsageEvent(
            external_id=f"{name}-{day:%Y-%m}",
            occurred_at=day_start(day) + timedelta(hours=9),
            provider=provider,
            model="",
            counts=counts(calls=0),
            provider_account="acme-billing",
            category=category,
            evidence="billed",
            dimensions=Dimensions(team=team, project=project),
            tags=(("env", "prod"),),
            cost=GivenCost(cost * PICO * min(world.charges, FULL_SIZE) // FULL_SIZE, currency),
        )


def resent(events: list[UsageEvent]) -> list[UsageEvent]:
    """What a source sends a second time, because its first try was slow to be answered."""
    return events[::_RESENT]


def seen_twice(events: list[UsageEvent]) -> list[UsageEvent]:
    """Calls that the gateway saw as well, under ids of its own: the same requests, so not charged again."""
    known = [event for event in events if event.provider_request_id]
    return [_by_gateway(event) for event in known[::_SEEN_TWICE]]


def _by_gateway(event: UsageEvent) -> UsageEvent:
    return UsageEvent(
        external_id=f"gw-{event.external_id}",
        occurred_at=event.occurred_at + timedelta(milliseconds=40),
        provider=event.provider,
        model=event.model,
        counts=event.counts,
        provider_account=event.provider_account,
        provider_request_id=event.provider_request_id,
    )


def damaged(world: World, number: int) -> list[tuple[str, Received]]:
    """(source, record) of what cannot be booked, on the days it came: one of each kind, most of them lately."""
    day = world.span.days[number]
    ago = (world.span.until.date() - day).days
    at = day_start(day) + timedelta(hours=10, minutes=4, seconds=ago)
    return [(source, parse(json.dumps(record).encode())) for source, record in _damaged(ago, day, at)]


def _damaged(ago: int, day: date, at: datetime) -> list[tuple[str, dict[str, Any]]]:
    """By how many days ago it came."""
    good: dict[str, Any] = {
        "id": f"bad-{day:%Y%m%d}",
        "occurred_at": at.isoformat(),
        "provider": "openai",
        "model": "gpt-6-sol",
        "usage": {"input_uncached": 4_200, "output_text": 610},
        "provider_account": "acme-sandbox",
    }
    months = {"category": "Purchase", "evidence": "billed", "usage": {}, "model": ""}
    wrong: dict[int, list[tuple[str, dict[str, Any]]]] = {
        2: [
            (GATEWAY, {"occurred_at": "2999-01-01T00:00:00Z"}),
            (GATEWAY, {"occurred_at": at.replace(year=1).isoformat()}),
        ],
        3: [(LITELLM, {"usage": {"input_uncached": -18, "output_text": 610}})],
        6: [(INVOICES, months | {"provider": "alpine-compute", "cost": {"amount": "310.00", "currency": "CHF"}})],
        9: [(GATEWAY, {"usage": {"convention": "inclusive", "input_tokens": 900, "cache_read_tokens": 1_400}})],
        13: [(LITELLM, {"modle": "gpt-6-sol"}), (LITELLM, {"model": ""})],
        21: [(GATEWAY, {"usage": {"input_uncached": 4_200, "output_text": 9_000_000_000_000_000}})],
    }
    return [
        (source, good | change | {"id": f"{good['id']}-{place}"})
        for place, (source, change) in enumerate(wrong.get(ago, ()))
    ]
