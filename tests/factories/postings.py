"""Postings for tests of the ledger alone: any mix of owners, words and money, past pricing and attribution."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from django.db import transaction

from finops.core.money import convert_pico
from finops.core.tokens import METERS
from finops.ledger.services import Batch, post
from finops.ledger.types import Ownership, Posted, Posting, Priced, Shape, Tagging

AT = datetime(2026, 11, 1, 12, tzinfo=UTC)
EURO = Decimal("1.0837")


def shape(*, model: str = "gpt-5", provider: str = "openai", source_id: int = 1, **more: str) -> Shape:
    return Shape(
        source_id=source_id,
        provider=provider,
        model=model,
        model_raw=f"{model}-raw",
        service_tier=more.get("service_tier", ""),
        region=more.get("region", ""),
        host="",
        provider_account="",
        category="Usage",
        evidence="metered",
    )


def ownership(
    *,
    team: int = 0,
    person: int = 0,
    project: int = 0,
    agent: int = 0,
    customer: int = 0,
    key: int = 0,
    task_type: str = "",
) -> Ownership:
    ids = (team, person, project, agent, customer, key)
    return Ownership(ids=ids, task_type=task_type, attributed=any(ids), origin={}, trace=[])


def priced(pico: int, currency: str = "USD", *, list_pico: int | None = None) -> Priced:
    reporting = pico if currency == "USD" else convert_pico(pico, EURO)
    fx_rate = "1" if currency == "USD" else str(EURO)
    listed = pico if list_pico is None else list_pico
    return Priced(True, 1, 0, currency, listed, pico, pico, None, "USD", reporting, fx_rate, None)


def posting(
    external_id: str,
    occurred_at: datetime,
    *,
    pico: int = 10**12,
    priced_as: Priced | None = None,
    shape_: Shape | None = None,
    owner: Ownership | None = None,
    tags: dict[int, str] | None = None,
    session: str = "",
    counts: dict[str, int] | None = None,
) -> Posting:
    """One posting; `tags` maps a promoted slot to its value, `counts` a meter to its count."""
    made = [0] * len(METERS)
    for meter, count in (counts or {"input_uncached": 100, "output_text": 10}).items():
        made[METERS.index(meter)] = count
    slots = tags or {}
    return Posting(
        1,
        external_id,
        "",
        external_id.encode()[:16],
        external_id,
        occurred_at,
        session,
        "",
        1,
        tuple(made),
        shape_ or shape(),
        owner or ownership(),
        Tagging(tags=tuple((f"key{slot}", value) for slot, value in sorted(slots.items())), slots=slots),
        priced_as or priced(pico),
    )


def post_all(organization_id: int, postings: Sequence[Posting]) -> list[Posted]:
    batch = Batch(organization_id=organization_id, postings=postings)
    with transaction.atomic():
        return post(batch=batch, revises=False, at=AT)


def random_postings(seed: int, count: int, days: Iterable[date]) -> list[Posting]:
    """A believable muddle: heavy spenders and light ones, two currencies, discounts, credits, tags, hours."""
    rng = random.Random(seed)
    calendar = list(days)
    made = []
    for n in range(count):
        person = min(int(rng.paretovariate(0.8)), 60)
        pico = int(rng.lognormvariate(24, 2)) * (-1 if rng.random() < 0.05 else 1)
        moment = datetime.combine(rng.choice(calendar), time(rng.randrange(24), rng.randrange(60)), tzinfo=UTC)
        made.append(
            posting(
                f"seed{seed}-{n}",
                moment + timedelta(microseconds=n),
                priced_as=priced(
                    pico,
                    "EUR" if person % 5 == 0 and rng.random() < 0.5 else "USD",
                    list_pico=pico * 10 // 9 if rng.random() < 0.3 else None,
                ),
                shape_=shape(
                    source_id=1 + n % 3,
                    provider=rng.choice(["openai", "anthropic"]),
                    model=rng.choice(["gpt-5", "gpt-5-mini", "claude-opus-4-5", "claude-haiku-4-5"]),
                    region=rng.choice(["", "eu"]),
                    service_tier=rng.choice(["", "batch"]),
                ),
                owner=ownership(
                    team=person % 4,
                    person=person,
                    project=rng.randrange(5),
                    agent=rng.choice([0, 0, 1, 2]),
                    customer=rng.randrange(3),
                    key=person % 7,
                    task_type=rng.choice(["", "summarize"]),
                ),
                tags={1: rng.choice(["prod", "dev"]), 10: rng.choice(["red", "blue", "green"])},
                session=rng.choice(["", f"session-{person}"]),
                counts={"input_uncached": rng.randrange(5000), "cache_read": rng.randrange(3), "output_text": n % 700},
            )
        )
    return made
