"""What evidence takes and tells over REST."""

from __future__ import annotations

from math import isfinite
from typing import Any, Final

from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

from finops.api.views import Input
from finops.core.money import LEDGER_PLACES
from routing.evidence import rules, services
from routing.evidence.models import Evaluation, Outcome, TypeVersion
from routing.evidence.types import Kind, Order, Status

RUNS: Final = [Kind.EVALUATION.value, Kind.JUDGE.value]
CALLS: Final = [Kind.FEEDBACK.value, Kind.SIGNAL.value, Kind.JUDGE.value]
KINDS: Final = [one.value for one in Kind]
KIND: Final = OpenApiParameter("kind", {"type": "string", "enum": KINDS})
FILTERS: Final = (
    KIND,
    OpenApiParameter("task_type", str),
    OpenApiParameter("model", str),
    OpenApiParameter("item", str),
    OpenApiParameter("status", {"type": "string", "enum": [one.value for one in Status]}),
    OpenApiParameter("evaluation", {"type": "integer", "minimum": 1}),
    OpenApiParameter("from", {"type": "string", "format": "date-time"}, description="Occurred then or later."),
    OpenApiParameter("to", {"type": "string", "format": "date-time"}, description="Occurred before."),
)
COMPARED: Final = (
    OpenApiParameter("incumbent", str, required=True),
    OpenApiParameter("candidate", str, required=True),
    OpenApiParameter(
        "margin",
        {"type": "number", "minimum": float(rules.LEAST_MARGIN), "maximum": float(rules.MOST_MARGIN)},
        description="How much worse, of 1, is as good; unless said, what was fixed with the evaluations, or 0.05.",
    ),
)


class OutcomeInput(Input):
    """One model on one item."""

    item = serializers.CharField(
        max_length=rules.LONGEST_NAME, help_text="Which task: an id of yours, the same for all models on it."
    )
    task_type = serializers.CharField(max_length=rules.LONGEST_NAME, required=False)
    model = serializers.CharField(max_length=rules.LONGEST_NAME)
    provider = serializers.CharField(max_length=rules.LONGEST_NAME, required=False, allow_blank=True)
    score = serializers.FloatField(
        min_value=0,
        max_value=1,
        required=False,
        help_text="0 for what was truncated, refused or an error, unless said.",
    )
    cost = serializers.DecimalField(
        max_digits=24, decimal_places=LEDGER_PLACES, min_value=0, max_value=rules.MOST_COST, required=False,
        allow_null=True, help_text="Dollars.",
    )  # fmt: skip
    latency_s = serializers.FloatField(min_value=0, max_value=rules.LONGEST_LATENCY_S, required=False, allow_null=True)
    status = serializers.ChoiceField(choices=[one.value for one in Status], required=False)
    fingerprint = serializers.CharField(
        max_length=rules.LONGEST_FINGERPRINT,
        required=False,
        allow_blank=True,
        help_text="A hash of the item's content.",
    )
    cluster = serializers.CharField(
        max_length=rules.LONGEST_NAME, required=False, allow_blank=True, help_text="A session or user it comes from."
    )
    order_shown = serializers.ChoiceField(
        choices=[one.value for one in Order if one], required=False, help_text="Of a judge that saw two answers."
    )
    human_score = serializers.FloatField(min_value=0, max_value=1, required=False, allow_null=True)
    propensity = serializers.FloatField(
        min_value=rules.LEAST_PROPENSITY, max_value=1, required=False, allow_null=True,
        help_text="Of a call whose model was drawn: the chance of it.",
    )  # fmt: skip
    occurred_at = serializers.DateTimeField(required=False, allow_null=True)
    signals = serializers.DictField(
        required=False,
        help_text="Of the kind signal: tests_passed, escalated (true or false), retried, edited (share).",
    )


class OutcomesField(serializers.ListField):
    """Described one by one, read all at once: ten thousand of them are read in a tenth of a second."""

    child = OutcomeInput()

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, list):
            self.fail("not_a_list", input_type=type(data).__name__)
        return data


class EvaluationInput(Input):
    name = serializers.CharField(
        max_length=rules.LONGEST_NAME, help_text="Of a name that is there, with the same evaluator, outcomes are added."
    )
    kind = serializers.ChoiceField(choices=RUNS, required=False, default=Kind.EVALUATION.value)
    evaluator = serializers.CharField(
        max_length=rules.LONGEST_WORD, help_text="What scored: a suite, a judge's rubric."
    )
    evaluator_version = serializers.CharField(max_length=rules.LONGEST_WORD, required=False, allow_blank=True)
    judge_model = serializers.CharField(max_length=rules.LONGEST_NAME, required=False, allow_blank=True)
    margin = serializers.DecimalField(
        max_digits=5, decimal_places=rules.MARGIN_PLACES, min_value=rules.LEAST_MARGIN, max_value=rules.MOST_MARGIN,
        required=False, allow_null=True, help_text="How much worse, of 1, is as good: fixed before anybody looks.",
    )  # fmt: skip
    randomised = serializers.BooleanField(
        required=False, help_text="All models did the same items, or items were drawn for them; true unless said."
    )
    task_type = serializers.CharField(
        max_length=rules.LONGEST_NAME, required=False, help_text="Of outcomes that say none."
    )
    outcomes = OutcomesField(max_length=rules.MOST_OF_A_RUN, required=False)


