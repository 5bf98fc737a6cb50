"""What is shown of one experiment, by REST and by pages alike."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

from finops.core.money import LEDGER_PLACES
from routing.evidence.comparisons import Comparison
from routing.experiments import selectors
from routing.experiments.estimating import Estimate, estimate
from routing.experiments.models import Experiment
from routing.experiments.selectors import Progress
from routing.experiments.types import State

# Why nothing came of a call, by codes of ours; others are the gateway's or of the rules.
CODES: Final = {
    "answer_not_whole": "its answer was not kept whole",
    "answered_by_another": "a budget sent it to another model",
    "cannot_be_opened": "it expired, or cannot be opened any more",
    "clamped": "the cap left room for a part of the answer only",
    "dialect": "it was made by an API that is not replayed",
    "hosted_tools": "it brings tools that the provider would run",
    "interrupted": "a worker ended while it was measured",
    "judge_excluded": "the judge may not read it, or is served nowhere",
    "judge_unclear": "the judge did not answer as it was asked to",
    "key_gone": "its key is revoked: what it was kept from is not known",
    "no_answer": "no answer came",
    "no_text": "it was answered without text",
    "not_alone": "it goes on from another call, or asks for several answers",
    "not_finished": "it was not measured to its end",
    "not_text": "it has pictures or sound",
    "not_the_incumbent": "another model answered it",
    "same_content": "the same was asked before",
    "tags_not_kept": "its tags were not kept",
    "too_large": "the answer is too large",
    "too_long": "it is too long for a judge",
    "unreadable": "it cannot be read",
    "upstream": "the upstream refused it, or failed",
    "gateway.key_excludes": "its key's wishes keep it from there",
    "gateway.model_not_found": "nobody serves the model there",
    "rules.excluded": "the rules' limits keep it from there",
}


class Shown(NamedTuple):
    """`verdicts` are by candidate, by all that is known now; `estimate` is of drafts."""

    row: Experiment
    progress: Progress
    verdicts: list[tuple[str, Comparison | None]]
    estimate: Estimate | None


def shown(row: Experiment, at: datetime) -> Shown:
    draft = row.state == State.DRAFT
    told = estimate(row.organization_id, selectors.draft_of(row), at) if draft else None
    return Shown(row, selectors.progress(row, at), selectors.verdicts(row), told)


def as_plain(found: Shown, currency: str) -> dict[str, Any]:
    """As JSON has it."""
    progress, told = found.progress, found.estimate
    return {
        "measured": progress.measured,
        "progress": progress._asdict() | {"codes": _codes(progress)},
        "spent": _amount(progress.spent),
        "held": _amount(progress.held),
        "judged": _amount(progress.judged),
        "currency": currency,
        "verdicts": [_verdict(candidate, compared) for candidate, compared in found.verdicts],
        "estimate": None if told is None else {
            "captured": told.captured,
            "judge": _amount(told.judge),
            "total": _amount(told.total),
            "warnings": list(told.warnings),
            "candidates": [{"model": model, "cost": _amount(cost)} for model, cost in told.candidates],
        },
    }  # fmt: skip


def _amount(value: Decimal | None) -> str | None:
    return None if value is None else f"{value:.{LEDGER_PLACES}f}"


def _codes(progress: Progress) -> list[dict[str, Any]]:
    return [{"code": code, "calls": number, "why": CODES.get(code, "")} for code, number in progress.codes]


def _verdict(candidate: str, compared: Comparison | None) -> dict[str, Any]:
    if compared is None:
        return {
            "model": candidate, "verdict": None, "pairs": 0, "difference": None, "lower": None, "upper": None,
            "needed": None, "cost_ratio": None, "flags": [],
        }  # fmt: skip
    cost = compared.cost
    return {
        "model": candidate,
        "verdict": compared.verdict.value,
        "pairs": compared.pairs,
        "difference": compared.difference,
        "lower": compared.bounds.lower if compared.pairs else None,
        "upper": compared.bounds.upper if compared.pairs else None,
        "needed": compared.needed,
        "cost_ratio": None if cost is None else cost.quotient,
        "flags": [one.code for one in compared.flags],
    }
