"""What rollouts and savings look like over REST."""

from __future__ import annotations

from datetime import date
from typing import Any, Final

from drf_spectacular.utils import OpenApiParameter, extend_schema_field
from rest_framework import serializers

from finops.api.views import Input
from routing.rollouts import rules, watching
from routing.rollouts.models import Rollout, SavingsMonth
from routing.rollouts.types import State

STATES: Final = tuple(one.value for one in State)
OF_RULE: Final = OpenApiParameter("rule", {"type": "integer", "minimum": 1}, description="A rule's id.")
STATE: Final = OpenApiParameter("state", str, enum=list(STATES))
MONTH: Final = OpenApiParameter("month", str, description="A month: 2026-11.")
_LARGEST_ID: Final = 2**31 - 1


class PaceInput(Input):
    """How a rule goes on. A minute and a score less than these it does not."""

    by_itself = serializers.BooleanField(required=False)
    least_scored = serializers.IntegerField(min_value=0, max_value=rules.MOST_SCORED, required=False)
    least_minutes = serializers.IntegerField(min_value=0, max_value=rules.MOST_MINUTES, required=False)


class RolloutsFilter(serializers.Serializer[Any]):
    state = serializers.ChoiceField(choices=STATES, required=False)
    rule = serializers.IntegerField(min_value=1, max_value=_LARGEST_ID, required=False)


class SavingsFilter(serializers.Serializer[Any]):
    rule = serializers.IntegerField(min_value=1, max_value=_LARGEST_ID, required=False)
    month = serializers.CharField(max_length=7, required=False)

    def validate_month(self, said: str) -> date:
        found = rules.read_month(said)
        if found is None:
            raise serializers.ValidationError("A month is said as 2026-11.")
        return found


class IncumbentKnownOutput(serializers.Serializer[Any]):
    """How the incumbent did, frozen: what treated calls are held against. `items` is 0 where nobody knows. `by` is
    `evidence` where runs had it, `rollout` where calls that stayed with it were scored.
    """

    task_type = serializers.CharField()
    model = serializers.CharField()
    by = serializers.ChoiceField(choices=["evidence", "rollout"])
    items = serializers.IntegerField()
    mean = serializers.FloatField()
    deviation = serializers.FloatField()


class NoticedOutput(serializers.Serializer[Any]):
    """How far treated scores are below what is known of the incumbent: `mean_below` of them, 0.15 is 15 points. At an
    `e_value` of `alarm` the rule is paused.
    """

    scores = serializers.IntegerField()
    mean_below = serializers.FloatField()
    e_value = serializers.FloatField()
    alarm = serializers.FloatField()


class HalvesOutput(serializers.Serializer[Any]):
    """Half against half, since it was paused: pairs of a treated score and one that stayed, and their mean difference,
    treated minus stayed.
    """

    pairs = serializers.IntegerField()
    difference = serializers.FloatField(allow_null=True)


class RolloutOutput(serializers.ModelSerializer[Rollout]):
    """A rule under way, or one that was. `why` says in words why it is where it is. Scores are counted by session."""

    rule = serializers.IntegerField(source="rule_id")
    rule_name = serializers.CharField(source="rule.name")
    known = serializers.SerializerMethodField()
    noticed = serializers.SerializerMethodField()
    contrast = serializers.SerializerMethodField()

    class Meta:
        model = Rollout
        fields = (
            "id", "rule", "rule_name", "version", "state", "stage", "share", "why", "started_at", "stepped_at",
            "paused_at", "ended_at", "treated_scored", "scored_here", "stayed_scored", "by_itself", "least_scored",
            "least_minutes", "known", "noticed", "contrast",
        )  # fmt: skip

    @extend_schema_field(IncumbentKnownOutput(many=True))
    def get_known(self, row: Rollout) -> list[dict[str, Any]]:
        known: list[dict[str, Any]] = row.seen.get("known", [])
        return known

    @extend_schema_field(NoticedOutput())
    def get_noticed(self, row: Rollout) -> dict[str, Any]:
        detector = rules.read(row.seen).detector
        return {
            "scores": detector.seen, "mean_below": detector.mean, "e_value": detector.e_value,
            "alarm": watching.ALARMED_AT,
        }  # fmt: skip

    @extend_schema_field(HalvesOutput())
    def get_contrast(self, row: Rollout) -> dict[str, Any]:
        contrast = rules.read(row.seen).contrast
        return {"pairs": len(contrast.differences), "difference": contrast.mean}


class SavingsOutput(serializers.ModelSerializer[SavingsMonth]):
    """What a rule saved in a month, verified: what its treated calls would have cost, by those that were drawn to stay
    as they were, minus what they did. The interval is two-sided, 95 %. `net` is that minus `beside_cost`: charges that
    the tag `for-rule` says were made for the rule. `failed_cost` is in `treated_cost`. Null where it cannot be
    verified, and `why` says why not. `by`: whether those that stayed count by calls or by tokens. `closed_at` is null
    while the month is measured anew as charges come; from then on what is said of it does not change.
    """

    rule = serializers.IntegerField(source="rule_id")
    rule_name = serializers.CharField(source="rule.name")
    month = serializers.DateField(format="%Y-%m")

    class Meta:
        model = SavingsMonth
        fields = (
            "rule", "rule_name", "month", "currency", "treated_calls", "treated_sessions", "stayed_calls",
            "stayed_sessions", "treated_cost", "failed_cost", "beside_cost", "expected_cost", "saved", "saved_lower",
            "saved_upper", "net", "net_lower", "net_upper", "by", "why", "measured_at",
            "closed_at",
        )  # fmt: skip