class MoreInput(Input):
    task_type = serializers.CharField(
        max_length=rules.LONGEST_NAME, required=False, help_text="Of outcomes that say none."
    )
    outcomes = OutcomesField(max_length=rules.MOST_OF_A_RUN)


class OutcomesInput(Input):
    kind = serializers.ChoiceField(choices=CALLS)
    source = serializers.CharField(  # type: ignore[assignment]  # DRF's fields have an attribute of that name
        max_length=rules.LONGEST_NAME, help_text="What they come from: a button, a pipeline."
    )
    evaluator = serializers.CharField(
        max_length=rules.LONGEST_WORD, required=False, help_text="What scored; the source unless said."
    )
    evaluator_version = serializers.CharField(max_length=rules.LONGEST_WORD, required=False, allow_blank=True)
    judge_model = serializers.CharField(max_length=rules.LONGEST_NAME, required=False, allow_blank=True)
    task_type = serializers.CharField(
        max_length=rules.LONGEST_NAME, required=False, help_text="Of outcomes that say none."
    )
    outcomes = OutcomesField(max_length=rules.MOST_AT_ONCE)


class WithdrawInput(Input):
    because = serializers.CharField(max_length=services.LONGEST_REASON)


class EvaluationOutput(serializers.ModelSerializer[Evaluation]):
    """A run; or, where it is `standing`, a source of outcomes of calls. `models` and `task_types` are those it has."""

    models = serializers.ListField(source="model_names", child=serializers.CharField())
    task_types = serializers.ListField(child=serializers.CharField())
    outcomes = serializers.IntegerField(source="outcome_count")

    class Meta:
        model = Evaluation
        fields = (
            "id", "name", "kind", "standing", "evaluator", "evaluator_version", "judge_model", "margin", "randomised",
            "outcomes", "models", "task_types", "created_by", "created_at", "changed_at", "withdrawn_at",
            "withdrawn_because",
        )  # fmt: skip


class FlagOutput(serializers.Serializer[Any]):
    """Something that looks broken. `items` are some of those concerned."""

    code = serializers.CharField()
    reason = serializers.CharField()
    task_type = serializers.CharField()
    models = serializers.ListField(child=serializers.CharField())
    items = serializers.ListField(child=serializers.CharField())


class EvaluationFlagsOutput(EvaluationOutput):
    """With what looks broken in it, by itself."""

    flags = FlagOutput(many=True)

    class Meta(EvaluationOutput.Meta):
        fields = (*EvaluationOutput.Meta.fields, "flags")  # type: ignore[assignment]


class RecordedOutput(serializers.Serializer[Any]):
    """How many are new, and how many were known already."""

    evaluation_id = serializers.IntegerField()
    recorded = serializers.IntegerField()
    repeated = serializers.IntegerField()


class BecameOutput(serializers.Serializer[Any]):
    """What became of each, in the order they were sent. Of a `conflict` something else is known, which stays."""

    evaluation_id = serializers.IntegerField()
    outcomes = serializers.ListField(child=serializers.ChoiceField(choices=["recorded", "repeated", "conflict"]))


class OutcomeOutput(serializers.ModelSerializer[Outcome]):
    """`withdrawn`: its evaluation is no evidence any more."""

    evaluation_id = serializers.IntegerField()
    kind = serializers.CharField(source="evaluation.kind")
    evaluator = serializers.CharField(source="evaluation.evaluator")
    evaluator_version = serializers.CharField(source="evaluation.evaluator_version")
    withdrawn = serializers.SerializerMethodField()
    signals = serializers.DictField()

    class Meta:
        model = Outcome
        fields = (
            "id", "evaluation_id", "kind", "evaluator", "evaluator_version", "task_type", "item", "fingerprint",
            "cluster", "model", "provider", "score", "cost", "latency_s", "status", "order_shown", "human_score",
            "randomised", "propensity", "signals", "occurred_at", "recorded_at", "withdrawn",
        )  # fmt: skip

    def get_withdrawn(self, row: Outcome) -> bool:
        return row.evaluation.withdrawn_at is not None


