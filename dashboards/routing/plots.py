"""Plots of what routing measures: two models task by task, all by quality and cost, and guesses against what was so."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from math import sqrt
from typing import Any, Final

from dashboards.charts.as_plotly import as_float
from dashboards.charts.plot import Axis, Curve, Look, PlotSpec, spanning
from dashboards.templatetags.figures import count, money
from dashboards.templatetags.measures import each, part, points, score
from routing.classify.selectors import SeenDay
from routing.evidence.comparisons import Comparison
from routing.recommend.types import Point
from routing.rollouts.models import SavingsMonth

# Of a plot with more models only those on the frontier, and the two it is about, are named in it.
_NAMED: Final = 6
# Months of rules, the newest.
_MONTHS: Final = 12
# Points either side of the last bounds, at least.
_LEAST_REACH: Final = 2.0


def sequence(found: Comparison, *, key: str = "sequence") -> PlotSpec | None:
    """The difference and its bounds after every pair, and the margin it is held against; None before the first pair."""
    if not found.points:
        return None
    told = found.points
    last, margin = told[-1], found.margin * 100
    xs = tuple(one.pairs for one in told)
    means = tuple(one.mean * 100 for one in told)
    lows, highs = (tuple(getattr(one, name) * 100 for one in told) for name in ("lower", "upper"))
    reach = max(highs[-1] - lows[-1], margin, _LEAST_REACH)
    span = spanning((lows[-1] - reach, highs[-1] + reach, -margin, 0.0), least=-100.0, most=100.0)
    texts = tuple(
        f"After {count(one.pairs)}: {points(one.mean)} ({points(one.lower)} to {points(one.upper)})" for one in told
    )
    what = "pairs" if found.pairs == found.clusters else "groups of pairs"
    return PlotSpec(
        key=key,
        caption=(
            f"After {count(last.pairs)} {what}, {found.candidate} is {points(last.mean)} points from {found.incumbent},"
            f" between {points(last.lower)} and {points(last.upper)}. Down to {points(-found.margin)} is as good."
        ),
        across=Axis(what.capitalize(), (0.0, max(xs) * 1.02)),
        up=Axis("Points", span),
        curves=(
            Curve("Bounds that hold at every look", 1, Look.BAND, xs, highs, lows=lows),
            Curve("Difference so far", 1, Look.LINE, xs, means, texts=texts),
            Curve("Margin", 0, Look.THRESHOLD, (0.0, max(xs) * 1.02), (-margin, -margin)),
            Curve("No difference", 2, Look.THRESHOLD, (0.0, max(xs) * 1.02), (0.0, 0.0)),
        ),
        head=(what.capitalize(), "Difference, points", "At least", "At most"),
        rows=tuple((count(one.pairs), points(one.mean), points(one.lower), points(one.upper)) for one in told),
    )


def frontier(
    every: Sequence[Point], best: Collection[str], *, task_type: str, incumbent: str, candidate: str = ""
) -> PlotSpec | None:
    """Models by what a task costs and how well it is done; None where fewer than two have both."""
    told = [one for one in every if one.cost is not None]
    if len(told) < 2:
        return None
    costs = {one.model: one.cost or 0.0 for one in told}
    line = sorted((one for one in told if one.model in best), key=lambda one: (costs[one.model], one.quality))
    named = {incumbent, candidate, *best} if len(told) > _NAMED else costs.keys()

    def dots(name: str, slot: int, some: list[Point]) -> Curve:
        return Curve(
            name, slot, Look.DOTS,
            tuple(costs[one.model] for one in some),
            tuple(one.quality * 100 for one in some),
            texts=tuple(f"{one.model}: {score(one.quality)} for {each(one.cost)} a task" for one in some),
            labels=tuple(one.model if one.model in named else "" for one in some),
        )  # fmt: skip

    groups = (
        ("Incumbent", 2, [one for one in told if one.model == incumbent]),
        ("Candidate", 3, [one for one in told if one.model == candidate]),
        ("Others", 1, [one for one in told if one.model not in (incumbent, candidate)]),
    )
    curves = [
        Curve(
            "Nothing is better without costing more", 0, Look.THRESHOLD,
            tuple(costs[one.model] for one in line), tuple(one.quality * 100 for one in line),
        )
    ]  # fmt: skip
    curves += [dots(*group) for group in groups if group[2]]
    return PlotSpec(
        key="frontier",
        caption=_best(task_type, line),
        across=Axis("Dollars a task", spanning(costs.values(), least=0.0), prefix="$"),
        up=Axis("Mean score of 100", spanning([one.quality * 100 for one in told])),
        curves=tuple(curves),
        head=("Model", "Mean score", "Dollars a task", "Tasks", "On the frontier"),
        rows=tuple(
            (one.model, score(one.quality), each(one.cost), count(one.tasks), "yes" if one.model in best else "no")
            for one in sorted(every, key=lambda one: (-one.quality, one.model))
        ),
    )


def _best(task_type: str, line: Sequence[Point]) -> str:
    cheap, good = line[0], line[-1]
    if cheap.model == good.model:
        return (
            f"On {task_type}, {good.model} is the best and the cheapest: {score(good.quality)} for {each(good.cost)}."
        )
    return (
        f"On {task_type}, {good.model} is the best, {score(good.quality)} for {each(good.cost)} a task; {cheap.model}"
        f" is the cheapest that nothing beats, {score(cheap.quality)} for {each(cheap.cost)}."
    )


def reliability(bins: Sequence[Mapping[str, Any]], error: float) -> PlotSpec | None:
    """How often a guess was right, by how sure it was; None before there is any."""
    told = [one for one in bins if one["number"]]
    if not told:
        return None
    away = [_away(one) for one in told]
    return PlotSpec(
        key="reliability",
        caption=(
            f"How sure a guess is and how often it is right are {part(error)} apart on average. On the dashed line they"
            " are the same."
        ),
        across=Axis("How sure, percent", (0.0, 102.0)),
        up=Axis("Right, percent", (0.0, 104.0)),
        curves=(
            Curve("As sure as right", 0, Look.THRESHOLD, (0.0, 100.0), (0.0, 100.0)),
            Curve(
                "Guesses, with two standard errors", 1, Look.SPANS,
                tuple(one["chance"] * 100 for one in told),
                tuple(one["right"] * 100 for one in told),
                lows=tuple(max(one["right"] - far, 0.0) * 100 for one, far in zip(told, away, strict=True)),
                highs=tuple(min(one["right"] + far, 1.0) * 100 for one, far in zip(told, away, strict=True)),
                texts=tuple(
                    f"{count(one['number'])} guesses, {part(one['chance'])} sure: {part(one['right'])} right"
                    for one in told
                ),
            ),
        ),
        head=("From", "To", "Guesses", "How sure", "Right"),
        rows=tuple(
            (part(one["lower"]), part(one["upper"]), count(one["number"]), part(one["chance"]), part(one["right"]))
            for one in told
        ),
    )  # fmt: skip


def chances(models: Sequence[Mapping[str, Any]], light: str) -> PlotSpec | None:
    """What calls came to by how likely each model was said to do them well, a curve for each; None before there are
    any. The light model first, whose chances difficulty is told by.
    """
    told = sorted((one for one in models if one["bins"]), key=lambda one: (one["model"] != light, one["model"]))
    if not told:
        return None
    off = [one["model"] for one in told if one["is_off"]]
    found = "is clearly not what was foreseen" if off else "is as it was foreseen, as far as one can tell"
    return PlotSpec(
        key="chances",
        caption=(
            f"What calls came to at {_and(off or [one['model'] for one in told])} {found}. On the dashed line what is"
            " foreseen comes true."
        ),
        across=Axis("Chance that was told, percent", (0.0, 102.0)),
        up=Axis("Mean score it came to, of 100", (0.0, 104.0)),
        curves=(
            Curve("As foreseen", 0, Look.THRESHOLD, (0.0, 100.0), (0.0, 100.0)),
            *(
                Curve(
                    one["model"], slot, Look.SPANS,
                    tuple(each["chance"] * 100 for each in one["bins"]),
                    tuple(each["right"] * 100 for each in one["bins"]),
                    lows=tuple(max(each["right"] - _away(each), 0.0) * 100 for each in one["bins"]),
                    highs=tuple(min(each["right"] + _away(each), 1.0) * 100 for each in one["bins"]),
                    texts=tuple(
                        f"{one['model']}: {count(each['number'])} calls, {part(each['chance'])} foreseen,"
                        f" {score(each['right'])} came of it"
                        for each in one["bins"]
                    ),
                )
                for slot, one in enumerate(told, 1)
            ),
        ),
        head=("Model", "From", "To", "Calls", "Foreseen", "Mean score"),
        rows=tuple(
            (
                one["model"], part(each["lower"]), part(each["upper"]), count(each["number"]), part(each["chance"]),
                score(each["right"]),
            )
            for one in told
            for each in one["bins"]
        ),
    )  # fmt: skip


def guessed_daily(days: Sequence[SeenDay], least: float) -> PlotSpec | None:
    """The share of guesses that was right by day, of calls whose type somebody said; None where none was named. `least`
    is what was measured.
    """
    told = [one for one in days if one.named]
    if not told:
        return None
    right, named = sum(one.right for one in told), sum(one.named for one in told)
    reach = (-0.5, len(told) - 0.5)
    return PlotSpec(
        key="guessed",
        caption=(
            f"Of {count(named)} calls that somebody named and the classifier too, {part(right / named)} were guessed"
            f" rightly; at least {part(least)} were to be expected."
        ),
        across=Axis("", reach, names=tuple(f"{one.day:%-d %b}" for one in told)),
        up=Axis("Right, percent", (0.0, 104.0)),
        curves=(
            Curve("To be expected, at least", 0, Look.THRESHOLD, reach, (least * 100, least * 100)),
            Curve(
                "Guessed rightly", 1, Look.DOTS,
                tuple(place + 0.0 for place in range(len(told))),
                tuple(one.right / one.named * 100 for one in told),
                texts=tuple(f"{one.day:%-d %B}: {count(one.right)} of {count(one.named)}" for one in told),
            ),
        ),
        head=("Day, UTC", "Calls with a type", "Named", "Rightly"),
        rows=tuple(
            (f"{one.day:%-d %b %Y}", count(one.calls), count(one.named), count(one.right)) for one in told
        ),
    )  # fmt: skip


def _away(one: Mapping[str, Any]) -> float:
    """Two standard errors of a share."""
    return float(2 * sqrt(one["right"] * (1 - one["right"]) / one["number"]))


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def saved(rows: Sequence[SavingsMonth], currency: str) -> PlotSpec | None:
    """Net savings of rules by month, the oldest first, with their intervals; None where none is verified."""
    told = [one for one in rows if one.net is not None][:_MONTHS][::-1]
    if not told:
        return None
    nets, lows, highs = (
        tuple(as_float(getattr(one, name)) for one in told) for name in ("net", "net_lower", "net_upper")
    )
    last = told[-1]
    return PlotSpec(
        key="savings",
        caption=(
            f"In {last.month:%B %Y}, {last.rule.name} saved {money(last.net, currency)} net, between"
            f" {money(last.net_lower, currency)} and {money(last.net_upper, currency)}."
        ),
        across=Axis(
            "", (-0.5, len(told) - 0.5),
            names=tuple(f"{one.month:%b %Y}<br>{one.rule.name[:18]}" for one in told),
        ),
        up=Axis(f"Net saving, {currency}", spanning((*nets, *lows, *highs, 0.0))),
        curves=(
            Curve("Nothing saved", 0, Look.THRESHOLD, (-0.5, len(told) - 0.5), (0.0, 0.0)),
            Curve(
                "Net saving, with its 95 % interval", 1, Look.SPANS,
                tuple(place + 0.0 for place in range(len(told))), nets,
                lows=lows, highs=highs,
                texts=tuple(f"{one.rule.name}, {one.month:%B %Y}: {money(one.net, currency)}" for one in told),
            ),
        ),
        head=("Month", "Rule", "Net", "At least", "At most"),
        rows=tuple(
            (
                f"{one.month:%b %Y}", one.rule.name, money(one.net, currency), money(one.net_lower, currency),
                money(one.net_upper, currency),
            )
            for one in told
        ),
    )  # fmt: skip
