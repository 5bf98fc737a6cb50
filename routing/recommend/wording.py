"""Recommendations in plain words. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from routing.recommend.types import Costs, Examined, Kind, Measured, Said, Saving, Trial, Verdict, Volume

_MOST_NAMED: Final = 5


def percent(share: float) -> str:
    """Of 1, without places that say nothing."""
    return f"{share * 100:.0f} %" if abs(share) >= 0.1 else f"{share * 100:.1f} %"


def points(difference: float) -> str:
    return f"{difference * 100:+.1f} points"


def money(amount: Decimal | float, currency: str) -> str:
    places = 2 if abs(Decimal(amount)) >= 1 else 4
    said = f"{amount:,.{places}f}"
    return f"${said}" if currency in ("USD", "") else f"{said} {currency}"


def quality(measured: Measured, margin: float) -> str:
    """What is known of a candidate's quality, in a sentence."""
    said = measured.difference
    if said is None:
        return f"{measured.model} and the incumbent were not tried on the same tasks."
    lower, upper = (
        points(-1.0 if said.lower is None else said.lower),
        points(1.0 if said.upper is None else said.upper),
    )
    return (
        f"On {measured.pairs:,} tasks that both did, {measured.model} is {points(said.value)} from the incumbent"
        f" (between {lower} and {upper}); up to {margin * 100:.1f} points below is as good."
    )


def cost(costs: Costs | None) -> str:
    if costs is None or costs.ratio is None:
        return "What its completed tasks cost is not known."
    ratio = costs.ratio
    between = "" if ratio.lower is None or ratio.upper is None else f" ({ratio.lower:.2f} to {ratio.upper:.2f})"
    if costs.by_prices:
        return (
            "Nobody said what its tasks cost. By its prices a completed task as the last 30 days' calls were costs"
            f" {ratio.value:.2f} times as much{between}: were it to use half as many tokens, or twice as many."
        )
    return (
        f"A completed task costs {money(costs.candidate, 'USD')} instead of {money(costs.incumbent, 'USD')}:"
        f" {ratio.value:.2f} times as much{between}."
    )


def saved(saving: Saving, volume: Volume) -> str:
    if not volume.spend:
        return "Nothing was spent on it in the last 30 days, so that there is no saving a month to tell."
    between = ""
    if saving.lower is not None and saving.upper is not None:
        between = f" ({money(saving.lower, volume.currency)} to {money(saving.upper, volume.currency)})"
    return (
        f"At the last 30 days' {volume.calls:,} calls for {money(volume.spend, volume.currency)}, that saves"
        f" {money(saving.amount, volume.currency)} a month{between}."
    )


def mixed(saving: Saving) -> str | None:
    if saving.random_mix is None:
        return None
    return (
        f"Sending calls at random to the other measured models would save {percent(saving.random_mix)} at the same"
        " quality."
    )


def moved(kind: Kind, task_type: str, incumbent: str, candidate: str) -> str:
    where = " where it runs locally" if kind is Kind.LOCAL else ""
    return f"Switch {task_type!r} from {incumbent} to {candidate}{where}."


def tried(task_type: str, incumbent: str, candidate: str, trial: Trial) -> str:
    price = "" if trial.cost is None else f", for about {money(trial.cost, 'USD')}"
    return f"Try {candidate} on {task_type!r} beside {incumbent}: {trial.tasks:,} more tasks at both{price}."


def kept(examined: Examined) -> str:
    return f"Keep {examined.incumbent} for {examined.task_type!r}."


def believed(measured: Measured, verdict: Verdict, hypotheses: int) -> str:
    """What the verdict stands on."""
    if verdict is Verdict.PASS:
        return (
            f"It passes together with all that pass among the {hypotheses:,} pairs of a task type and a candidate that"
            " were tried: at most one of ten of those is expected to be worse by its margin."
        )
    if measured.alone == Verdict.PASS.value:
        return "Alone it would pass, but too many candidates were tried at once to believe it yet."
    return "What is known does not tell yet whether it is as good."


def expected(said: Said, own: int, incumbent: str) -> str:
    return (
        f"With what it does beside {incumbent} in other task types in mind, {points(said.value)} are to be expected;"
        f" {own:,} tasks of its own say little."
    )


def listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_MOST_NAMED])
    return shown if len(names) <= _MOST_NAMED else f"{shown} and {len(names) - _MOST_NAMED:,} more"
