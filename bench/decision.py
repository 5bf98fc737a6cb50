"""`bench decision`: what it costs a call that rules of routing decide it, in the process that it waits in.

A thousand rules, each for somebody else, and calls as a company makes them. Then the same with a text to read: which
type of work it is, whether it is sensitive, what a learned rule makes of it, and how likely each model does it.
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from time import perf_counter_ns
from typing import Any, Final

import numpy as np
import pandas as pd

from routing.classify.hot import MOST_MODELS, Classifier, Prospects, features, signs
from routing.classify.learning import prospects, train
from routing.classify.sensitivity import judge
from routing.classify.types import Content
from routing.classify.types.learned import Labelled, Tried
from routing.evidence.outcomes import outcomes_of
from routing.recommend.learning.choosing import learn
from routing.recommend.learning.tables import tasks_of
from routing.rules.hot import Published, Rules, Subject
from routing.rules.types import Rule, Use, When

NEEDS_DATABASE: Final = False
_MODELS: Final = ("frontier", "large", "medium", "small")
_TYPES: Final = tuple(f"type-{number}" for number in range(20))
# As long as a text is read at most, so that nobody waits longer.
_CHARACTERS: Final = 4_000


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--rules", type=int, default=1_000)
    parser.add_argument("--calls", type=int, default=200_000)
    parser.add_argument("--texts", type=int, default=3_000)
    parser.add_argument("--seed", type=int, default=0)


def run(parameters: dict[str, Any], say: Callable[[str], Any]) -> dict[str, Any]:
    """Keys, in microseconds: decision_p99_us and _p50_us of calls of whom there were others before; first_p99_us of the
    first of each kind; classified_p99_us and _p50_us with a text of 4,000 characters, read and decided; and
    foreseen_p99_us, what its difficulty takes once the call is over.
    """
    drawn = Random(parameters["seed"])
    rules = Rules([_rule(number, drawn) for number in range(parameters["rules"])])
    kinds = [_subject(drawn) for _ in range(2_000)]
    first = _times([partial(rules.decide, one) for one in kinds])
    say("deciding")
    calls = [kinds[drawn.randrange(len(kinds))]._replace(key=f"s-{n}") for n in range(parameters["calls"])]
    each = _times([partial(rules.decide, one) for one in calls])
    say("learning what to read")
    classified, foreseen = _classified(drawn, parameters["texts"])
    return {
        "bench": "decision",
        "rules": parameters["rules"],
        "decision_p99_us": _at(each, 99),
        "decision_p50_us": _at(each, 50),
        "first_p99_us": _at(first, 99),
        "classified_p99_us": _at(classified, 99),
        "classified_p50_us": _at(classified, 50),
        "foreseen_p99_us": _at(foreseen, 99),
    }


def _rule(number: int, drawn: Random) -> Published:
    """One of a company's: for a type of work of a project, an agent, a customer or a key, of one model or any."""
    whom = drawn.choice(["projects", "agents", "customers", "keys", "tags", "task_types"])
    value = str(drawn.randrange(500))
    named: dict[str, Any] = {whom: (value,)}
    owners = {whom[:-1]: frozenset({int(value)})} if whom in ("projects", "agents", "customers") else {}
    if whom == "keys":
        named = {"keys": (f"cap_{value}",)}
    elif whom == "tags":
        named = {"tags": {"ticket": (value,)}}
    elif whom == "task_types":
        named = {"task_types": (drawn.choice(_TYPES),), "least_tokens": drawn.randrange(100_000)}
    when = When(models=(drawn.choice(_MODELS),) if drawn.random() < 0.5 else (), **named)
    rule = Rule(name=f"rule-{number}", when=when, use=(Use(model="small"),))
    return Published(
        rule_id=number, version=1, rule=rule, owners=owners, share=drawn.choice([0.05, 0.5, 1.0]), held_back=0.05,
        salt=str(number),
    )  # fmt: skip


def _subject(drawn: Random) -> Subject:
    return Subject(
        model=drawn.choice(_MODELS),
        key="",
        sensitive=lambda: False,
        words=lambda: None,
        task_type=drawn.choice(_TYPES),
        team=drawn.randrange(50),
        project=drawn.randrange(500),
        agent=drawn.randrange(500),
        customer=drawn.randrange(500),
        key_prefix=f"cap_{drawn.randrange(500)}",
        tags={"ticket": str(drawn.randrange(500)), "client": "curl"},
        tokens=drawn.randrange(100_000),
        tools=drawn.randrange(2),
    )


def _text(drawn: Random, kind: int) -> str:
    """Words of which some are a type's own."""
    words: list[str] = []
    size = 0
    while size < _CHARACTERS:
        word = f"w{drawn.randrange(5_000)}" if drawn.random() < 0.9 else f"of{kind}x{drawn.randrange(40)}"
        words.append(word)
        size += len(word) + 1
    return " ".join(words)


def _classified(drawn: Random, size: int) -> tuple[list[int], list[int]]:
    """With a text: a decision; and, once the call is over, how likely each model does it."""
    kinds = [drawn.randrange(len(_TYPES)) for _ in range(size)]
    texts = [_text(drawn, kind) for kind in kinds]
    known = [features(text) for text in texts]
    labelled = Labelled(
        types=[_TYPES[kind] for kind in kinds],
        sessions=[str(number) for number in range(size)],
        signs=[signs(one) for one in known],
    )
    classifier = Classifier.of(train(labelled).published)
    rules = _learned(texts, kinds, drawn)
    # As many models as there may be.
    models = [f"model-{number}" for number in range(MOST_MODELS)]
    outcomes = [[float((kind + place) % 2 or drawn.random() < 0.5) for place in range(MOST_MODELS)] for kind in kinds]
    tried = Tried(models, labelled.signs, labelled.sessions, outcomes)
    foresees = Prospects(prospects(tried, light=models[0]).published)

    def decide(text: str, number: int) -> None:
        found = features(text)
        guess = classifier.guess(found)
        sensitive = judge(Content((text,))).stays_local
        rules.decide(
            Subject(
                model="frontier",
                key=str(number),
                sensitive=lambda: sensitive,
                words=lambda: dict(found.words),
                task_type=guess.task_type,
                characters=len(text),
            )
        )

    classified = _times([partial(decide, text, n) for n, text in enumerate(texts)])
    return classified, _times([partial(foresees.judge, one) for one in labelled.signs])


def _learned(texts: Sequence[str], kinds: Sequence[int], drawn: Random) -> Rules:
    rows = []
    for number, (text, kind) in enumerate(zip(texts, kinds, strict=True)):
        task = {"task_id": str(number), "task_type": _TYPES[kind], "prompt": text}
        rows.append(task | {"model": "frontier", "score": 1.0, "cost_usd": 0.01})
        rows.append(task | {"model": "small", "score": float(kind % 2 or drawn.random() < 0.5), "cost_usd": 0.001})
    learned = learn(tasks_of(outcomes_of(pd.DataFrame(rows)), "frontier", ["small"]), target=0.9, assurance=0.5)
    assert learned.policy is not None
    return Rules([Published(rule_id=1, version=1, rule=Rule(name="learned", policy=learned.policy))])


def _times(acts: Sequence[Callable[[], Any]]) -> list[int]:
    found = []
    for act in acts:
        began = perf_counter_ns()
        act()
        found.append(perf_counter_ns() - began)
    return found


def _at(times: Sequence[int], percent: float) -> float:
    return round(float(np.percentile(times, percent)) / 1_000, 2)
