"""Rules of routing to tell stories with."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np

from routing.recommend.learning.choosing import learn
from routing.recommend.learning.tables import Tasks, words_of
from routing.rules import services
from routing.rules.models import Decision
from routing.rules.policy import Cost, Expected, Learnt, Packed, Policy, packed
from routing.rules.services import Saved
from routing.rules.types import Rule, Use, When, Within
from tests.factories.orgs import HOUSE

INCUMBENT: Final = "frontier"
CHEAP: Final = "small"
EASY: Final = "please sum up the minutes of the meeting"
HARD: Final = "prove that the lemma holds for every prime"


def triage(**given: Any) -> Rule:
    """Triage goes to the small model, then to the one it asks for."""
    usual: dict[str, Any] = {
        "name": "triage",
        "when": When(task_types=("triage",), models=(INCUMBENT,)),
        "use": (Use(model=CHEAP), Use(model=INCUMBENT)),
    }
    return Rule(**usual | given)


def local_only(**given: Any) -> Rule:
    """What is sensitive stays with upstreams of our own."""
    usual: dict[str, Any] = {
        "name": "local-only",
        "when": When(sensitive=True),
        "within": Within(labels=("local",)),
    }
    return Rule(**usual | given)


def saved(organization_id: int, rule: Rule | None = None, *, at: datetime, **given: Any) -> Saved:
    return services.save_rule(
        organization_id=organization_id, rule=rule or triage(), why="It does as well.", by=HOUSE, at=at, **given
    )


def by_type(**given: Any) -> Policy:
    """A policy without texts: triage loses nothing, chat loses a lot."""

    def expected(loss: float, cost: float) -> Expected:
        return Expected(loss=loss, cost=Cost(cost, 0.0, 0.0))

    usual: dict[str, Any] = {
        "incumbent": Learnt(model=INCUMBENT, types={}, other=expected(0.0, 1.0)),
        "candidates": (
            Learnt(
                model=CHEAP,
                types={"triage": expected(0.0, 0.1), "chat": expected(0.5, 0.1)},
                other=expected(0.2, 0.1),
            ),
        ),
        "price": 0.1,
    }
    return Policy(**usual | given)


def words(seed: int = 0) -> Packed:
    """A table of words of the right size."""
    return packed(np.random.default_rng(seed).normal(size=2**15).round(1).tolist())


def learned_rule(tasks: int = 400) -> Rule:
    """A rule as `recommend` learns it, from made tasks: the small model fails at what is hard."""
    drawn = np.random.default_rng(7)
    hard = drawn.random(tasks) < 0.4
    texts = [f"{HARD if one else EASY} {number}" for number, one in enumerate(hard)]
    scores = np.column_stack([drawn.random(tasks) < 0.95, drawn.random(tasks) < np.where(hard, 0.3, 0.95)])
    costs = np.column_stack([np.full(tasks, 0.02), np.full(tasks, 0.001)])
    made = Tasks(
        (INCUMBENT, CHEAP),
        np.array([("chat", "triage")[number % 2] for number in range(tasks)]),
        np.array([len(text) for text in texts], dtype=float),
        words_of(np.array(texts)),
        scores.astype(float),
        costs,
        np.arange(tasks),
    )
    learned = learn(made, target=0.95, assurance=0.5)
    assert learned.policy is not None
    return Rule(name="learned", when=When(models=(INCUMBENT,)), policy=learned.policy)


def decision(organization_id: int, call_id: str, *, at: datetime, **given: Any) -> Decision:
    usual: dict[str, Any] = {
        "rule_id": 1,
        "rule_version": 1,
        "arm": "treated",
        "propensity": 0.95,
        "asked": INCUMBENT,
        "chosen": CHEAP,
        "task_type": "triage",
        "session": "s-1",
        "tokens": 100,
        "why": "rule triage",
        "passed_over": [[INCUMBENT, "dearer"]],
    }
    return Decision.objects.create(organization_id=organization_id, call_id=call_id, at=at, **usual | given)


def old(at: datetime) -> datetime:
    """Longer ago than decisions are kept."""
    return at - services.KEPT - timedelta(minutes=1)
