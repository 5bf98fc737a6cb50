"""What may be said of task types, and whose word counts. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final, NamedTuple

from finops.core.errors import FinopsError, Invalid
from routing.classify.hot import MARKS, MOST_BUCKETS, MOST_TYPES
from routing.classify.types import LONGEST_TASK_TYPE, UNKNOWN, Sampling, Signs, Source
from routing.classify.words import BUCKETS

MOST_AT_ONCE: Final = 200
# Of one type of one organization; the oldest are forgotten.
MOST_PER_TYPE: Final = 500
MOST_LABELLED_TYPES: Final = 2 * MOST_TYPES
LONGEST_CALL_ID: Final = 64
LONGEST_SESSION: Final = 200
# A training begins by itself once there are so many calls more than the last one had, or a tenth more.
WORTH_TRAINING: Final = 50
# Classifiers that are kept; the one in force is among them.
MOST_VERSIONS: Final = 20
# A type of fewer calls, or of fewer sessions, is not learned: nobody could say how well.
LEAST_CALLS: Final = 20
LEAST_SESSIONS: Final = 5
# Of calls that pass: features of so many of one type and day at most, and of an organization altogether, the newest.
MOST_A_DAY: Final = 1_000
MOST_SAMPLED: Final = 20_000
SAMPLED_FOR: Final = timedelta(days=30)
# What was taken for what, by day.
CONFUSED_FOR: Final = timedelta(days=90)
# Outcomes of one model, from which on something is learned of it.
LEAST_TRIED: Final = 40
# Parts that calls are measured in, and the fits of one training: without each part, and of everything.
FOLDS: Final = 4
STEPS: Final = FOLDS + 1
# Of what is named so much is right, also at the lower bound of what was seen.
RIGHT: Final = 0.9
# Whoever says it for this very call is right before whoever says it for all calls of a key.
_WORTH: Final = {Source.RULE: 0, Source.KEY: 1, Source.AGENT: 2, Source.HEADER: 3, Source.API: 4}


class LabelInvalid(Invalid):
    """What cannot be said of a call; `field` says where."""

    code = "classify.invalid"


class SamplingInvalid(Invalid):
    """What cannot be said of sampling; `field` says where."""

    code = "classify.sampling_invalid"


class CannotLearn(FinopsError):
    """There is too little to learn from, or it does not tell types apart; the message says which."""

    code = "classify.cannot_learn"
    status = 422


class Stopped(Exception):
    """Whoever is told of steps said not to go on."""


def nobody(_done: int) -> bool:
    """Who is told of steps where nobody is."""
    return True


class Label(NamedTuple):
    """A call's task type, as somebody says it, and what is known of the call. `session` is '' where none is said;
    `drawn_with` is its digest, where that alone is known (`packed.drawn_with`).
    """

    call_id: str
    task_type: str
    signs: Signs
    source: Source = Source.API
    session: str = ""
    drawn_with: bytes = b""


def check(label: Label, *, field: str = "") -> Label:
    """As it is kept. Raises LabelInvalid, which names the field below `field`."""
    task_type = label.task_type.strip()
    if not task_type or len(task_type) > LONGEST_TASK_TYPE or not task_type.isprintable():
        raise LabelInvalid(
            f"a task type is one line of 1 to {LONGEST_TASK_TYPE} characters", field=_below(field, "task_type")
        )
    if task_type.lower() == UNKNOWN:
        raise LabelInvalid(f"{UNKNOWN!r} is what a guess is that is not sure", field=_below(field, "task_type"))
    call_id = label.call_id.strip()
    if not call_id or len(call_id) > LONGEST_CALL_ID or not call_id.isprintable():
        raise LabelInvalid(
            f"a call's id is one line of 1 to {LONGEST_CALL_ID} characters", field=_below(field, "call_id")
        )
    if len(label.session) > LONGEST_SESSION:
        raise LabelInvalid(f"a session has at most {LONGEST_SESSION} characters", field=_below(field, "session"))
    check_words(label.signs.words, field=_below(field, "features"))
    if not all(BUCKETS <= one < BUCKETS + MARKS for one in label.signs.marks):
        raise LabelInvalid("a mark is beyond those there are", field=_below(field, "features"))
    return label._replace(call_id=call_id, task_type=task_type)


def check_sampling(said: Sampling) -> Sampling:
    """Raises SamplingInvalid."""
    if not 1 <= said.most_a_day <= MOST_A_DAY:
        raise SamplingInvalid(f"most_a_day is 1 to {MOST_A_DAY:,}", field="most_a_day")
    return said


def check_words(words: Mapping[int, int], *, field: str) -> None:
    """Raises LabelInvalid."""
    if len(words) > MOST_BUCKETS:
        raise LabelInvalid(f"at most {MOST_BUCKETS:,} buckets", field=field)
    if not all(0 <= bucket < BUCKETS and often >= 1 for bucket, often in words.items()):
        raise LabelInvalid(f"buckets are 0 to {BUCKETS - 1}, each counted once at least", field=field)


def overrides(new: Source, old: Source) -> bool:
    """Whether a later label takes the place of an earlier one of another source; of the same it does."""
    return _WORTH[new] >= _WORTH[old]


def is_worth_training(labelled: int, learned: int) -> bool:
    """Whether there is enough more than the last training had, `learned` being 0 for none."""
    more = labelled - learned
    return more >= WORTH_TRAINING or (more > 0 and more >= learned / 10)


def _below(field: str, name: str) -> str:
    return f"{field}.{name}" if field else name
