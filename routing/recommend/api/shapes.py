"""What recommendations take and tell over REST."""

from __future__ import annotations

from typing import Any, Final

from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

from finops.api.views import Input
from routing.evidence.api.shapes import ComparisonOutput
from routing.recommend import rules
from routing.recommend.models import Recommendation
from routing.recommend.types import Kind, State, Verdict
from routing.rules.rollout import Stage
from routing.rules.rules import LONGEST_WHY

KINDS: Final = [one.value for one in Kind]
STATES: Final = [one.value for one in State]
VERDICTS: Final = [one.value for one in Verdict]
STAGES: Final = [Stage.CANARY.value, Stage.SHADOW.value]
FILTERS: Final = (
    OpenApiParameter("kind", {"type": "string", "enum": KINDS}),
    OpenApiParameter("task_type", str),
    OpenApiParameter("state", {"type": "string", "enum": STATES}),
)


class RecommendationsFilter(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=KINDS, required=False)
    task_type = serializers.CharField(max_length=rules.LONGEST_NAME, required=False)
    state = serializers.ChoiceField(choices=STATES, required=False)


class ApplyInput(Input):
    stage = serializers.ChoiceField(
        choices=STAGES,
        required=False,
        help_text="canary: the rule holds for 5 % of sessions. shadow: it says what it would do. canary unless said.",
    )
    why = serializers.CharField(
        max_length=LONGEST_WHY, required=False, help_text="For the rule; unless said, what is recommended."
    )


class DismissInput(Input):
    reason = serializers.CharField(max_length=rules.LONGEST_REASON)


class SaidOutput(serializers.Serializer[Any]):
    """A number and what bounds it; null where nothing does."""

    value = serializers.FloatField()
    lower = serializers.FloatField(allow_null=True)
    upper = serializers.FloatField(allow_null=True)


class CompletedCostOutput(serializers.Serializer[Any]):
    """Dollars for a completed task. `delta` is candidate minus incumbent, `ratio` candidate over incumbent; bounds of
    90 %. `by_prices`: nobody said what tasks cost, and these are the last 30 days' calls at either's prices; bounds are
    for half as many tokens, and twice as many.
    """

    incumbent = serializers.FloatField()
    candidate = serializers.FloatField()
    delta = SaidOutput()
    ratio = SaidOutput(allow_null=True)
    tasks = serializers.IntegerField()
    by_prices = serializers.BooleanField()


class VolumeOutput(serializers.Serializer[Any]):
    """Of the last 30 days, by the ledger, in the reporting currency."""

    calls = serializers.IntegerField()
    spend = serializers.CharField()
    currency = serializers.CharField()


class SavingOutput(serializers.Serializer[Any]):
    """A month's, at that volume; `share` is of what is spent. `random_mix` is the share that sending calls at random to
    the other measured models saves at the same quality.
    """

    amount = serializers.CharField()
    lower = serializers.CharField(allow_null=True)
    upper = serializers.CharField(allow_null=True)
    share = SaidOutput(allow_null=True)
    random_mix = serializers.FloatField(allow_null=True)
    random_mix_amount = serializers.CharField(allow_null=True)


class NeededTrialOutput(serializers.Serializer[Any]):
    """So many more tasks at both models, and what they cost in dollars; `share` is what would be saved."""

    tasks = serializers.IntegerField()
    cost = serializers.CharField(allow_null=True)
    share = serializers.FloatField(allow_null=True)


class RaisedFlagOutput(serializers.Serializer[Any]):
    code = serializers.CharField()
    reason = serializers.CharField()
    models = serializers.ListField(child=serializers.CharField())


class ConsideredOutput(serializers.Serializer[Any]):
    """A candidate, and why it is not the one. `expected` leans on the same two models in other task types."""

    model = serializers.CharField()
    verdict = serializers.ChoiceField(choices=VERDICTS)
    pairs = serializers.IntegerField()
    difference = SaidOutput(allow_null=True)
    expected = SaidOutput(allow_null=True)
    cost = CompletedCostOutput(allow_null=True)
    why = serializers.CharField(allow_blank=True)


_COLUMNS: Final = (
    "id", "kind", "task_type", "task_types", "incumbent", "candidate", "state", "verdict", "in_words", "pairs",
    "clusters", "margin", "margin_from", "difference", "cost", "volume", "saving", "trial", "evidence_version",
    "created_at", "changed_at", "expires_at", "decided_at", "decided_by", "reason", "rule_id",
)  # fmt: skip


class RecommendationOutput(serializers.ModelSerializer[Recommendation]):
    """What is advised of a task type. `difference` is of scores, candidate minus incumbent, with bounds that hold at
    every look (95 % each); `margin` says how much worse is as good. `rule_id` is the rule that was made of it.
    """

    kind = serializers.ChoiceField(choices=KINDS)
    state = serializers.ChoiceField(choices=STATES)
    verdict = serializers.ChoiceField(choices=VERDICTS)
    task_types = serializers.ListField(source="document.task_types", child=serializers.CharField())
    in_words = serializers.CharField(source="document.in_words")
    clusters = serializers.IntegerField(source="document.clusters")
    margin = serializers.FloatField(source="document.margin", allow_null=True)
    margin_from = serializers.CharField(source="document.margin_from", allow_null=True)
    difference = SaidOutput(source="document.difference", allow_null=True)
    cost = CompletedCostOutput(source="document.cost", allow_null=True)
    volume = VolumeOutput(source="document.volume")
    saving = SavingOutput(source="document.saving")
    trial = NeededTrialOutput(source="document.trial", allow_null=True)

    class Meta:
        model = Recommendation
        fields = _COLUMNS


class WholeRecommendationOutput(RecommendationOutput):
    """With its reasons, the very rule it would make, and every candidate that was looked at."""

    reasons = serializers.ListField(source="document.reasons", child=serializers.CharField())
    rule = serializers.DictField(source="document.rule", allow_null=True)
    yaml = serializers.CharField(source="document.yaml", allow_blank=True)
    flags = RaisedFlagOutput(source="document.flags", many=True)
    considered = ConsideredOutput(source="document.considered", many=True)

    class Meta(RecommendationOutput.Meta):
        fields = (*_COLUMNS, "reasons", "rule", "yaml", "flags", "considered")  # type: ignore[assignment]


class FrontierPointOutput(serializers.Serializer[Any]):
    """A model on the tasks that the incumbent did too: mean score, and dollars a task. On the `frontier` nothing is
    better without costing more.
    """

    model = serializers.CharField()
    tasks = serializers.IntegerField()
    quality = serializers.FloatField()
    cost = serializers.FloatField(allow_null=True)
    frontier = serializers.BooleanField()


class RecommendationEvidenceOutput(serializers.Serializer[Any]):
    """What it stands on. `comparison` is of both models by what is known now; null where it is not about two models."""

    id = serializers.IntegerField()
    task_type = serializers.CharField(allow_blank=True)
    evidence_version = serializers.IntegerField()
    models = FrontierPointOutput(many=True)
    comparison = ComparisonOutput(allow_null=True)


class RecomputedOutput(serializers.Serializer[Any]):
    """`queued`: there is more to read than one waits for, and a worker does it; the counts are then null."""

    state = serializers.ChoiceField(choices=["done", "queued"])
    examined = serializers.IntegerField(allow_null=True)
    opened = serializers.IntegerField(allow_null=True)
    renewed = serializers.IntegerField(allow_null=True)
    withdrawn = serializers.IntegerField(allow_null=True)
