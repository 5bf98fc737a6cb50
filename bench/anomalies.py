"""`bench anomalies`: incidents put into the spend of invented organizations, and what of it is found.

Half of the spenders get one incident each, of eight kinds; all are looked at every six hours for eight weeks, as the
schedule would. A run of findings of one spender is one alarm while it lasts. An alarm is right when it begins while an
incident of that spender lasts or in the week after it began, and false otherwise. The thresholds were set on seeds
below 100; from 100 on they are measured.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final, NamedTuple

import numpy as np

from bench import support
from bench.organisations import FIRST_DAY, Floats, Organisation, organisation
from finops.alerts.rules.anomalies import NOISE, Finding, Noise, find_anomalies
from finops.alerts.rules.forecasting import Past
from finops.core.money import PICO

DAYS: Final = 147
# Eight weeks are looked at; before them is history.
FIRST: Final = 91
SPENDERS: Final = 176
HOURS: Final = (6, 12, 18, 24)
STRICTNESS: Final = (0.8, 1.0, 1.25)
# Alarms of one spender less than this apart are one.
QUIET_DAYS: Final = 7
# These change by themselves, as the generator makes them: nobody injected it, and whoever tells it is right.
CHANGING: Final = frozenset({"shifting", "spiky", "new"})
INCIDENTS: Final = {
    "runaway agent": "10 times a usual day, from some hour on, for six hours",
    "runaway for days": "5 times as much for three days",
    "price up": "half as much again, from then on",
    "price doubled": "twice as much, from then on",
    "doubled traffic": "twice as much for ten days",
    "dead source": "nothing for four days",
    "halved": "a third of it, from then on",
    "drift": "5 % more every day for four weeks",
}


class Incident(NamedTuple):
    kind: str
    row: int
    hour: int
    end: int
    # What it cost or saved a day while it lasted, in dollars.
    daily: float


class Alarm(NamedTuple):
    row: int
    hour: int
    higher: bool


def run(parameters: dict[str, str], say: Callable[[str], Any]) -> dict[str, Any]:
    """Keys: precision, recall, recall_by_kind, false_alarms_per_100_weeks, median_hours; and by kind of spender."""
    first, count = int(parameters.get("first", "100")), int(parameters.get("organisations", "6"))
    measured = {strictness: Tally() for strictness in STRICTNESS}
    began, looked = time.perf_counter(), 0
    for seed in range(first, first + count):
        company = organisation(seed, series=SPENDERS, days=DAYS)
        hourly, incidents = injected(company, seed)
        for strictness, tally in measured.items():
            alarms, times = watched(hourly, replace(NOISE, strictness=strictness))
            looked += times
            tally.add(company, incidents, alarms)
            say(f"organisation {seed}, strictness {strictness}: {len(incidents)} incidents, {len(alarms)} alarms")
    shown = ("precision", "recall", "false_alarms_per_100_weeks")
    return {
        "bench": "anomalies",
        **measured[1.0].figures(),
        "by_strictness": {str(one): {key: tally.figures()[key] for key in shown} for one, tally in measured.items()},
        "spenders_per_s": round(looked / (time.perf_counter() - began)),
        "machine": support.machine(),
    }


def injected(company: Organisation, seed: int) -> tuple[Floats, list[Incident]]:
    """Spend by the hour with an incident for every other spender that has begun, and where they are."""
    rng = np.random.default_rng([seed, 1])
    hourly = company.hourly.reshape(len(company.kinds), -1).copy()
    incidents = []
    for row in range(0, len(company.kinds), 2):
        before = hourly[row, (FIRST - 28) * 24 : FIRST * 24]
        if (before.reshape(28, 24).sum(axis=1) > 0).sum() < 7:
            continue
        kind = list(INCIDENTS)[int(rng.integers(len(INCIDENTS)))]
        hour = int(rng.integers((FIRST + 7) * 24, (DAYS - 21) * 24))
        incidents.append(_inject(hourly, row, kind, hour))
    return hourly.reshape(company.hourly.shape), incidents


def _inject(hourly: Floats, row: int, kind: str, hour: int) -> Incident:
    spent = hourly[row]
    usual = spent[hour - 28 * 24 : hour].sum() / 28
    before = spent.copy()
    end = len(spent)
    if kind == "runaway agent":
        end = hour + 6
        spent[hour:end] += 10 * usual / 6
    elif kind == "runaway for days":
        end = hour + 72
        spent[hour:end] *= 5
    elif kind == "price up":
        spent[hour:] *= 1.5
    elif kind == "price doubled":
        spent[hour:] *= 2
    elif kind == "doubled traffic":
        end = hour + 240
        spent[hour:end] *= 2
    elif kind == "dead source":
        end = hour + 96
        spent[hour:end] = 0
    elif kind == "halved":
        spent[hour:] /= 3
    else:
        end = hour + 28 * 24
        spent[hour:] *= 1.05 ** np.minimum(np.arange(len(spent) - hour) / 24, 28)
    end = min(end, len(spent))
    lasting = max(1.0, min(end - hour, 14 * 24) / 24)
    changed = np.abs(spent - before)[hour : hour + int(lasting * 24)].sum()
    return Incident(kind, row, hour, end, float(changed / lasting))


def watched(hourly: Floats, noise: Noise = NOISE) -> tuple[list[Alarm], int]:
    """Look at every spender every six hours; alarms as they begin, and how often a spender was looked at."""
    rows, days, _ = hourly.shape
    pico = np.round(hourly.sum(axis=2) * PICO).astype(object)
    began = [int((hourly[row].sum(axis=1) > 0).argmax()) for row in range(rows)]
    alarms: list[Alarm] = []
    last: dict[tuple[int, bool], int] = {}
    looked = 0
    for day in range(FIRST, days):
        shape = hourly[:, day - 28 : day].sum(axis=1)
        for hour in HOURS:
            whole = hour == 24
            until = day + whole
            now = np.round(hourly[:, day, :hour].sum(axis=1) * PICO)
            pasts = {
                row: Past([*pico[row, began[row] : until]], 0 if whole else int(now[row]), tuple(shape[row]))
                for row in range(rows)
                if began[row] < until
            }
            found = find_anomalies(
                pasts,
                today=FIRST_DAY + timedelta(days=until),
                noise=noise,
                passed=timedelta(0) if whole else timedelta(hours=hour),
            )
            looked += len(pasts)
            _raise(alarms, last, found, day * 24 + hour)
    return alarms, looked


def _raise(alarms: list[Alarm], last: dict[tuple[int, bool], int], found: list[Finding[int]], hour: int) -> None:
    for one in found:
        key = (one.key, one.seen > one.expected)
        if hour - last.get(key, -(10**9)) > QUIET_DAYS * 24:
            alarms.append(Alarm(one.key, hour, key[1]))
        last[key] = hour


class Tally:
    """Alarms against incidents, over organizations."""

    def __init__(self) -> None:
        self._found: Counter[str] = Counter()
        self._there: Counter[str] = Counter()
        self._small = 0
        self._right = 0
        self._false: Counter[str] = Counter()
        self._weeks: defaultdict[str, float] = defaultdict(float)
        self._hours: defaultdict[str, list[int]] = defaultdict(list)

    def add(self, company: Organisation, incidents: list[Incident], alarms: list[Alarm]) -> None:
        by_row = {one.row: one for one in incidents}
        for one in incidents:
            if one.daily * PICO < NOISE.amount:
                self._small += 1
                continue
            self._there[one.kind] += 1
            higher = one.kind not in ("dead source", "halved")
            when = [a.hour - one.hour for a in alarms if a.row == one.row and a.higher == higher and _during(one, a)]
            if when:
                self._found[one.kind] += 1
                self._hours[one.kind].append(min(when))
        for alarm in alarms:
            incident = by_row.get(alarm.row)
            if incident and _during(incident, alarm):
                self._right += 1
            elif incident is None or alarm.hour < incident.hour:
                # After an incident what is usual is another thing: only what came before it is judged.
                self._false[company.kinds[alarm.row]] += 1
        for row, kind in enumerate(company.kinds):
            end = by_row[row].hour / 24 if row in by_row else DAYS
            self._weeks[kind] += round(end - FIRST) / 7

    def figures(self) -> dict[str, Any]:
        steady = [kind for kind in self._weeks if kind not in CHANGING]
        false = sum(self._false[kind] for kind in steady)
        changing = sum(self._false[kind] for kind in CHANGING)
        weeks = sum(self._weeks[kind] for kind in steady)
        hours = sorted(hour for some in self._hours.values() for hour in some)
        return {
            "precision": round(self._right / max(1, self._right + false), 3),
            "precision_counting_own_changes": round(self._right / max(1, self._right + false + changing), 3),
            "recall": round(sum(self._found.values()) / max(1, sum(self._there.values())), 3),
            "incidents": sum(self._there.values()),
            "incidents_below_the_noise_filter": self._small,
            "recall_by_kind": {k: round(self._found[k] / max(1, self._there[k]), 3) for k in INCIDENTS},
            "hours_by_kind": {k: int(np.median(self._hours[k])) if self._hours[k] else None for k in INCIDENTS},
            "median_hours": hours[len(hours) // 2] if hours else None,
            "false_alarms_per_100_weeks": round(100 * false / weeks, 2),
            "alarms_per_100_weeks_by_spender": {
                kind: round(100 * self._false[kind] / self._weeks[kind], 2) for kind in sorted(self._weeks)
            },
        }


def _during(incident: Incident, alarm: Alarm) -> bool:
    return incident.hour <= alarm.hour <= max(incident.end, incident.hour + QUIET_DAYS * 24)
