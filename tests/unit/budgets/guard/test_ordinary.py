"""A thousand ordinary sessions of a working day trip no breaker that holds by default.

The sessions are invented, by seed, after what such programs are known to do: people chat and think between turns;
coding agents call every few seconds for hours, send sub-agents, and repeat a call that failed; pipelines ask of many
documents at once; some programs ask the same again until a job is done.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from tests.unit.budgets.guard.cast import BY_DEFAULT, DOLLAR, call, guard, made

DAY_S: Final = 9 * 3600
Dice = random.Random


class Turn(NamedTuple):
    """One call of a session: how long after the last, what it says, how deep it is, and dollars."""

    after_s: float
    says: str
    depth: int
    dollars: float


def chat(dice: Dice) -> Iterator[Turn]:
    for n in range(dice.randint(1, 40)):
        yield Turn(dice.lognormvariate(4, 1), f"turn {n}", 0, dice.uniform(0.001, 0.08))
        if dice.random() < 0.05:
            # Sent again, by an impatient person.
            yield Turn(3, f"turn {n}", 0, dice.uniform(0.001, 0.08))


def coding_agent(dice: Dice) -> Iterator[Turn]:
    for n in range(dice.randint(20, 900)):
        pause = dice.expovariate(1 / 300) if dice.random() < 0.03 else dice.uniform(2, 25)
        yield Turn(pause, f"step {n}", 0, dice.lognormvariate(-3, 0.8))
        if dice.random() < 0.02:
            # The provider was overloaded: the library tries again, up to ten times.
            for _ in range(dice.randint(1, 10)):
                yield Turn(dice.uniform(0.5, 8), f"step {n}", 0, 0.0)
        if dice.random() < 0.01:
            for m in range(dice.randint(10, 60)):
                yield Turn(dice.uniform(0.2, 3), f"step {n} of sub-agent {m}", 1 + m % 3, dice.uniform(0.005, 0.1))


def pipeline(dice: Dice) -> Iterator[Turn]:
    for n in range(dice.randint(50, 600)):
        yield Turn(dice.uniform(0.2, 0.6), f"document {n}", 0, dice.uniform(0.0005, 0.02))


def poller(dice: Dice) -> Iterator[Turn]:
    for job in range(dice.randint(2, 12)):
        for _ in range(dice.randint(1, 12)):
            yield Turn(dice.uniform(5, 60), f"is job {job} done?", 0, 0.002)
        yield Turn(1, f"job {job} is done", 0, 0.01)


KINDS: Final[tuple[tuple[Callable[[Dice], Iterator[Turn]], int], ...]] = (
    (chat, 650), (coding_agent, 200), (pipeline, 100), (poller, 50),
)  # fmt: skip


def test_a_thousand_ordinary_sessions_trip_nothing() -> None:
    dice = Dice("a working day")
    events = []
    number = 0
    for kind, many in KINDS:
        for _ in range(many):
            number += 1
            at = dice.uniform(0, DAY_S)
            who = call(session=f"s-{number}", key=100 + number % 40, agent=200 + number % 25, person=number)
            for turn in kind(dice):
                at += turn.after_s
                events.append((at, number, who, turn))
    events.sort(key=lambda one: one[:2])
    house = guard(*BY_DEFAULT)
    calls: Counter[int] = Counter()
    spent: dict[int, float] = defaultdict(float)
    for at, number, who, turn in events:
        said = made(
            house,
            f"{number}-{calls[number]}",
            who,
            at,
            fingerprint=turn.says,
            depth=turn.depth,
            amount=int(turn.dollars * DOLLAR),
        )
        assert said is None, (number, said)
        calls[number] += 1
        spent[number] += turn.dollars
    assert house.trips() == []
    # They are no strawmen.
    assert len(calls) == 1_000
    assert max(calls.values()) > 1_000
    assert max(spent.values()) > 60
    assert len(events) > 100_000
