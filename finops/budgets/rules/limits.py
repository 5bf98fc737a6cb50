"""What may stand in limits, breakers and stops. Pure: whether an owner exists is asked elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from finops.budgets.guard.terms import AMOUNTS, LIMITED, MEASURES, STOPPABLE, WATCHED, Measure
from finops.budgets.rules.drafts import BudgetInvalid, check_amount

MOST_PATTERNS: Final = 100
LONGEST_PATTERN: Final = 200
MOST_STARS: Final = 3
MOST_REQUESTS: Final = 10_000_000
MOST_TOKENS: Final = 100_000_000_000
MOST_CONCURRENT: Final = 100_000
MOST_COUNTED: Final = 1_000_000_000
LONGEST_PAUSE: Final = 7 * 24 * 60
LONGEST_SESSION: Final = 200
LONGEST_REASON: Final = 500
LONGEST_STOP: Final = timedelta(days=366)


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitDraft:
    """A limit as somebody writes it. '' is each value of the dimension; None is no limit of that kind."""

    dimension: str
    subject: str = ""
    allowed_models: tuple[str, ...] | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    # Calls under way at once.
    max_concurrent: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerDraft:
    """A breaker as somebody writes it; no threshold switches it off. For sessions the subject is an agent's."""

    dimension: str
    measure: str
    subject: str = ""
    threshold: Decimal | None = None
    pause_minutes: int = 15


def check_limit(draft: LimitDraft) -> LimitDraft:
    """The draft with each pattern once. Raises BudgetInvalid naming the field."""
    _check_among(draft.dimension, LIMITED, field="dimension")
    _check_owner(draft.subject)
    said = (draft.allowed_models, draft.requests_per_minute, draft.tokens_per_minute, draft.max_concurrent)
    if all(one is None for one in said):
        raise BudgetInvalid(
            "say the models, how many requests or tokens a minute, or how many calls at once",
            field="requests_per_minute",
        )
    _check_number(draft.max_concurrent, MOST_CONCURRENT, field="max_concurrent")
    _check_number(draft.requests_per_minute, MOST_REQUESTS, field="requests_per_minute")
    _check_number(draft.tokens_per_minute, MOST_TOKENS, field="tokens_per_minute")
    if draft.allowed_models is None:
        return draft
    return replace(draft, allowed_models=_check_patterns(draft.allowed_models))


def check_breaker(draft: BreakerDraft) -> BreakerDraft:
    """Raises BudgetInvalid naming the field."""
    _check_among(draft.dimension, WATCHED, field="dimension")
    _check_among(draft.measure, MEASURES[draft.dimension], field="measure")
    _check_owner(draft.subject)
    _check_number(draft.pause_minutes, LONGEST_PAUSE, field="pause_minutes")
    if draft.threshold is None:
        return draft
    threshold = check_amount(draft.threshold, field="threshold")
    if threshold <= 0:
        raise BudgetInvalid("a threshold is more than 0; without one the breaker is off", field="threshold")
    if draft.measure in AMOUNTS:
        return replace(draft, threshold=threshold)
    if draft.threshold != draft.threshold.to_integral_value() or draft.threshold > MOST_COUNTED:
        raise BudgetInvalid(f"this threshold is a whole number up to {MOST_COUNTED:,}", field="threshold")
    if draft.measure == Measure.IDENTICAL_CALLS and draft.threshold < 2:
        raise BudgetInvalid("two calls are the least that can be in a row", field="threshold")
    return draft


def check_stop(dimension: str, subject: str, *, reason: str, until: datetime | None, at: datetime) -> None:
    """Raises BudgetInvalid naming the field."""
    _check_among(dimension, STOPPABLE, field="dimension")
    if dimension == "organization":
        if subject:
            raise BudgetInvalid("the organization is stopped as a whole", field="subject")
    elif dimension == "session":
        if not 1 <= len(subject) <= LONGEST_SESSION or not subject.isprintable():
            raise BudgetInvalid(f"a session has 1 to {LONGEST_SESSION} printable characters", field="subject")
    elif subject in ("", "0"):
        raise BudgetInvalid(f"say which {dimension}", field="subject")
    else:
        _check_owner(subject)
    if len(reason) > LONGEST_REASON or "\0" in reason:
        raise BudgetInvalid(f"a reason has at most {LONGEST_REASON} characters", field="reason")
    if until is not None and not at < until <= at + LONGEST_STOP:
        raise BudgetInvalid("a stop ends after now, and within a year; or when somebody lifts it", field="until")


def _check_patterns(patterns: Iterable[str]) -> tuple[str, ...]:
    kept = tuple(dict.fromkeys(" ".join(one.split()) for one in patterns))
    if len(kept) > MOST_PATTERNS:
        raise BudgetInvalid(f"at most {MOST_PATTERNS} models and patterns", field="allowed_models")
    for one in kept:
        if not 1 <= len(one) <= LONGEST_PATTERN or not one.isprintable() or one.count("*") > MOST_STARS:
            raise BudgetInvalid(
                f"a model or pattern has 1 to {LONGEST_PATTERN} printable characters, and at most {MOST_STARS} stars",
                field="allowed_models",
            )
    return kept


def _check_among(word: str, words: Iterable[str], *, field: str) -> None:
    known = [str(one) for one in words]
    if word not in known:
        raise BudgetInvalid(f"say one of {', '.join(known)}", field=field)


def _check_owner(subject: str) -> None:
    if subject and not (subject.isascii() and subject.isdigit() and len(subject) < 10):
        raise BudgetInvalid("an owner is named by its id, 0 for nobody", field="subject")


def _check_number(number: int | None, most: int, *, field: str) -> None:
    if number is not None and not 1 <= number <= most:
        raise BudgetInvalid(f"this is a whole number from 1 to {most:,}", field=field)
