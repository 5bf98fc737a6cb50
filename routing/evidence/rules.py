"""What may be said of outcomes, and what becomes of it. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from math import isfinite
from typing import Any, Final, TypeAlias

from finops.core.errors import FinopsError, Invalid
from finops.core.money import to_ledger
from routing.evidence.types import EvaluationDraft, Kind, Order, OutcomeDraft

LONGEST_NAME: Final = 200
LONGEST_WORD: Final = 120
LONGEST_FINGERPRINT: Final = 64
MOST_OF_A_RUN: Final = 10_000
MOST_AT_ONCE: Final = 1_000
# Of one evaluation: beyond these a name is mostly something else that was written into the wrong field.
MOST_MODELS: Final = 200
MOST_TASK_TYPES: Final = 1_000
MOST_COST: Final = Decimal(1_000_000)
LONGEST_LATENCY_S: Final = 1_000_000.0
LEAST_MARGIN: Final = Decimal("0.001")
MOST_MARGIN: Final = Decimal("0.5")
MARGIN_PLACES: Final = 4
USUAL_MARGIN: Final = 0.05
LEAST_PROPENSITY: Final = 0.001
SIGNALS: Final = ("tests_passed", "retried", "escalated", "edited")
# Says by which version of `signal_score` a score was made.
SIGNALS_VERSION: Final = "1"
# Item, model and order shown.
Key: TypeAlias = tuple[str, str, str]
_NAMES: Final = ("item", "task_type", "model")
_OPTIONAL: Final = ("provider", "fingerprint", "cluster")


class OutcomeInvalid(Invalid):
    """An outcome or an evaluation that cannot be; `field` says where, as a path."""

    code = "evidence.invalid"


class OutcomeConflict(FinopsError):
    """Something else is known of the same model on the same item, in the same evaluation."""

    code = "evidence.conflict"
    status = 409


class EvaluationConflict(FinopsError):
    """There is an evaluation of that name, made with something else."""

    code = "evidence.evaluation_conflict"
    status = 409


class EvaluationWithdrawn(FinopsError):
    code = "evidence.withdrawn"
    status = 409


def check_evaluation(said: EvaluationDraft) -> EvaluationDraft:
    """As it is kept. Raises OutcomeInvalid."""
    name = _line(said.name, LONGEST_NAME, field="name", needed=True)
    evaluator = _line(said.evaluator, LONGEST_WORD, field="evaluator", needed=True)
    version = _line(said.evaluator_version, LONGEST_WORD, field="evaluator_version")
    judge = _line(said.judge_model, LONGEST_NAME, field="judge_model")
    if said.kind is Kind.JUDGE and not judge:
        raise OutcomeInvalid("say which model judged", field="judge_model")
    margin = said.margin
    if margin is not None:
        if not margin.is_finite() or not LEAST_MARGIN <= margin <= MOST_MARGIN:
            raise OutcomeInvalid(f"a margin is {LEAST_MARGIN} to {MOST_MARGIN}: 0.05 is 5 points", field="margin")
        if margin != round(margin, MARGIN_PLACES):
            raise OutcomeInvalid(f"a margin has at most {MARGIN_PLACES} places", field="margin")
        margin = round(margin, MARGIN_PLACES)
    return replace(said, name=name, evaluator=evaluator, evaluator_version=version, judge_model=judge, margin=margin)


def check_outcomes(
    drafts: Sequence[OutcomeDraft],
    *,
    kind: Kind,
    standing: bool,
    most: int,
    at: datetime,
    path: str = "outcomes",
    first: int = 0,
) -> list[OutcomeDraft]:
    """As they are kept. `standing`: they are of calls and not of a run, so that only a propensity makes them random.
    Raises OutcomeInvalid, which names the outcome and its field as `outcomes[3].score`, counted from `first`.
    """
    if len(drafts) > most:
        raise OutcomeInvalid(f"at most {most:,} outcomes at once", field=path)
    return [_checked(one, kind, standing, at, f"{path}[{place}]") for place, one in enumerate(drafts, first)]


def signal_score(signals: Mapping[str, Any]) -> float:
    """What hard signals of a call come to, 0 to 1. Tests that ran decide alone: passed is 1, failed is 0. Without
    tests, a call that was escalated to another model is 0; else it is the share of the answer that was kept
    (1 - `edited`), and each time that it was tried again halves that. Raises OutcomeInvalid.
    """
    for name in signals:
        if name not in SIGNALS:
            raise OutcomeInvalid(f"signals are {', '.join(SIGNALS)}", field=name)
    if not signals:
        raise OutcomeInvalid("at least one signal", field="signals")
    passed, escalated = (_truth(signals, name) for name in ("tests_passed", "escalated"))
    retried, edited = signals.get("retried", 0), signals.get("edited", 0.0)
    if isinstance(retried, bool):
        retried = int(retried)
    if not isinstance(retried, int) or not 0 <= retried <= 1_000:
        raise OutcomeInvalid("retried is how often: 0 to 1,000", field="retried")
    if isinstance(edited, bool) or not isinstance(edited, int | float) or not 0 <= edited <= 1:
        raise OutcomeInvalid("edited is the share that was changed: 0 to 1", field="edited")
    if passed is not None:
        return 1.0 if passed else 0.0
    return 0.0 if escalated else (1.0 - edited) * 0.5 ** min(retried, 60)


def key_of(one: OutcomeDraft) -> Key:
    """Within an evaluation there is one outcome of each."""
    return one.item, one.model, one.order_shown.value


def sorted_out(
    keys: Sequence[Key], contents: Sequence[int], made: Collection[Key], known: Mapping[Key, int]
) -> tuple[list[int], list[int], list[int]]:
    """Places of outcomes that came together: new, repeated and conflicting. `made` are the keys that were recorded now,
    by the first of each; `known` are the contents of the others.
    """
    stored = dict(known)
    new: list[int] = []
    repeated: list[int] = []
    conflicting: list[int] = []
    for place, key in enumerate(keys):
        if key in made and key not in stored:
            stored[key] = contents[place]
            new.append(place)
        else:
            (repeated if stored[key] == contents[place] else conflicting).append(place)
    return new, repeated, conflicting


def content_of(one: OutcomeDraft) -> int:
    """A digest of all that is said, but when: 64 bits, signed. The same again is a repeat, another a conflict."""
    cost = "" if one.cost is None else f"{one.cost:f}"
    said = (
        one.task_type, one.provider, one.fingerprint, one.cluster, one.score, cost, one.latency_s, one.status.value,
        one.human_score, one.propensity, sorted(one.signals.items()),
    )  # fmt: skip
    return int.from_bytes(hashlib.blake2b(repr(said).encode(), digest_size=8).digest(), "big", signed=True)


def _checked(one: OutcomeDraft, kind: Kind, standing: bool, at: datetime, path: str) -> OutcomeDraft:
    names: dict[str, Any] = {
        name: _line(getattr(one, name), LONGEST_NAME, field=f"{path}.{name}", needed=True) for name in _NAMES
    }
    names |= {name: _line(getattr(one, name), LONGEST_NAME, field=f"{path}.{name}") for name in _OPTIONAL}
    if len(one.fingerprint) > LONGEST_FINGERPRINT:
        raise OutcomeInvalid(f"a fingerprint has at most {LONGEST_FINGERPRINT} characters", field=f"{path}.fingerprint")
    _share(one.score, f"{path}.score")
    if one.human_score is not None:
        _share(one.human_score, f"{path}.human_score")
    if one.order_shown is not Order.NONE and kind is not Kind.JUDGE:
        raise OutcomeInvalid("only a judge is shown answers in an order", field=f"{path}.order_shown")
    if one.latency_s is not None and not 0 <= one.latency_s <= LONGEST_LATENCY_S:
        raise OutcomeInvalid("a latency is seconds, 0 or more", field=f"{path}.latency_s")
    if one.propensity is not None and not (standing and LEAST_PROPENSITY <= one.propensity <= 1.0):
        said = f"{LEAST_PROPENSITY} to 1" if standing else "of calls: in a run all models do the same items"
        raise OutcomeInvalid(f"a propensity is {said}", field=f"{path}.propensity")
    if one.occurred_at is not None and one.occurred_at > at:
        raise OutcomeInvalid("it has not occurred yet", field=f"{path}.occurred_at")
    return replace(one, cost=_cost(one.cost, f"{path}.cost"), occurred_at=one.occurred_at or at, **names)


def _cost(cost: Decimal | None, field: str) -> Decimal | None:
    if cost is None:
        return None
    if not cost.is_finite() or not 0 <= cost <= MOST_COST:
        raise OutcomeInvalid(f"a cost is dollars, 0 to {MOST_COST:,}", field=field)
    return to_ledger(cost)


def _share(value: float, field: str) -> None:
    if not (isfinite(value) and 0.0 <= value <= 1.0):
        raise OutcomeInvalid("a score is 0 to 1", field=field)


def _line(value: str, longest: int, *, field: str, needed: bool = False) -> str:
    kept = value.strip()
    if (needed and not kept) or len(kept) > longest or not kept.isprintable():
        raise OutcomeInvalid(f"one line of {'1' if needed else '0'} to {longest} characters", field=field)
    return kept


def _truth(signals: Mapping[str, Any], name: str) -> bool | None:
    value = signals.get(name)
    if value is not None and not isinstance(value, bool):
        raise OutcomeInvalid(f"{name} is true or false", field=name)
    return value
