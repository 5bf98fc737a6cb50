"""What may be said of recommendations, and what becomes of those that are there. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Final, NamedTuple

from finops.core.errors import FinopsError, Invalid
from routing.recommend.arrivals import NOTHING, News
from routing.recommend.types import Advice, Examined, Kind, State, Verdict, Volume

# What nobody acts on, and what no evidence renews, is not advice any more: models and prices change.
VALID_FOR: Final = timedelta(days=30)
DAYS_COUNTED: Final = 30
# A model that came with a price book is new for so long.
NEWS_FOR: Final = timedelta(days=90)
LONGEST_REASON: Final = 500
# More outcomes than these are read by a worker: nobody waits so long for an answer.
MOST_AT_ONCE: Final = 100_000
# The same as `evidence.rules` and `rules.rules` have it.
LONGEST_NAME: Final = 200
# A volume that changed by less says nothing new.
VOLUME_MOVES: Final = 0.05
_APPLICABLE: Final = frozenset({Kind.SWITCH, Kind.ROUTE, Kind.EFFORT, Kind.PIN, Kind.LOCAL, Kind.HOST})


class RecommendationInvalid(Invalid):
    """Something said of a recommendation that cannot be; `field` says where."""

    code = "recommend.invalid"


class NotOpen(FinopsError):
    """It was applied, dismissed or withdrawn, or is over."""

    code = "recommend.not_open"
    status = 409


class NothingToApply(FinopsError):
    """It says to keep what there is, or to try something first."""

    code = "recommend.nothing_to_apply"
    status = 409


class Busy(FinopsError):
    """Recommendations of this organization are being worked out at this moment."""

    code = "recommend.busy"
    status = 409
    retry_after_s = 5


class Standing(NamedTuple):
    """A recommendation that is there. `alive` is True while the rule it made is neither retired nor rolled back,
    `brought` where its candidate was new in the price book.
    """

    id: int
    key: tuple[str, str, str, str]
    state: str
    basis: str
    alive: bool = False
    brought: bool = False


class Changes(NamedTuple):
    """What to do with recommendations: `fresh` ones open, `renewed` ones (by id) say something else, `gone` ones (by
    id, and why) are withdrawn.
    """

    fresh: tuple[Advice, ...]
    renewed: Mapping[int, Advice]
    gone: Mapping[int, str]


def check_reason(said: str) -> str:
    """Raises RecommendationInvalid."""
    reason = said.strip()
    if not reason or len(reason) > LONGEST_REASON or not reason.isprintable():
        raise RecommendationInvalid(f"say why, in 1 to {LONGEST_REASON} characters on one line", field="reason")
    return reason


def applicable(kind: str, rule: object) -> bool:
    return kind in _APPLICABLE and rule is not None


def moved(before: Volume, after: Volume) -> bool:
    """Whether a volume says something new."""
    if before.currency != after.currency or (before.spend == 0) != (after.spend == 0):
        return True
    if not before.spend:
        return (before.calls == 0) != (after.calls == 0)
    return abs(float(after.spend / before.spend) - 1.0) > VOLUME_MOVES


def changes(
    wanted: Sequence[Advice], there: Iterable[Standing], types: Mapping[str, Examined], news: News = NOTHING
) -> Changes:
    """`there` are those that were not withdrawn. What was dismissed, applied or ran out does not come back by the same
    evidence, and what is applied is not said again while its rule lives. `types` and `news` are what is known now, to
    say why something goes.
    """
    said = {one.key: one for one in wanted}
    opened: set[tuple[str, str, str, str]] = set()
    silent: set[tuple[str, str, str, str]] = set()
    renewed: dict[int, Advice] = {}
    gone: dict[int, str] = {}
    for row in there:
        now = said.get(row.key)
        if row.state == State.OPEN:
            if now is None:
                gone[row.id] = news.why_gone(row.key[3]) if row.brought else why_gone(row.key, wanted, types)
            else:
                opened.add(row.key)
                renewed[row.id] = now
        elif now is not None and (row.basis == now.basis or row.alive):
            silent.add(row.key)
    fresh = tuple(one for one in said.values() if one.key not in opened and one.key not in silent)
    return Changes(fresh, renewed, gone)


def why_gone(key: tuple[str, str, str, str], wanted: Sequence[Advice], types: Mapping[str, Examined]) -> str:
    """In words, why what was recommended is not any more."""
    kind, task_type, incumbent, candidate = key
    if kind == Kind.HOST:
        return "It is not cheaper there any more."
    if kind == Kind.ROUTE:
        return "What is known of these task types does not carry the rule any more."
    known = types.get(task_type)
    if known is None or not known.candidates:
        return f"Nothing is known of {task_type!r} any more."
    if known.incumbent != incumbent:
        return f"{known.incumbent} is what is used for {task_type!r} now, and not {incumbent}."
    if kind == Kind.KEEP:
        return f"There is something better to do with {task_type!r} now."
    if kind == Kind.PIN:
        return f"Not every model that {candidate} stands for is as good by now, or sub-agents make few of these calls."
    return _of_candidate(kind, task_type, candidate, wanted)


def _of_candidate(kind: str, task_type: str, candidate: str, wanted: Sequence[Advice]) -> str:
    mine = [one for one in wanted if one.task_type == task_type]
    found = next((row for one in mine for row in one.considered if row.model == candidate), None)
    if found is None:
        return f"Nothing is known of {candidate} on {task_type!r} any more."
    if kind == Kind.EXPERIMENT:
        if found.verdict == Verdict.PASS:
            return f"What was to be found out of {candidate} is known now: it is as good."
        if found.verdict == Verdict.FAIL:
            return f"What was to be found out of {candidate} is known now: it is worse by more than the margin."
        return f"There is something better to try on {task_type!r} than {candidate}."
    better = next((one for one in mine if one.candidate != candidate and one.kind != Kind.EXPERIMENT), None)
    if found.verdict == Verdict.PASS and better is not None and better.candidate:
        return f"{better.candidate} saves more by now."
    return f"{candidate}: {found.why or 'it is advised in another way now'}."