class KnownOutput(serializers.ModelSerializer[TypeVersion]):
    """A task type that something is known of. Another `version` says that something changed."""

    class Meta:
        model = TypeVersion
        fields = ("task_type", "version", "outcomes", "changed_at")


class _Finite(serializers.FloatField):
    """JSON has no infinity: null."""

    def to_representation(self, value: Any) -> Any:
        return value if isfinite(value) else None


class BoundsOutput(serializers.Serializer[Any]):
    """Null where nothing is known yet."""

    lower = _Finite(allow_null=True)
    upper = _Finite(allow_null=True)


class CostOutput(serializers.Serializer[Any]):
    """Dollars for a completed task: all that was spent over what was done with it. `quotient` is candidate over
    incumbent. 90 % intervals.
    """

    incumbent = serializers.FloatField()
    candidate = serializers.FloatField()
    delta = serializers.FloatField()
    bounds = BoundsOutput()
    quotient = serializers.FloatField(allow_null=True)
    quotient_bounds = BoundsOutput()
    tasks = serializers.IntegerField()


class JudgedOutput(serializers.Serializer[Any]):
    """The difference as people would give it: `judged` by judges alone, `off` what people gave beyond that on the
    `labelled` items that both scored. 90 % interval, null where too few are labelled.
    """

    mean = serializers.FloatField()
    bounds = BoundsOutput(source="*")
    judged = serializers.FloatField()
    off = serializers.FloatField()
    labelled = serializers.IntegerField()


class PointOutput(serializers.Serializer[Any]):
    pairs = serializers.IntegerField()
    mean = serializers.FloatField()
    lower = serializers.FloatField()
    upper = serializers.FloatField()


class DisagreementOutput(serializers.Serializer[Any]):
    item = serializers.CharField()
    incumbent = serializers.FloatField()
    candidate = serializers.FloatField()
    incumbent_cost = serializers.FloatField(allow_null=True)
    candidate_cost = serializers.FloatField(allow_null=True)


class SeenOutput(serializers.Serializer[Any]):
    """Of calls whose model nobody drew: at most a reason for an experiment."""

    model = serializers.CharField()
    outcomes = serializers.IntegerField()
    mean = serializers.FloatField()
    mean_cost = serializers.FloatField(allow_null=True)


class ComparisonOutput(serializers.Serializer[Any]):
    """Scores, candidate minus incumbent, on the same items by the same measure. `bounds` hold at every look (95 %
    each); `fixed` would have, looked at once. `verdict` is by `margin`, said after `after` clusters; with `flags` it is
    nothing to act on. `needed`: so many pairs would tell, if the two are as they seem. `points` are the bounds after so
    many clusters. `disagreements` are the first of `disagreeing` items, those furthest apart.
    """

    task_type = serializers.CharField()
    incumbent = serializers.CharField()
    candidate = serializers.CharField()
    margin = serializers.FloatField()
    margin_fixed = serializers.BooleanField()
    pairs = serializers.IntegerField()
    clusters = serializers.IntegerField()
    difference = serializers.FloatField(allow_null=True)
    bounds = BoundsOutput()
    fixed = BoundsOutput(allow_null=True)
    verdict = serializers.ChoiceField(choices=["pass", "fail", "inconclusive"])
    after = serializers.IntegerField()
    needed = serializers.IntegerField(allow_null=True)
    cost = CostOutput(allow_null=True)
    judged = JudgedOutput(allow_null=True)
    points = PointOutput(many=True)
    disagreeing = serializers.IntegerField()
    disagreements = DisagreementOutput(many=True)
    flags = FlagOutput(many=True)
    observational = SeenOutput(many=True)


class OutcomesFilter(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=KINDS, required=False)
    task_type = serializers.CharField(max_length=rules.LONGEST_NAME, required=False)
    model = serializers.CharField(max_length=rules.LONGEST_NAME, required=False)
    item = serializers.CharField(max_length=rules.LONGEST_NAME, required=False)
    status = serializers.ChoiceField(choices=[one.value for one in Status], required=False)
    evaluation = serializers.IntegerField(min_value=1, max_value=2**62, required=False)
    to = serializers.DateTimeField(required=False)

    def get_fields(self) -> dict[str, Any]:
        # `from` is no name in Python.
        return super().get_fields() | {"from": serializers.DateTimeField(required=False)}


class ComparedFilter(serializers.Serializer[Any]):
    incumbent = serializers.CharField(max_length=rules.LONGEST_NAME)
    candidate = serializers.CharField(max_length=rules.LONGEST_NAME)
    margin = serializers.FloatField(
        min_value=float(rules.LEAST_MARGIN), max_value=float(rules.MOST_MARGIN), required=False
    )
