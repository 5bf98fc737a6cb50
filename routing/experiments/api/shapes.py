"""What experiments take and tell over REST."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

import msgspec
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

from finops.api.views import Input
from finops.core.money import LEDGER_PLACES
from finops.ledger.api.shapes import MoneyField
from finops.orgs.models import Project
from routing.evidence.rules import LEAST_MARGIN, MARGIN_PLACES, MOST_MARGIN
from routing.evidence.statistics.betting import Verdict
from routing.experiments import rules
from routing.experiments.models import Experiment
from routing.experiments.types import ExperimentDraft, Mode, Scoring, State
from routing.rules.api_shapes import GateField
from routing.rules.rules import unreadable
from routing.rules.types import Gate

MODES: Final = [one.value for one in Mode]
SCORINGS: Final = [one.value for one in Scoring]
STATES: Final = [one.value for one in State]
VERDICTS: Final = [one.value for one in Verdict]
FILTERS: Final = (
    OpenApiParameter("state", {"type": "string", "enum": STATES}),
    OpenApiParameter("task_type", str),
)


class ExperimentsFilter(serializers.Serializer[Any]):
    state = serializers.ChoiceField(choices=STATES, required=False)
    task_type = serializers.CharField(max_length=rules.LONGEST_NAME, required=False)


class HowInput(Input):
    """How it is done, whatever is measured."""

    mode = serializers.ChoiceField(
        choices=MODES, required=False, default=Mode.REPLAY.value,
        help_text="replay: calls that are captured. shadow: a share of captured calls, as they come.",
    )  # fmt: skip
    scoring = serializers.ChoiceField(choices=SCORINGS)
    gate = GateField(
        required=False, help_text="Of scoring by a gate: json, schema or pattern, as a rule of routing has it."
    )
    judge = serializers.CharField(
        max_length=rules.LONGEST_NAME,
        required=False,
        default="",
        allow_blank=True,
        help_text="Which model judges: none of those measured.",
    )
    question = serializers.CharField(
        max_length=rules.LONGEST_QUESTION, required=False, default="", allow_blank=True,
        help_text="What the judge is to look at, where it is not the usual.",
    )  # fmt: skip
    share = serializers.DecimalField(
        max_digits=4, decimal_places=rules.SHARE_PLACES, min_value=rules.LEAST_SHARE, max_value=Decimal(1),
        required=False, default=Decimal(1), help_text="Of captured calls, for a shadow.",
    )  # fmt: skip
    project = serializers.SlugField(max_length=80, required=False, default="", allow_blank=True)
    most_cost = serializers.DecimalField(
        max_digits=24, decimal_places=LEDGER_PLACES, min_value=Decimal(0),
        help_text="Of the reporting currency: the hard budget of its key. No call is made that may go past it.",
    )  # fmt: skip


class ExperimentInput(HowInput):
    task_type = serializers.CharField(max_length=rules.LONGEST_NAME)
    incumbent = serializers.CharField(
        max_length=rules.LONGEST_NAME, help_text="Whose captured answers the others are held against."
    )
    candidates = serializers.ListField(
        child=serializers.CharField(max_length=rules.LONGEST_NAME), min_length=1, max_length=rules.MOST_CANDIDATES
    )
    tasks = serializers.IntegerField(min_value=1, max_value=rules.MOST_TASKS)
    margin = serializers.DecimalField(
        max_digits=5, decimal_places=MARGIN_PLACES, min_value=LEAST_MARGIN, max_value=MOST_MARGIN,
        help_text="How much worse, of 1, is as good. Fixed now.",
    )  # fmt: skip


class FromRecommendationInput(HowInput):
    """The rest is as the recommendation says; `tasks` and `margin` may be said otherwise."""

    tasks = serializers.IntegerField(min_value=1, max_value=rules.MOST_TASKS, required=False)
    margin = serializers.DecimalField(
        max_digits=5, decimal_places=MARGIN_PLACES, min_value=LEAST_MARGIN, max_value=MOST_MARGIN, required=False
    )


class CodeOutput(serializers.Serializer[Any]):
    """Why nothing came of so many calls."""

    code = serializers.CharField()
    calls = serializers.IntegerField()
    why = serializers.CharField(allow_blank=True)


class ProgressOutput(serializers.Serializer[Any]):
    """`skipped` calls were asked of nobody. `under_way` are being measured, or were when a worker died."""

    tasks = serializers.IntegerField()
    measured = serializers.IntegerField()
    failed = serializers.IntegerField()
    skipped = serializers.IntegerField()
    under_way = serializers.IntegerField()
    codes = CodeOutput(many=True)


class CandidateVerdictOutput(serializers.Serializer[Any]):
    """A candidate beside the incumbent, by all evidence there is now, at the experiment's margin. The difference is of
    scores, candidate minus incumbent, with bounds that hold at every look; `needed` pairs would tell.
    """

    model = serializers.CharField()
    verdict = serializers.ChoiceField(choices=VERDICTS, allow_null=True)
    pairs = serializers.IntegerField()
    difference = serializers.FloatField(allow_null=True)
    lower = serializers.FloatField(allow_null=True)
    upper = serializers.FloatField(allow_null=True)
    needed = serializers.IntegerField(allow_null=True)
    cost_ratio = serializers.FloatField(allow_null=True, help_text="Of a completed task, candidate over incumbent.")
    flags = serializers.ListField(child=serializers.CharField())


class ModelCostOutput(serializers.Serializer[Any]):
    model = serializers.CharField()
    cost = MoneyField(allow_null=True)


class EstimateOutput(serializers.Serializer[Any]):
    """Dollars of all tasks, by the last 30 days' calls at the prices there are; null where nobody knows."""

    captured = serializers.IntegerField(help_text="Calls that are there to be replayed.")
    candidates = ModelCostOutput(many=True)
    judge = MoneyField(allow_null=True)
    total = MoneyField(allow_null=True)
    warnings = serializers.ListField(child=serializers.CharField())


