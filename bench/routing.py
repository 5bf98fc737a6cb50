"""`bench routing`: how much a rule saves that was learned from one half of measured tasks, on the other half.

The rule is learned from A, exported, imported, and applied to B by the functions that gateways decide with; B's scores
are read afterwards, to say what came of it.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from routing.classify.hot import hashed
from routing.classify.words import Counts
from routing.evidence.outcomes import Outcomes, read_outcomes
from routing.evidence.statistics.betting import judged
from routing.recommend.learning.choosing import learn, measured
from routing.recommend.learning.tables import Tasks, tasks_of
from routing.rules.document import exported, imported
from routing.rules.hot import Published, Rules, Subject
from routing.rules.types import Rule, Use, When

NEEDS_DATABASE: Final = False


def share_of_one(text: str) -> float:
    value = float(text)
    if not 0 < value < 1:
        raise ArgumentTypeError("a share between 0 and 1")
    return value


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--train", type=Path, required=True, help="a Parquet file of outcomes to learn from")
    parser.add_argument("--test", type=Path, required=True, help="a file of the same shape, which is only applied to")
    parser.add_argument("--incumbent", required=True, help="the model that is used")
    parser.add_argument("--candidate", action="append", required=True, help="a cheaper one; several may be given")
    parser.add_argument(
        "--target", type=share_of_one, default=0.95, help="the share of the incumbent's quality to keep"
    )
    parser.add_argument("--assurance", type=share_of_one, default=0.9, help="how surely")
    parser.add_argument("--rule", type=Path, help="where to write the rule that was learned, as YAML")
    parser.add_argument(
        "--choices",
        type=Path,
        help="where to write the model of each test task, a line of JSON each: what POST /api/v1/route answers for "
        "its text and task_type with its task as session, once the rule is imported",
    )


def run(parameters: dict[str, Any], say: Callable[[str], Any]) -> dict[str, Any]:
    """Keys: kept (share of the incumbent's quality) and saved (of its cost) on the test's tasks; saved_random_mix: what
    sending calls at random saves at the same quality; expected: what the rule was learned to come to; rule: in words,
    or KEEP; chosen: tasks by model; unmeasured: test tasks whose choice was never tried on them; verdicts: of each
    candidate, whether it alone would keep the target (all tasks, and each type), by the training tasks.
    """
    incumbent, candidates, target = parameters["incumbent"], parameters["candidate"], parameters["target"]
    train = read_outcomes(parameters["train"])
    tasks = tasks_of(train, incumbent, candidates)
    say(f"learning from {len(tasks):,} tasks")
    learned = learn(tasks, target=target, assurance=parameters["assurance"])
    told: dict[str, Any] = {"bench": "routing", "trained_on": len(tasks)}
    test = read_outcomes(parameters["test"])
    fresh = tasks_of(test, incumbent, candidates)
    choices = np.zeros(len(fresh), dtype=np.int64)
    if learned.policy is not None:
        use = tuple(Use(model=one.model) for one in learned.policy.candidates)
        rule = Rule(name="learned", when=When(models=(incumbent,)), use=use, policy=learned.policy)
        text = exported([rule])
        if parameters.get("rule"):
            parameters["rule"].write_text(text)
        (again,) = imported(text)
        choices = applied(again, test, fresh)
        if parameters.get("choices"):
            _written(parameters["choices"], choices, test, fresh)
        told["rule_bytes"] = len(text)
    told |= _outcome(choices, fresh)
    told["expected"] = {name: round(value, 4) for name, value in learned.expected._asdict().items()}
    told["rule"] = "KEEP" if learned.policy is None else _in_words(told["chosen"])
    told["verdicts"] = _verdicts(train, incumbent, candidates, 1 - target)
    return told


def applied(rule: Rule, test: Outcomes, fresh: Tasks) -> Any:
    """As gateways decide, with the rule in force for all, and each task a session of its own."""
    rules = Rules([Published(rule_id=1, version=1, rule=rule, salt=rule.name)])
    found = []
    for row in np.flatnonzero(~np.isnan(test.scores[:, test.of(fresh.models[0])])):
        text = test.prompts[row]
        subject = Subject(
            model=fresh.models[0], key=str(test.tasks[row]), sensitive=lambda: False, words=partial(_words, text),
            task_type=str(test.types[row]), characters=len(text),
        )  # fmt: skip
        found.append(fresh.models.index(rules.decide(subject).use[0].model))
    return np.array(found, dtype=np.int64)


def _words(text: str) -> Counts | None:
    return hashed(text) if text else None


def _written(path: Path, choices: Any, test: Outcomes, fresh: Tasks) -> None:
    tried = test.tasks[~np.isnan(test.scores[:, test.of(fresh.models[0])])]
    lines = [{"task_id": str(task), "model": fresh.models[one]} for task, one in zip(tried, choices, strict=True)]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))


def _outcome(choices: Any, fresh: Tasks) -> dict[str, Any]:
    scores, costs, known = measured(choices, fresh)
    usual, usual_cost = fresh.scores[known, 0], fresh.costs[known, 0]
    kept = float(scores[known].sum() / usual.sum()) if usual.sum() else 1.0
    saved = 1.0 - float(costs[known].sum() / usual_cost.sum()) if usual_cost.sum() else 0.0
    names, often = np.unique(choices, return_counts=True)
    return {
        "tasks": len(fresh),
        "kept": round(kept, 4),
        "saved": round(saved, 4),
        "saved_random_mix": round(_random_mix(kept, fresh), 4),
        "chosen": {fresh.models[name]: int(count) for name, count in zip(names, often, strict=True)},
        "unmeasured": int((~known).sum()),
    }


def _random_mix(kept: float, fresh: Tasks) -> float:
    """The most that sending calls at random saves at the same quality: to one candidate, or to two."""
    points = [(1.0, 0.0)]
    for place in range(1, len(fresh.models)):
        scores, costs, known = measured(np.full(len(fresh), place), fresh)
        if known.any() and fresh.scores[known, 0].sum() and fresh.costs[known, 0].sum():
            quality = float(scores[known].sum() / fresh.scores[known, 0].sum())
            points.append((quality, 1.0 - float(costs[known].sum() / fresh.costs[known, 0].sum())))
    best = max((saved for quality, saved in points if quality >= kept), default=0.0)
    for above in points:
        for below in points:
            if above[0] > kept > below[0]:
                share = (above[0] - kept) / (above[0] - below[0])
                best = max(best, (1 - share) * above[1] + share * below[1])
    return best


def _in_words(chosen: dict[str, int]) -> str:
    all_of_them = sum(chosen.values())
    return ", ".join(f"{count / all_of_them:.0%} to {model}" for model, count in sorted(chosen.items()))


def _verdicts(train: Outcomes, incumbent: str, candidates: list[str], margin: float) -> dict[str, Any]:
    drawn, told = np.random.default_rng(0), {}
    usual = float(np.nanmean(train.scores[:, train.of(incumbent)]))
    for candidate in candidates:
        differences, types = train.differences(incumbent, candidate)
        order = drawn.permutation(len(differences))
        differences, types = differences[order], types[order]

        def of(mine: Any, differences: Any = differences) -> str:
            return str(judged(differences[mine], margin * usual).verdict.value)

        told[candidate] = {"all": of(slice(None)), **{str(name): of(types == name) for name in np.unique(types)}}
    return told
