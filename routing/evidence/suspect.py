"""What in the data looks broken, and why. Pure. Broken evaluations look like bad models, or like good ones: an answer
format that changed costs a model 50 points, a run that ended early flatters it. Whoever recommends leaves out what a
flag is about until somebody has looked; withdrawing the evaluation clears the flag.

Each rule is coarse on purpose: it asks for a difference that no sampling explains (several standard errors) and that is
large besides. What it misses is in the statistics; what it names is worth a look.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from typing import Final, NamedTuple, TypeAlias

import numpy as np

from routing.evidence.types import Flag, Flags, Floats, Rows, Whole

FORMAT_COLLAPSE: Final = "format_collapse"
TRUNCATED_RUN: Final = "truncated_run"
JUDGE_DRIFT: Final = "judge_drift"
DUPLICATED_ITEMS: Final = "duplicated_items"
ONE_ORDER: Final = "one_order"
CODES: Final = (FORMAT_COLLAPSE, TRUNCATED_RUN, JUDGE_DRIFT, DUPLICATED_ITEMS, ONE_ORDER)

# Fewer outcomes of a model are never suspect: nothing is recommended by them either.
LEAST_OUTCOMES: Final = 20
# Points of 1 that a model has to fall short of what it does elsewhere; half of that is expected of it at most.
COLLAPSED: Final = 0.3
NEAR_NOTHING: Final = 0.02
# What others have to do where one does nothing, so that it is the format and not the tasks.
OTHERS_CAN: Final = 0.4
TRUNCATED: Final = 0.1
LEAST_TRUNCATED: Final = 5
DRIFTED: Final = 0.03
DRIFT_ERRORS: Final = 4.0
COPIES: Final = 0.1
_SHOWN: Final = 20
_EDITIONS: Final = 50


class Standing(NamedTuple):
    """A model in one task type: its outcomes, and their mean."""

    outcomes: int
    mean: float


# By task type and model.
Standings: TypeAlias = Mapping[str, Mapping[str, Standing]]


def standings_of(rows: Rows) -> dict[str, Standing]:
    """Of one type, for `flags_of`."""
    number = np.bincount(rows.model, minlength=len(rows.models))
    total = np.bincount(rows.model, rows.score, minlength=len(rows.models))
    return {
        model: Standing(int(number[place]), float(total[place] / number[place]))
        for place, model in enumerate(rows.models)
        if number[place]
    }


def flags_of(rows: Rows, standings: Standings) -> tuple[Flag, ...]:
    """Of one task type, by what models do in all of them."""
    found = [
        *format_collapses(rows, standings),
        *truncated_runs(rows),
        *judge_drifts(rows),
        *duplicated_items(rows),
        *one_order(rows),
    ]
    return tuple(sorted(found, key=lambda one: (CODES.index(one.code), one.models, one.reason)))


def format_collapses(rows: Rows, standings: Standings) -> list[Flag]:
    """Models whose scores are all the same, or next to nothing, or far below what they do in other types, where others
    are as usual: the signature of an answer format that the evaluator does not read.
    """
    here = _enough(standings.get(rows.task_type, {}))
    found = []
    for model, (number, mean) in here.items():
        others = [one.mean for name, one in here.items() if name != model]
        if not others:
            continue
        usual = float(np.median(others))
        mine = rows.score[rows.model == rows.models.index(model)]
        reason = ""
        if mine.size and mine.min() == mine.max() and abs(usual - mean) >= COLLAPSED:
            reason = f"all {number:,} scores of {model} are {mean:.3g}, while others are at {usual:.2f}"
        elif mean <= NEAR_NOTHING and len(others) > 1 and usual >= OTHERS_CAN:
            reason = f"{model} is at {mean:.3f} where others are at {usual:.2f}"
        elif (expected := _expected(rows.task_type, model, usual, standings)) is not None:
            error = sqrt(max(mean * (1.0 - mean), 0.01) / number)
            if expected - mean >= max(COLLAPSED, DRIFT_ERRORS * error) and mean <= expected / 2.0:
                reason = f"{model} is at {mean:.2f}, {expected - mean:.2f} below what it does in other task types"
        if reason:
            said = f"{reason}: the form of its answers may have changed, or is not what the evaluator reads"
            found.append(Flag(FORMAT_COLLAPSE, said, rows.task_type, (model,), _names(rows, _worst(rows, model))))
    return found


def truncated_runs(rows: Rows) -> list[Flag]:
    """Models whose answers were cut off, refused or errors far more often than those of others, or that lack items that
    nearly all others of the same run have.
    """
    found = []
    number = np.bincount(rows.model, minlength=len(rows.models))
    cut = np.bincount(rows.model, rows.status > 0, minlength=len(rows.models))
    share = cut / np.maximum(number, 1)
    enough = number >= LEAST_OUTCOMES
    for place in np.flatnonzero(enough & (cut >= LEAST_TRUNCATED)):
        others = share[enough & (np.arange(share.size) != place)]
        usual = float(np.median(others)) if others.size else 0.0
        if share[place] - usual >= TRUNCATED:
            which = np.unique(rows.item[(rows.model == place) & (rows.status > 0)])
            reason = (
                f"{share[place]:.0%} of {rows.models[place]}'s answers were truncated, refused or errors"
                f"{f', {usual:.0%} of those of others' if others.size else ''}"
            )
            found.append(Flag(TRUNCATED_RUN, reason, rows.task_type, (rows.models[place],), _names(rows, which)))
    # Calls have one model each; that the others are missing is what calls are.
    runs = rows.where(rows.randomised & np.isnan(rows.propensity))
    for run in np.unique(runs.run):
        found += _missing(runs.where(runs.run == run))
    return found


def judge_drifts(rows: Rows) -> list[Flag]:
    """Evaluators that score the same items of the same model otherwise than they did before: another version of them,
    or the same in a later run.
    """
    found = []
    evaluators = {(one.kind, one.evaluator) for one in rows.measures}
    for kind, evaluator in sorted(evaluators):
        numbers = [n for n, one in enumerate(rows.measures) if (one.kind, one.evaluator) == (kind, evaluator)]
        mine = rows.where(np.isin(rows.measure, numbers) & np.isnan(rows.propensity))
        if np.unique(mine.run).size > 1:
            found += _drift(mine, evaluator)
    return found


def duplicated_items(rows: Rows) -> list[Flag]:
    """Items whose content is that of others, under other ids; and runs that repeat another to the last place."""
    found = []
    items, first = np.unique(rows.item, return_index=True)
    prints = rows.fingerprint[first]
    told = prints >= 0
    _, place, many = np.unique(prints[told], return_inverse=True, return_counts=True)
    copies = int(told.sum()) - many.size
    if copies >= LEAST_TRUNCATED and copies >= COPIES * told.sum():
        same = items[told][many[place] > 1]
        reason = (
            f"{copies:,} of {int(told.sum()):,} items have the content of another one under an id of their own; the"
            f" most frequent has {int(many.max()):,} ids"
        )
        present = tuple(rows.models[n] for n in np.unique(rows.model))
        found.append(Flag(DUPLICATED_ITEMS, reason, rows.task_type, present, _names(rows, same)))
    return [*found, *_copied_runs(rows)]


def one_order(rows: Rows) -> list[Flag]:
    """Judgements of two answers that were shown in one order alone: whatever is shown first is preferred a little."""
    ordered = rows.where(rows.order > 0)
    if ordered.score.size < LEAST_OUTCOMES:
        return []
    cell = _cell(ordered)
    _, place = np.unique(cell, return_inverse=True)
    ways = np.zeros(place.max() + 1, dtype=np.int64)
    np.bitwise_or.at(ways, place, ordered.order)
    alone = ways[place] != 3
    found = []
    for model in np.unique(ordered.model):
        mine = ordered.model == model
        if mine.sum() >= LEAST_OUTCOMES and (share := float(alone[mine].mean())) > COPIES:
            name = rows.models[model]
            reason = f"{share:.0%} of the judgements of {name} saw it in one order alone; show both, each first once"
            which = np.unique(ordered.item[mine & alone])
            found.append(Flag(ONE_ORDER, reason, rows.task_type, (name,), _names(rows, which)))
    return found


def concerns(flags: tuple[Flag, ...], task_type: str, *models: str) -> tuple[Flag, ...]:
    """Those that stand against believing what is known of these models in this type."""
    return tuple(one for one in flags if one.task_type == task_type and set(one.models) & set(models))


def _expected(task_type: str, model: str, usual: float, standings: Standings) -> float | None:
    """What the model should do here, by how far it is from others elsewhere; None where it is nowhere else."""
    away = []
    for other, table in standings.items():
        known = _enough(table)
        rest = [one.mean for name, one in known.items() if name != model]
        if other != task_type and model in known and rest:
            away.append(known[model].mean - float(np.median(rest)))
    return None if len(away) < 2 else min(max(usual + float(np.median(away)), 0.0), 1.0)


def _enough(table: Mapping[str, Standing]) -> dict[str, Standing]:
    return {model: one for model, one in table.items() if one.outcomes >= LEAST_OUTCOMES}


def _missing(run: Rows) -> list[Flag]:
    models = np.unique(run.model)
    if models.size < 2:
        return []
    have = np.zeros((models.size, len(run.items)), dtype=bool)
    have[np.searchsorted(models, run.model), run.item] = True
    found = []
    for place, model in enumerate(models):
        # Items that four of five of the others have: what several lack is another choice of items.
        rest = np.delete(have, place, axis=0)
        usual = rest.sum(axis=0) * 5 >= rest.shape[0] * 4
        if usual.sum() < LEAST_OUTCOMES:
            continue
        lacks = usual & ~have[place]
        share = float(lacks.sum() / usual.sum())
        others = float(np.median((usual & ~rest).sum(axis=1) / usual.sum()))
        if lacks.sum() >= LEAST_TRUNCATED and share - others >= TRUNCATED:
            name = run.models[model]
            reason = (
                f"{name} lacks {int(lacks.sum()):,} of {int(usual.sum()):,} items that nearly all others of its run"
                " have: the run may have ended early"
            )
            found.append(Flag(TRUNCATED_RUN, reason, run.task_type, (name,), _names(run, np.flatnonzero(lacks))))
    return found


def _drift(rows: Rows, evaluator: str) -> list[Flag]:
    """Each run of an evaluator, held against the mean of those before it on the same cells."""
    found: dict[int, Flag] = {}
    cells, place = np.unique(_cell(rows) * 4 + rows.order, return_inverse=True)
    total, number = np.zeros(cells.size), np.zeros(cells.size)
    began = {int(run): int(rows.batch[rows.run == run].min()) for run in np.unique(rows.run)}
    for run in sorted(began, key=lambda one: (began[one], one))[-_EDITIONS:]:
        now = rows.run == run
        again = now & (number[place] > 0)
        moved = rows.score[again] - total[place[again]] / number[place[again]]
        for model in np.unique(rows.model[again]):
            change = moved[rows.model[again] == model]
            if _moved(change):
                name, version = rows.models[model], rows.measures[rows.measure[now][0]].version
                reason = (
                    f"{evaluator} {version} scores the same {change.size:,} items of {name} {abs(change.mean()):.2f}"
                    f" {'higher' if change.mean() > 0 else 'lower'} than before".replace("  ", " ")
                )
                which = np.unique(rows.item[again & (rows.model == model)])
                found[int(model)] = Flag(JUDGE_DRIFT, reason, rows.task_type, (name,), _names(rows, which))
        np.add.at(total, place[now], rows.score[now])
        np.add.at(number, place[now], 1.0)
    return list(found.values())


def _moved(change: Floats) -> bool:
    if change.size < LEAST_OUTCOMES or abs(change.mean()) < DRIFTED:
        return False
    return bool(abs(change.mean()) > DRIFT_ERRORS * change.std(ddof=1) / sqrt(change.size))


def _copied_runs(rows: Rows) -> list[Flag]:
    """Two runs that gave the same model the same scores at the same costs, to the last place, item by item."""
    told = rows.where(~np.isnan(rows.cost) & (rows.cost > 0))
    found: list[Flag] = []
    runs = np.unique(told.run)[-_EDITIONS:]
    if runs.size < 2:
        return found
    tables = {int(run): _table(told.where(told.run == run)) for run in runs}
    for later in runs[1:]:
        for earlier in runs[runs < later]:
            one, other = tables[int(earlier)], tables[int(later)]
            _, mine, theirs = np.intersect1d(one[0], other[0], return_indices=True)
            if mine.size < LEAST_OUTCOMES or np.unique(one[2][mine]).size < LEAST_OUTCOMES // 2:
                continue
            if (one[1][mine] == other[1][theirs]).all() and (one[2][mine] == other[2][theirs]).all():
                again = told.where(told.run == later)
                reason = f"evaluation {later} repeats evaluation {earlier}: {mine.size:,} outcomes are the same"
                present = tuple(rows.models[n] for n in np.unique(again.model))
                found.append(
                    Flag(DUPLICATED_ITEMS, reason, rows.task_type, present, _names(rows, np.unique(again.item)))
                )
                break
    return found


def _table(run: Rows) -> tuple[Whole, Floats, Floats]:
    """Cells in order, their scores and their costs."""
    order = np.argsort(_cell(run) * 4 + run.order, kind="stable")
    return (_cell(run) * 4 + run.order)[order], run.score[order], run.cost[order]


def _cell(rows: Rows) -> Whole:
    return rows.item * len(rows.models) + rows.model


def _worst(rows: Rows, model: str) -> Whole:
    mine = rows.model == rows.models.index(model)
    low: Flags = mine & (rows.score <= rows.score[mine].min()) if mine.any() else mine
    return np.unique(rows.item[low])


def _names(rows: Rows, items: Whole) -> tuple[str, ...]:
    return tuple(str(rows.items[one]) for one in items[:_SHOWN])