_COLUMNS: Final = (
    "id", "mode", "task_type", "project_id", "incumbent", "candidates", "tasks", "margin", "scoring", "gate", "judge",
    "question", "share", "most_cost", "state", "code", "reason", "recommendation_id", "created_by", "created_at",
    "started_at", "ended_at", "measured",
)  # fmt: skip


class ExperimentOutput(serializers.ModelSerializer[Experiment]):
    """`code` and `reason` say why it is paused, done or failed; `measured` is how many of its tasks are."""

    mode = serializers.ChoiceField(choices=MODES)
    scoring = serializers.ChoiceField(choices=SCORINGS)
    state = serializers.ChoiceField(choices=STATES)
    gate = GateField(allow_null=True)
    most_cost = MoneyField()
    measured = serializers.IntegerField()

    class Meta:
        model = Experiment
        fields = _COLUMNS


class WholeExperimentOutput(ExperimentOutput):
    """With how far it is, what its cap says, and what is known of its candidates. `estimate` is of a draft."""

    progress = ProgressOutput()
    spent = MoneyField(help_text="Of its cap, by its budget.")
    held = MoneyField(help_text="Of its cap, in gateways' hands.")
    judged = MoneyField(help_text="What its judge came to.")
    currency = serializers.CharField()
    verdicts = CandidateVerdictOutput(many=True)
    estimate = EstimateOutput(allow_null=True)

    class Meta(ExperimentOutput.Meta):
        fields = (*_COLUMNS, "progress", "spent", "held", "judged", "currency", "verdicts", "estimate")  # type: ignore[assignment]


def gate_of(said: Any) -> Gate:
    """Raises ExperimentInvalid."""
    try:
        return msgspec.convert(said, Gate)
    except msgspec.ValidationError as error:
        found = unreadable(error, within="gate")
        raise rules.ExperimentInvalid(found.message, field=found.field or "gate") from None


def said_of(organization_id: int, given: dict[str, Any], **more: Any) -> ExperimentDraft:
    """What was given, as the room takes it. Raises ExperimentInvalid."""
    found = {name: value for name, value in given.items() if name != "project"} | more
    slug = given.get("project", "")
    if slug:
        project = Project.objects.filter(organization_id=organization_id, slug=slug).first()
        if project is None:
            raise rules.ExperimentInvalid("there is no such project", field="project")
        found["project_id"] = project.id
    if found.get("gate") is not None:
        found["gate"] = gate_of(found["gate"])
    found |= {"mode": Mode(found["mode"]), "scoring": Scoring(found["scoring"])}
    return ExperimentDraft(**found | {"candidates": tuple(found["candidates"])})
