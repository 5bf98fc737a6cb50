"""Calls of made-up kinds of work to learn from."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from routing.classify.hot import features, signs
from routing.classify.rules import Label
from routing.classify.services import Taken, label_calls
from routing.classify.types.learned import Labelled
from tests.factories.orgs import HOUSE

# What kinds of work are about: no word is of two of them.
WORK: Final = {
    "triage": "ticket customer urgent escalate queue severity assign reply refund complaint priority incident outage",
    "summarize": "summary meeting minutes paragraph shorten notes highlights transcript condense digest overview recap",
    "code-search": "function class repository grep import module definition caller symbol directory reference stack",
    "translate": "german french spanish translate sentence idiom grammar wording localize tone formal dictionary",
}
_COMMON: Final = [
    "please",
    "the",
    "a",
    "of",
    "and",
    "to",
    "in",
    "for",
    "with",
    "this",
    "that",
    "it",
    "is",
    "on",
    "my",
    "our",
    "can",
    "you",
    "make",
    "find",
    "give",
]


def prompt(task_type: str, draw: random.Random, *, words: int = 12, about: float = 0.4) -> str:
    """Of words that any work has, and a share that this one has."""
    mine = WORK[task_type].split()
    return " ".join(draw.choice(mine if draw.random() < about else _COMMON) for _ in range(words))


def labels(
    each: int, *, seed: int = 1, types: Sequence[str] = tuple(WORK), about: float = 0.4, before: str = "c"
) -> list[Label]:
    """So many of each type, two of a session, in turn."""
    draw = random.Random(seed)
    found = []
    for number in range(each):
        for task_type in types:
            known = features(prompt(task_type, draw, about=about), tools=3 if task_type == "code-search" else 0)
            call = f"{before}{seed}-{task_type}-{number}"
            found.append(Label(call, task_type, signs(known), session=f"{before}{seed}-{task_type}-{number // 2}"))
    return found


def learnable(given: Sequence[Label]) -> Labelled:
    return Labelled([one.signs for one in given], [one.task_type for one in given], [one.session for one in given])


def labelled(organization_id: int, given: Sequence[Label], *, at: datetime) -> Taken:
    """As many requests as it takes."""
    total = Taken()
    for start in range(0, len(given), 200):
        taken = label_calls(organization_id=organization_id, labels=given[start : start + 200], by=HOUSE, at=at)
        total = Taken(*(one + other for one, other in zip(total, taken, strict=True)))
    return total
