"""Calls of made-up work whose outcomes say what models are good for."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import psycopg
from django.db import connection

from routing.classify.hot import Prospects, draw_of, features, signs
from routing.classify.packed import drawn_with, pack
from routing.classify.store import Row, store
from routing.classify.types import Features, Foreseen
from routing.prospects import selectors, services
from routing.prospects.models import TrainedProspects
from tests.factories.classify import WORK, prompt
from tests.factories.evidence import heard, outcome
from tests.factories.orgs import HOUSE

# Of each kind of work, how likely a model does a call well.
CHANCES: Final[Mapping[str, Mapping[str, float]]] = {
    "gpt-mini": {"triage": 0.95, "translate": 0.9, "summarize": 0.3, "code-search": 0.25},
    "gpt": {"triage": 0.95, "translate": 0.95, "summarize": 0.85, "code-search": 0.7},
}
# Calls are drawn by it, so that what is learned does not depend on which number an organization got.
_ANY: Final = 1
COSTS: Final[Mapping[str, str]] = {"gpt-mini": "0.001", "gpt": "0.01"}


def wire() -> psycopg.Connection[Any]:
    """As a gateway has it, here within the test's transaction."""
    connection.ensure_connection()
    inner: psycopg.Connection[Any] = connection.connection
    return inner


def tried(
    organization_id: int,
    number: int = 400,
    *,
    at: datetime,
    seed: int = 1,
    chances: Mapping[str, Mapping[str, float]] = CHANCES,
    costs: Mapping[str, str] = COSTS,
    name: str = "suite",
) -> list[str]:
    """So many calls that passed, each with an outcome of one of the models in turn; gives their ids. What was foreseen
    of them is what is in force.
    """
    draw = random.Random(seed)
    published = selectors.published(organization_id)
    learned = Prospects(published) if published is not None else None
    rows, outcomes = [], []
    for place in range(number):
        kind, model = draw.choice(list(WORK)), list(chances)[place % len(chances)]
        call = f"{name}-{seed}-{place}"
        found = signs(features(prompt(kind, draw)))
        packed = pack(found)
        told = {} if learned is None else dict(learned.judge(found).chances)
        rows.append(
            Row(
                call, at, at.date(), "", "", draw_of(call), drawn_with(_ANY, call), packed.words,
                packed.marks, told, 0 if learned is None else learned.version,
            )
        )  # fmt: skip
        score = float(draw.random() < chances[model][kind])
        cost = Decimal(costs[model]) if model in costs else None
        outcomes.append(outcome(call, model, score, cost=cost, task_type=kind))
    for start in range(0, number, 100):
        # Each lot of another day, so that no day is full.
        day = (at - timedelta(days=start // 100)).date()
        store(wire(), organization_id, day, [one._replace(day=day) for one in rows[start : start + 100]])
    for start in range(0, number, 500):
        heard(organization_id, outcomes[start : start + 500], at=at)
    return [one.call_id for one in rows]


def published_prospects(organization_id: int, *, at: datetime) -> TrainedProspects:
    tried(organization_id, at=at)
    return services.learn(organization_id=organization_id, by=HOUSE, at=at)


def foreseen(organization_id: int, known: Features) -> Foreseen:
    """As what is in force says it."""
    published = selectors.published(organization_id)
    assert published is not None
    return Prospects(published).foresee(known)
