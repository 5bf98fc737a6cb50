"""Outcomes as REST takes them: thousands in one request, checked at once. Names the field that is wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final

import msgspec

from routing.evidence import rules
from routing.evidence.types import Kind, Order, OutcomeDraft, Status

_PATH: Final = re.compile(r" - at `\$(?P<path>[^`]*)`$")
_UNKNOWN: Final = re.compile(r"unknown field `(?P<name>[^`]*)`")
_MISSING: Final = re.compile(r"missing required field `(?P<name>[^`]*)`")


class _Said(msgspec.Struct, forbid_unknown_fields=True):
    item: str
    model: str
    task_type: str = ""
    score: float | None = None
    provider: str = ""
    fingerprint: str = ""
    cluster: str = ""
    cost: Decimal | None = None
    latency_s: float | None = None
    status: Status = Status.COMPLETED
    order_shown: Order = Order.NONE
    human_score: float | None = None
    propensity: float | None = None
    occurred_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    signals: dict[str, bool | int | float] | None = None


class SaidWrong(ValueError):
    """What cannot be read, and where: `[3].score`."""

    def __init__(self, message: str, path: str) -> None:
        super().__init__(message)
        self.message = message
        self.path = path


def drafts_of(said: Sequence[Any], *, kind: Kind | None, task_type: str = "") -> list[OutcomeDraft]:
    """`kind` is None for runs, whose outcomes have scores. `task_type` is that of outcomes that say none. An answer
    that did not come to its end has the score 0 where nobody says another. Raises SaidWrong.
    """
    try:
        read = msgspec.convert(said, list[_Said])
    except msgspec.ValidationError as error:
        raise _wrong(str(error)) from None
    return [_draft(one, kind, task_type, f"[{place}]") for place, one in enumerate(read)]


def _draft(one: _Said, kind: Kind | None, task_type: str, path: str) -> OutcomeDraft:
    return OutcomeDraft(
        item=one.item,
        task_type=one.task_type or task_type,
        model=one.model,
        score=_score(one, kind, path),
        provider=one.provider,
        fingerprint=one.fingerprint,
        cluster=one.cluster,
        cost=one.cost,
        latency_s=one.latency_s,
        status=one.status,
        order_shown=one.order_shown,
        human_score=one.human_score,
        propensity=one.propensity,
        occurred_at=one.occurred_at,
        signals=dict(one.signals or {}),
    )


def _score(one: _Said, kind: Kind | None, path: str) -> float:
    if kind is Kind.SIGNAL:
        if one.score is not None:
            raise SaidWrong("the score of signals follows from them", f"{path}.score")
        return _of_signals(one.signals or {}, path)
    if one.signals is not None:
        raise SaidWrong("only outcomes of the kind signal have signals", f"{path}.signals")
    if one.score is not None:
        return one.score
    if one.status is Status.COMPLETED:
        raise SaidWrong("a score is needed", f"{path}.score")
    return 0.0


def _of_signals(signals: Mapping[str, Any], path: str) -> float:
    try:
        return rules.signal_score(signals)
    except rules.OutcomeInvalid as error:
        within = "" if error.field in (None, "signals") else f".{error.field}"
        raise SaidWrong(error.message, f"{path}.signals{within}") from None


def _wrong(message: str) -> SaidWrong:
    found = _PATH.search(message)
    path = found["path"] if found else ""
    for named in (_UNKNOWN, _MISSING):
        if (field := named.search(message)) is not None:
            path = f"{path}.{field['name']}"
    return SaidWrong(_PATH.sub("", message), path)
