"""Records how well models did, and withdraws it. Outcomes are never changed: the same said again is a repeat, something
else said of the same is a conflict and changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from django.db import connection, transaction
from psycopg.types.json import Jsonb

from finops.audit import services as audit
from finops.core.actors import Actor
from finops.core.errors import NotFound
from routing.evidence import rules
from routing.evidence.models import Evaluation
from routing.evidence.types import EvaluationDraft, Kind, OutcomeDraft, Recorded

LONGEST_REASON: Final = 500
_SAME: Final = ("evaluator", "evaluator_version", "judge_model", "randomised", "standing")
# Columns of a row, with their types in PostgreSQL; what all rows share stands in the statement.
_COLUMNS: Final = {
    "task_type": "text", "item": "text", "fingerprint": "text", "cluster": "text", "model": "text", "provider": "text",
    "score": "float8", "cost": "numeric", "latency_s": "float8", "status": "text", "order_shown": "text",
    "human_score": "float8", "propensity": "float8", "signals": "jsonb", "occurred_at": "timestamptz",
    "content": "bigint",
}  # fmt: skip
_ARRAYS: Final = ", ".join(f"%({name})s::{kind}[]" for name, kind in _COLUMNS.items())
_NAMES: Final = ", ".join(_COLUMNS)
# In the order of the key, so that two who say the same at once wait for each other and not in a circle.
_INSERT: Final = (
    f"INSERT INTO evidence_outcome ({_NAMES}, organization_id, evaluation_id, randomised, recorded_at)"  # noqa: S608
    f" SELECT {_NAMES}, %(organization)s, %(evaluation)s, %(randomised)s OR propensity IS NOT NULL, %(at)s"
    f" FROM unnest({_ARRAYS}) AS came ({_NAMES}) ORDER BY item, model, order_shown"
    " ON CONFLICT (evaluation_id, item, model, order_shown) DO NOTHING RETURNING item, model, order_shown"
)
_KNOWN: Final = (
    "SELECT item, model, order_shown, content FROM evidence_outcome"
    " JOIN unnest(%s::text[], %s::text[], %s::text[]) AS came (item, model, order_shown)"
    " USING (item, model, order_shown) WHERE evaluation_id = %s"
)
_CHANGED: Final = (
    "INSERT INTO evidence_typeversion (organization_id, task_type, version, outcomes, changed_at)"
    " SELECT %s, task_type, 1, number, %s FROM unnest(%s::text[], %s::bigint[]) AS came (task_type, number)"
    " ORDER BY task_type ON CONFLICT (organization_id, task_type) DO UPDATE"
    " SET version = evidence_typeversion.version + 1, outcomes = evidence_typeversion.outcomes + excluded.outcomes,"
    " changed_at = excluded.changed_at"
)
# In the order in which they are counted, so that nobody waits in a circle.
_LOCK_TYPES: Final = (
    "SELECT id FROM evidence_typeversion WHERE organization_id = %s AND task_type = ANY(%s)"
    " ORDER BY task_type FOR UPDATE"
)
_TYPES_OF: Final = "SELECT DISTINCT task_type FROM evidence_outcome WHERE evaluation_id = %s"
_LESS: Final = (
    "UPDATE evidence_typeversion v SET version = version + 1, outcomes = v.outcomes - gone.number, changed_at = %s"
    " FROM (SELECT task_type, count(*) AS number FROM evidence_outcome WHERE evaluation_id = %s GROUP BY task_type)"
    " gone WHERE v.organization_id = %s AND v.task_type = gone.task_type"
)


@transaction.atomic
def record_evaluation(
    *, organization_id: int, draft: EvaluationDraft, outcomes: Sequence[OutcomeDraft], by: Actor, at: datetime
) -> Recorded:
    """A run of items and models, and what came of it so far; of a name that is there, with the same evaluator, outcomes
    are added. All of it or nothing. Raises OutcomeInvalid, EvaluationConflict, EvaluationWithdrawn, and OutcomeConflict
    for the first outcome that was said otherwise before.
    """
    said = rules.check_evaluation(draft)
    if said.kind not in (Kind.EVALUATION, Kind.JUDGE):
        raise rules.OutcomeInvalid(
            "a run is an evaluation or a judge's; feedback and signals are of calls", field="kind"
        )
    row = _opened(organization_id, said, standing=False, by=by, at=at)
    return _all_or_nothing(row, outcomes, by=by, at=at)


@transaction.atomic
def add_outcomes(
    *,
    organization_id: int,
    evaluation_id: int,
    outcomes: Sequence[OutcomeDraft],
    by: Actor,
    at: datetime,
    path: str = "outcomes",
    first: int = 0,
) -> Recorded:
    """More of a run. All or nothing. What is wrong is named by `path` and its place, counted from `first`. Raises
    NotFound, OutcomeInvalid, EvaluationWithdrawn, OutcomeConflict.
    """
    row = _locked(organization_id, evaluation_id)
    if row.standing:
        raise rules.OutcomeInvalid("outcomes of calls are recorded by their source", field="evaluation_id")
    return _all_or_nothing(row, outcomes, by=by, at=at, path=path, first=first)


@transaction.atomic
def record_outcomes(
    *, organization_id: int, source: EvaluationDraft, outcomes: Sequence[OutcomeDraft], by: Actor, at: datetime
) -> Recorded:
    """Feedback, signals and judgements of calls, each for itself: `conflicting` ones change nothing, the others are
    recorded. `source` names where they come from. Random is only what has a propensity. Raises OutcomeInvalid,
    EvaluationConflict, EvaluationWithdrawn; OutcomeConflict for one that comes alone.
    """
    said = rules.check_evaluation(source)
    if said.kind is Kind.EVALUATION:
        raise rules.OutcomeInvalid("outcomes of calls are a judge's, feedback or signals", field="kind")
    checked = rules.check_outcomes(outcomes, kind=said.kind, standing=True, most=rules.MOST_AT_ONCE, at=at)
    row = _opened(organization_id, said, standing=True, by=by, at=at)
    found = _recorded(row, checked, by=by, at=at)
    if found.conflicting and len(checked) == 1:
        raise rules.OutcomeConflict(_otherwise(checked[0]), field="outcomes[0]")
    return found


@transaction.atomic
def withdraw_evaluation(
    *, organization_id: int, evaluation_id: int, because: str, by: Actor, at: datetime
) -> Evaluation:
    """It is kept, and is no evidence any more. Said again it changes nothing. Raises NotFound, OutcomeInvalid."""
    reason = because.strip()
    if not reason or len(reason) > LONGEST_REASON or not reason.isprintable():
        raise rules.OutcomeInvalid(f"say why, in 1 to {LONGEST_REASON} characters on one line", field="because")
    row = _locked(organization_id, evaluation_id)
    if row.withdrawn_at is not None:
        return row
    row.withdrawn_at, row.withdrawn_by, row.withdrawn_because, row.changed_at = at, by.reference, reason, at
    row.save(update_fields=["withdrawn_at", "withdrawn_by", "withdrawn_because", "changed_at"])
    with connection.cursor() as cursor:
        cursor.execute(_TYPES_OF, [row.id])
        cursor.execute(_LOCK_TYPES, [organization_id, [name for (name,) in cursor.fetchall()]])
        cursor.execute(_LESS, [at, row.id, organization_id])
    _note("evaluation.withdrawn", row, {"because": reason, "outcomes": row.outcome_count}, by, at)
    return row


def _opened(organization_id: int, said: EvaluationDraft, *, standing: bool, by: Actor, at: datetime) -> Evaluation:
    """The evaluation of that name, locked. Raises EvaluationConflict, EvaluationWithdrawn."""
    usual = {
        "standing": standing,
        "evaluator": said.evaluator,
        "evaluator_version": said.evaluator_version,
        "judge_model": said.judge_model,
        "margin": said.margin,
        "randomised": said.randomised and not standing,
        "created_by": by.reference,
        "created_at": at,
        "changed_at": at,
    }
    row, made = Evaluation.objects.get_or_create(
        organization_id=organization_id, kind=said.kind.value, name=said.name, defaults=usual
    )
    if made:
        _note("evaluation.created", row, {"kind": row.kind, "evaluator": row.evaluator}, by, at)
    row = Evaluation.objects.select_for_update().get(id=row.id)
    for name in (*_SAME, "margin"):
        # A margin may be left unsaid later; it is not another one then.
        if getattr(row, name) != usual[name] and not (name == "margin" and said.margin is None):
            raise rules.EvaluationConflict(
                f"There is an evaluation {said.name!r} with another {name.replace('_', ' ')}.", field=name
            )
    return _living(row)


def _locked(organization_id: int, evaluation_id: int) -> Evaluation:
    row = Evaluation.objects.select_for_update().filter(organization_id=organization_id, id=evaluation_id).first()
    if row is None:
        raise NotFound("There is no such evaluation.")
    return row


def _living(row: Evaluation) -> Evaluation:
    if row.withdrawn_at is not None:
        raise rules.EvaluationWithdrawn("This evaluation was withdrawn; make another one.")
    return row


def _all_or_nothing(
    row: Evaluation,
    outcomes: Sequence[OutcomeDraft],
    *,
    by: Actor,
    at: datetime,
    path: str = "outcomes",
    first: int = 0,
) -> Recorded:
    most = rules.MOST_OF_A_RUN
    checked = rules.check_outcomes(
        outcomes, kind=Kind(row.kind), standing=False, most=most, at=at, path=path, first=first
    )
    found = _recorded(_living(row), checked, by=by, at=at)
    if found.conflicting:
        place = found.conflicting[0]
        more = f" {len(found.conflicting):,} of these are in conflict, and none was taken."
        raise rules.OutcomeConflict(_otherwise(checked[place]) + more, field=f"{path}[{place + first}]")
    return found


def _otherwise(one: OutcomeDraft) -> str:
    return f"Something else is known of {one.model!r} on {one.item!r}."


def _recorded(row: Evaluation, checked: Sequence[OutcomeDraft], *, by: Actor, at: datetime) -> Recorded:
    contents = [rules.content_of(one) for one in checked]
    keys = [rules.key_of(one) for one in checked]
    first: dict[rules.Key, int] = {}
    for place, key in enumerate(keys):
        first.setdefault(key, place)
    made = _insert(row, [(checked[place], contents[place]) for place in first.values()], at)
    known = _known(row.id, [key for key in first if key not in made])
    new, repeated, conflicting = rules.sorted_out(keys, contents, made, known)
    if new:
        _count(row, [checked[place] for place in new], at)
        _note("outcomes.recorded", row, {"outcomes": len(new), "repeated": len(repeated)}, by, at)
    return Recorded(row.id, tuple(new), tuple(repeated), tuple(conflicting))


def _insert(row: Evaluation, kept: Iterable[tuple[OutcomeDraft, int]], at: datetime) -> set[rules.Key]:
    columns: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
    for one, content in kept:
        for name, values in columns.items():
            if name == "content":
                values.append(content)
            elif name == "signals":
                values.append(Jsonb(dict(one.signals)))
            elif name in ("status", "order_shown"):
                values.append(getattr(one, name).value)
            else:
                values.append(getattr(one, name))
    shared: dict[str, Any] = {
        "organization": row.organization_id, "evaluation": row.id, "randomised": row.randomised, "at": at,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, columns | shared)
        return {(item, model, order) for item, model, order in cursor.fetchall()}


def _known(evaluation_id: int, keys: Sequence[rules.Key]) -> dict[rules.Key, int]:
    if not keys:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_KNOWN, [*map(list, zip(*keys, strict=True)), evaluation_id])
        return {(item, model, order): content for item, model, order, content in cursor.fetchall()}


def _count(row: Evaluation, new: Sequence[OutcomeDraft], at: datetime) -> None:
    """Raises OutcomeInvalid where an evaluation would have more models or task types than anybody measures."""
    names = sorted({*row.model_names, *(one.model for one in new)})
    types = Counter(one.task_type for one in new)
    all_types = sorted({*row.task_types, *types})
    if not row.standing and len(names) > rules.MOST_MODELS:
        raise rules.OutcomeInvalid(f"an evaluation has at most {rules.MOST_MODELS} models", field="outcomes")
    if not row.standing and len(all_types) > rules.MOST_TASK_TYPES:
        raise rules.OutcomeInvalid(f"an evaluation has at most {rules.MOST_TASK_TYPES:,} task types", field="outcomes")
    row.outcome_count += len(new)
    # A source that stands for years names at most so many; all of them are in the outcomes.
    row.model_names, row.task_types = names[: rules.MOST_MODELS], all_types[: rules.MOST_TASK_TYPES]
    row.changed_at = at
    row.save(update_fields=["outcome_count", "model_names", "task_types", "changed_at"])
    with connection.cursor() as cursor:
        cursor.execute(_CHANGED, [row.organization_id, at, list(types), list(types.values())])


def _note(verb: str, row: Evaluation, details: dict[str, Any], by: Actor, at: datetime) -> None:
    audit.record(
        organization_id=row.organization_id, verb=verb, subject_kind="evaluation", subject_id=row.id,
        subject_label=row.name, details=details, by=by, at=at,
    )  # fmt: skip
