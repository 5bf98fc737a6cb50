"""`bench evidence`: how soon, and how often wrongly, the product would believe in a cheaper model.

Real outcomes come in random orders, and it is looked after every task, by the functions of `routing/evidence`. Beside
one candidate, many at once: those that are believed after one half of the tasks are tried on the other.
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from routing.evidence.outcomes import Outcomes, read_outcomes
from routing.evidence.statistics.betting import bounds, judged, log_evidence, refuted_after
from routing.evidence.statistics.choosing import believed

NEEDS_DATABASE: Final = False
_RATE: Final = 0.1


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--outcomes",
        type=Path,
        required=True,
        help="a Parquet file of outcomes: task_id, task_type, model, score, cost_usd",
    )
    parser.add_argument("--incumbent", required=True, help="the model that is used")
    parser.add_argument(
        "--candidate", action="append", required=True, help="the model to try; several are tried at once"
    )
    parser.add_argument("--margin", type=float, default=0.05, help="how much worse, of 1, is as good")
    parser.add_argument("--alpha", type=float, default=0.05)
    parser.add_argument("--replays", type=int, default=200)
    parser.add_argument("--draws", type=int, help="so many tasks a replay, drawn anew from all of them; else each once")
    parser.add_argument("--seed", type=int, default=0)


def run(parameters: dict[str, Any], say: Callable[[str], Any]) -> dict[str, Any]:
    """Keys: pass_rate (share of replays that ever said PASS), median_n_pass (tasks, of those; None where none did),
    verdict (of all tasks, in one such order), difference with lower and upper, and `types` with a verdict each. With
    several candidates, of the tasks that all were tried on (`tasks_of_all`): `chosen` (how many are believed at once,
    on average of splits), and `held`: the share of those that were chosen on one half and are not worse by the margin
    on the other; None where none was.
    """
    outcomes = read_outcomes(parameters["outcomes"])
    drawn = np.random.default_rng(parameters["seed"])
    first = parameters["candidate"][0]
    told = {"bench": "evidence", **_one(outcomes, first, parameters, drawn)}
    if len(parameters["candidate"]) > 1:
        say("many at once")
        told |= _many(outcomes, parameters, drawn)
    return told


def _one(outcomes: Outcomes, candidate: str, parameters: dict[str, Any], drawn: np.random.Generator) -> dict[str, Any]:
    margin, alpha = parameters["margin"], parameters["alpha"]
    differences, types = outcomes.differences(parameters["incumbent"], candidate)
    # Files have their tasks by kind, and the first of them are not as the others are.
    order = drawn.permutation(len(differences))
    differences, types = differences[order], types[order]
    # As many as there are, each once; or so many, each as often as it comes.
    size, again = parameters["draws"] or len(differences), parameters["draws"] is not None
    replays = [drawn.choice(differences, size, replace=again) for _ in range(parameters["replays"] if size else 0)]
    passed = [after for one in replays if (after := refuted_after(one, -margin, alpha=alpha)) is not None]
    between = bounds(differences, alpha=alpha)
    return {
        "tasks": len(differences),
        "pass_rate": round(len(passed) / len(replays), 4) if replays else None,
        "median_n_pass": float(np.median(passed)) if passed else None,
        "verdict": judged(differences, margin, alpha=alpha).verdict.value,
        "difference": round(float(differences.mean()), 4) if len(differences) else None,
        "lower": round(between.lower, 4),
        "upper": round(between.upper, 4),
        "types": {
            str(name): judged(differences[types == name], margin, alpha=alpha).verdict.value
            for name in np.unique(types)
        },
    }


def _many(outcomes: Outcomes, parameters: dict[str, Any], drawn: np.random.Generator) -> dict[str, Any]:
    margin, names = parameters["margin"], parameters["candidate"]
    columns = [outcomes.of(one) for one in names]
    both = outcomes.scores[:, columns] - outcomes.scores[:, [outcomes.of(parameters["incumbent"])]]
    tasks = both[~np.isnan(both).any(axis=1)].T
    chosen, held = [], []
    for _ in range(parameters["replays"] if tasks.shape[1] > 1 else 0):
        order = drawn.permutation(tasks.shape[1])
        learned, fresh = np.array_split(order, 2)
        picked = believed(list(log_evidence(tasks[:, learned], -margin)[:, -1]), rate=_RATE)
        chosen.append(sum(picked))
        if any(picked):
            held += list(tasks[picked][:, fresh].mean(axis=1) >= -margin)
    return {
        "candidates": len(names),
        "tasks_of_all": tasks.shape[1],
        "chosen": round(float(np.mean(chosen)), 2) if chosen else None,
        "held": round(float(np.mean(held)), 3) if held else None,
    }
