"""Reads of experiments: which there are, how far each is, and which captured calls are next."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple

import msgspec
from django.db.models import CharField, Count, Exists, F, Func, OuterRef, Q, QuerySet, Sum, Value
from django.db.models.functions import Concat

from finops.budgets import selectors as budgets
from finops.core.errors import NotFound
from finops.jobs import selectors as jobs
from finops.jobs.models import Job
from routing.captures import selectors as captures
from routing.captures.models import Capture
from routing.evidence.comparisons import Comparison, comparison
from routing.evidence.rules import OutcomeInvalid
from routing.experiments.models import Experiment, Item
from routing.experiments.types import ExperimentDraft, ItemState, Mode
from routing.upstreams import selectors as upstreams
from routing.upstreams.rules import AUTO, FLOOR, NITRO

KIND: Final = "experiment"
ORDER: Final = ("-id",)
# Budgets of what has ended are put away once nothing can be under way any more.
PUT_AWAY_AFTER: Final = timedelta(hours=1)
_HEX: Final = 7


class Progress(NamedTuple):
    """`measured` of `tasks`; `codes` say why others were not, and how many. `spent` and `held` are of its cap, as the
    budget has it; `judged` is what its judge came to.
    """

    tasks: int
    measured: int
    failed: int
    skipped: int
    under_way: int
    codes: tuple[tuple[str, int], ...]
    spent: Decimal
    held: Decimal
    judged: Decimal


def experiments(organization_id: int, *, state: str = "", task_type: str = "") -> QuerySet[Experiment]:
    """Newest first, without what is sealed."""
    rows = Experiment.objects.filter(organization_id=organization_id).defer("sealed").order_by(*ORDER)
    rows = rows.filter(state=state) if state else rows
    return rows.filter(task_type=task_type) if task_type else rows


def counted(rows: list[Experiment]) -> dict[int, int]:
    """How many tasks each measured, in one query."""
    items = Item.objects.filter(experiment_id__in=[row.id for row in rows], state=ItemState.MEASURED)
    return dict(items.values_list("experiment_id").annotate(number=Count("id")))


def experiment(organization_id: int, experiment_id: int, *, lock: bool = False) -> Experiment:
    """Raises NotFound."""
    rows = Experiment.objects.filter(organization_id=organization_id, id=experiment_id)
    found = (rows.select_for_update() if lock else rows).first()
    if found is None:
        raise NotFound("There is no such experiment.")
    return found


def draft_of(row: Experiment) -> ExperimentDraft:
    """What it is to measure."""
    said: dict[str, Any] = {name: getattr(row, name) for name in ExperimentDraft.__struct_fields__}
    return msgspec.convert(said, ExperimentDraft)


def progress(row: Experiment, at: datetime) -> Progress:
    items = Item.objects.filter(organization_id=row.organization_id, experiment=row)
    states: Counter[str] = Counter()
    codes: Counter[str] = Counter()
    judged = Decimal(0)
    told = items.values("state", "code").annotate(number=Count("id"), paid=Sum("judged")).order_by("state", "code")
    for one in told:
        states[one["state"]] += one["number"]
        judged += one["paid"] or 0
        if one["code"]:
            codes[one["code"]] += one["number"]
    spent, held = _cap(row, at)
    return Progress(
        row.tasks, states[ItemState.MEASURED], states[ItemState.FAILED], states[ItemState.SKIPPED],
        states[ItemState.ASKED], tuple(codes.most_common()), spent, held, judged,
    )  # fmt: skip


def verdicts(row: Experiment) -> list[tuple[str, Comparison | None]]:
    """Each candidate beside the incumbent by all that is known now, at the experiment's margin; None where nothing is
    known of one of them yet.
    """
    found: list[tuple[str, Comparison | None]] = []
    for candidate in row.candidates:
        try:
            known = comparison(
                row.organization_id, row.task_type, incumbent=row.incumbent, candidate=candidate,
                margin=float(row.margin),
            )  # fmt: skip
        except (NotFound, OutcomeInvalid):
            found.append((candidate, None))
        else:
            found.append((candidate, known))
    return found


def next_calls(row: Experiment, at: datetime, *, limit: int) -> list[str]:
    """Ids of captured calls that it may look at and has not, in an order that is drawn for it; of a shadow those of its
    share since it was started. What an earlier experiment measured in the same way is left out: it would count twice.
    """
    calls = _calls(row.organization_id, draft_of(row), at)
    if row.mode == Mode.SHADOW:
        calls = calls.filter(at__gte=row.started_at)
    drawn = Concat(Value(f"experiment {row.id} "), F("call_id"), output_field=CharField())
    calls = calls.annotate(draw=Func(drawn, function="md5", output_field=CharField()))
    if row.share < 1:
        calls = calls.filter(draw__lt=f"{int(row.share * 16**_HEX):0{_HEX}x}")
    mine = Item.objects.filter(organization_id=row.organization_id, call_id=OuterRef("call_id"))
    again = Q(experiment_id=row.id) | Q(
        state=ItemState.MEASURED,
        experiment__task_type=row.task_type,
        experiment__incumbent=row.incumbent,
        experiment__way=row.way,
        experiment__candidates__overlap=row.candidates,
    )
    found = calls.filter(~Exists(mine.filter(again))).order_by("draw", "id")
    return list(found.values_list("call_id", flat=True)[:limit])


def captured(organization_id: int, draft: ExperimentDraft, at: datetime) -> int:
    """How many calls are there to be replayed."""
    return _calls(organization_id, draft, at).count()


def known_content(row: Experiment, fingerprints: list[str]) -> set[str]:
    """Those that were measured already, by this experiment or by an earlier one in the same way."""
    mine = Item.objects.filter(organization_id=row.organization_id, fingerprint__in=fingerprints)
    same = Q(experiment=row) | Q(
        state=ItemState.MEASURED, experiment__task_type=row.task_type, experiment__incumbent=row.incumbent,
        experiment__way=row.way, experiment__candidates__overlap=row.candidates,
    )  # fmt: skip
    return set(mine.filter(same).values_list("fingerprint", flat=True))


def due(at: datetime, *, limit: int = 50) -> list[int]:
    """Jobs of experiments that somebody may work on now, of all organizations."""
    waiting = jobs.claimable(at, kinds=(KIND,), limit=1_000)
    rows = Experiment.objects.filter(job_id__in=waiting).filter(Q(look_at__isnull=True) | Q(look_at__lte=at))
    return [job for job in rows.order_by("look_at", "id").values_list("job_id", flat=True)[:limit] if job is not None]


def at_work(at: datetime) -> int:
    """How many are being worked on at this moment."""
    silent = at - jobs.STALE_AFTER
    return Job.objects.filter(kind=KIND, state=Job.State.RUNNING, beat_at__gte=silent).count()


def to_put_away(at: datetime, *, limit: int = 50) -> list[tuple[int, int]]:
    """Organizations and ids of experiments that ended a while ago and still have a budget."""
    rows = Experiment.objects.filter(ended_at__lte=at - PUT_AWAY_AFTER, look_at__isnull=False, budget_id__isnull=False)
    return list(rows.order_by("ended_at", "id").values_list("organization_id", "id")[:limit])


def vendors(organization_id: int, models: list[str]) -> dict[str, frozenset[str]]:
    """Whose prices each model is deployed at: mostly its maker's."""
    found: dict[str, set[str]] = {model: set() for model in models}
    rows = upstreams.deployments_in_use(organization_id).filter(model__in=models)
    for model, provider in rows.values_list("model", "upstream__provider"):
        found[model].add(provider)
    return {model: frozenset(names) for model, names in found.items()}


def _calls(organization_id: int, draft: ExperimentDraft, at: datetime) -> QuerySet[Capture]:
    asked = [draft.incumbent, f"{draft.incumbent}:{FLOOR}", f"{draft.incumbent}:{NITRO}", AUTO]
    rows = captures.captures(organization_id, at, task_type=draft.task_type, status=200).filter(model__in=asked)
    return rows.filter(project_id=draft.project_id) if draft.project_id else rows


def _cap(row: Experiment, at: datetime) -> tuple[Decimal, Decimal]:
    """What is spent of its cap, and what is in gateways' hands."""
    if row.budget_id is None:
        return Decimal(0), Decimal(0)
    accounts = budgets.open_accounts_of(row.organization_id, row.budget_id, at)
    return sum((one.spent for one in accounts), Decimal(0)), sum((one.leased for one in accounts), Decimal(0))
