"""What rules and decisions look like in JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from finops.api.views import Input
from routing.rules import asking, rules
from routing.rules.document import MOST_BYTES
from routing.rules.hot import Arm
from routing.rules.models import Decision, RoutingRule, RuleVersion
from routing.rules.rollout import BEGINNINGS, MOST_HELD_BACK, Stage, State
from routing.rules.types import GateKind
from routing.tiers.rules import ORIGIN

_WORDS: Final = {"type": "array", "items": {"type": "string"}}
_COUNTRIES: Final = {"type": "array", "items": {"type": "string", "pattern": f"^{ORIGIN.pattern}$"}}
_TEXT: Final = {"type": "string"}
_WHOLE: Final = {"type": "integer", "minimum": 0}
_YES_OR_NO: Final = {"type": "boolean"}
_WHEN: Final = {
    **dict.fromkeys(("models", "task_types", "teams", "projects", "agents", "customers", "keys"), _WORDS),
    "tags": {"type": "object", "additionalProperties": _WORDS},
    **dict.fromkeys(("least_tokens", "most_tokens"), _WHOLE),
    **dict.fromkeys(("tools", "subagent", "sensitive"), _YES_OR_NO),
}
_GATE: Final = {
    "kind": {"type": "string", "enum": [one.value for one in GateKind]},
    "schema": {"type": "object"},
    **dict.fromkeys(("pattern", "model", "question"), _TEXT),
}
_USE: Final = {
    "model": _TEXT,
    "effort": _TEXT,
    "most_output_tokens": _WHOLE,
    "gate": {"type": "object", "required": ["kind"], "properties": _GATE},
}
_WITHIN: Final = {
    **dict.fromkeys(("labels", "regions", "only", "never", "order", "vendors", "never_vendors"), _WORDS),
    **dict.fromkeys(("origins", "never_origins"), _COUNTRIES),
    "most_per_million": {"type": "number", "minimum": 0},
    "most_share": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    "sort": {"type": "string", "enum": list(rules.SORTS)},
}
RULE: Final = {
    "type": "object",
    "description": "For which calls, which models, within what. `policy` is a learned choice: it is exported and "
    "imported, and nobody writes one by hand; lists do without it.",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "maxLength": rules.LONGEST_NAME},
        "when": {"type": "object", "properties": _WHEN},
        "use": {"type": "array", "items": {"type": "object", "required": ["model"], "properties": _USE}},
        "policy": {"type": "object"},
        "within": {"type": "object", "properties": _WITHIN},
    },
    "example": {
        "name": "triage",
        "when": {"task_types": ["triage"], "models": ["gpt-5"]},
        "use": [{"model": "gpt-5-mini"}, {"model": "gpt-5"}],
    },
}


@extend_schema_field(RULE)
class RuleField(serializers.Field[Any, Any, Any, Any]):
    """A rule as `rules.read` takes it."""

    default_error_messages: ClassVar = {"invalid": "A rule is an object."}

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, Mapping):
            self.fail("invalid")
        return data

    def to_representation(self, value: Any) -> Any:
        return value


def _why(*, required: bool = True) -> serializers.CharField:
    return serializers.CharField(max_length=rules.LONGEST_WHY, required=required, help_text="For whoever reviews it.")


def _stage() -> serializers.ChoiceField:
    return serializers.ChoiceField(
        choices=list(BEGINNINGS), required=False, help_text="How a new rule begins; full where unsaid."
    )


def _held_back(text: str) -> serializers.FloatField:
    return serializers.FloatField(min_value=0, max_value=MOST_HELD_BACK, required=False, help_text=text)


class RoutingRuleInput(Input):
    rule = RuleField()
    why = _why()
    stage = _stage()
    held_back = _held_back("Of sessions: for those it never holds, so that savings can be told; 0 where unsaid.")


class RoutingRuleChange(Input):
    rule = RuleField()
    why = _why()


class DecideInput(Input):
    accept = serializers.BooleanField()
    why = _why()


class StageInput(Input):
    to = serializers.ChoiceField(
        choices=[*BEGINNINGS, "next", Stage.PAUSED.value, Stage.ROLLED_BACK.value, "off", "on"],
        help_text="shadow, canary and full begin a rollout; next is its next step; paused is half and half; off and on "
        "leave the stage as it is.",
    )
    held_back = _held_back("Where a rollout begins: the share of sessions it never holds for; 5 % where unsaid.")


class OrderInput(Input):
    rules = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=2**31 - 1),
        max_length=1_000,
        help_text="Ids of all rules that are not retired, in the order they are to be asked.",
    )


class ImportInput(Input):
    document = serializers.CharField(max_length=MOST_BYTES, trim_whitespace=False, help_text="As it was exported.")
    why = _why(required=False)
    replace = serializers.BooleanField(
        required=False, help_text="Rules that the document does not name are retired, and its order is the order."
    )
    dry_run = serializers.BooleanField(required=False, help_text="Say what it would change, and change nothing.")
    stage = _stage()
    held_back = _held_back("Of new rules; 0 where unsaid.")


class RoutingRuleOutput(serializers.ModelSerializer[RoutingRule]):
    """`share` of sessions are treated, and `held_back` of them never. `version` is the number of the one in force, and
    `learned` says whether it has a policy. What is first in `position` is asked first.
    """

    version = serializers.IntegerField(source="version.number")
    in_words = serializers.CharField(source="version.in_words")
    learned = serializers.BooleanField(source="version.learned")
    rule = RuleField(source="version.document")
    state = serializers.ChoiceField(choices=[one.value for one in State])
    stage = serializers.ChoiceField(choices=[one.value for one in Stage])

    class Meta:
        model = RoutingRule
        fields = (
            "id", "name", "position", "state", "stage", "share", "held_back", "stage_since", "version", "learned",
            "in_words", "rule", "created_at", "changed_at",
        )  # fmt: skip


class RoutingVersionOutput(serializers.ModelSerializer[RuleVersion]):
    """`changes` are lines of what is other than in the version that was in force before, or when it was proposed."""

    rule = RuleField(source="document")
    changes = serializers.ListField(child=serializers.CharField())
    state = serializers.ChoiceField(choices=RuleVersion.State.values)

    class Meta:
        model = RuleVersion
        fields = (
            "number", "state", "learned", "in_words", "changes", "why", "said_by", "at", "decided_by", "decided_at",
            "decided_why", "rule",
        )  # fmt: skip


class SwitchedOffOutput(serializers.Serializer[Any]):
    """Names of the rules that were switched off by this."""

    switched_off = serializers.ListField(child=serializers.CharField())


class ImportedRuleOutput(serializers.Serializer[Any]):
    name = serializers.CharField()
    what = serializers.ChoiceField(choices=["created", "changed", "retired", "same"])
    changes = serializers.ListField(child=serializers.CharField())


class ImportedOutput(serializers.Serializer[Any]):
    """What the document did, or in a dry run would do."""

    dry_run = serializers.BooleanField()
    moved = serializers.BooleanField(help_text="Whether rules change places.")
    rules = ImportedRuleOutput(many=True)


class ForLiteLLMRuleOutput(serializers.Serializer[Any]):
    """`why` not, and in `notes` what of a rule that is said is not as Capstan does it."""

    rule = serializers.CharField()
    said = serializers.BooleanField()
    why = serializers.CharField(allow_blank=True)
    notes = serializers.ListField(child=serializers.CharField())


@extend_schema_field({"type": "object", "description": "`model_list` and `router_settings`, as LiteLLM reads them."})
class ConfigField(serializers.DictField):
    """LiteLLM's configuration."""


class ForLiteLLMOutput(serializers.Serializer[Any]):
    """`variables` are names in the environment of credentials, by upstream."""

    config = ConfigField()
    rules = ForLiteLLMRuleOutput(many=True)
    variables = serializers.DictField(child=serializers.CharField())


class DecisionOutput(serializers.ModelSerializer[Decision]):
    """What the rules did with one call. `propensity` is how likely a call like it goes the way it did; `would` is what
    the rule would have chosen, where its arm did not. Ids are 0 for none. `difficulty` is how likely the light model
    fails it, `chance` how likely the chosen one does it well, as it was foreseen; null where nothing was.
    """

    arm = serializers.ChoiceField(choices=["", *(one.value for one in Arm)])
    passed_over = serializers.ListField(child=serializers.ListField(child=serializers.CharField()))

    class Meta:
        model = Decision
        fields = (
            "call_id", "at", "rule_id", "rule_version", "arm", "propensity", "asked", "chosen", "would", "task_type",
            "confidence", "session", "team_id", "project_id", "agent_id", "customer_id", "tokens", "why", "difficulty",
            "chance", "passed_over",
        )  # fmt: skip


def _name(text: str = "") -> serializers.CharField:
    return serializers.CharField(
        max_length=rules.LONGEST_MODEL, required=False, allow_blank=True, trim_whitespace=False, help_text=text
    )


def _count(text: str) -> serializers.IntegerField:
    return serializers.IntegerField(min_value=0, max_value=rules.MOST_TOKENS, required=False, help_text=text)


class CallInput(Input):
    """A call that somebody might make. What is not said follows from what is, as it does for a call."""

    model = serializers.CharField(max_length=rules.LONGEST_MODEL, help_text="As it is asked for; auto too.")
    task_type = _name()
    team = _name("A slug, as of other owners.")
    project = _name()
    agent = _name()
    customer = _name()
    key = _name("A key's public prefix.")
    tags = serializers.DictField(child=serializers.CharField(max_length=rules.LONGEST_TAG), required=False)
    tools = _count("How many it brings.")
    recent_tools = serializers.ListField(
        child=serializers.CharField(max_length=rules.LONGEST_WORD),
        required=False,
        max_length=asking.MOST_TOOLS,
        help_text="Names of tools that were used last, newest last.",
    )
    depth = _count("0 is a session's own call, more one of its sub-agents.")
    tokens = _count("Of the input; where unsaid, by the length of the text.")
    text = serializers.CharField(required=False, allow_blank=True, help_text="What is asked. It is read, and not kept.")
    session = serializers.CharField(
        max_length=asking.LONGEST_SESSION, required=False, allow_blank=True,
        help_text="What is drawn for. Without it the call is drawn for by what it says.",
    )  # fmt: skip
    sensitive = serializers.BooleanField(
        required=False, help_text="Where unsaid its tag `sensitivity` and its text decide; undecided is sensitive."
    )


class RouteInput(CallInput):
    """One call, or `calls` alone."""

    model = serializers.CharField(max_length=rules.LONGEST_MODEL, required=False)
    calls = serializers.ListField(child=CallInput(), required=False, max_length=asking.MOST_CALLS)


@extend_schema_field({"type": "object", "properties": _GATE})
class GateField(serializers.DictField):
    """What an answer has to pass before it is given."""


class UseOutput(serializers.Serializer[Any]):
    model = serializers.CharField()
    effort = serializers.CharField(required=False)
    most_output_tokens = serializers.IntegerField(required=False)
    gate = GateField(required=False)


class PassedOverOutput(serializers.Serializer[Any]):
    model = serializers.CharField()
    why = serializers.CharField()


@extend_schema_field({"type": "object", "properties": _WITHIN})
class WithinField(serializers.DictField):
    """Limits of one rule."""


class RoutedOutput(serializers.Serializer[Any]):
    """`models` are in the order they are tried, and `use` says how those that a rule chose. `within` are the limits
    that hold, all of them. No rule: null.
    """

    rule = serializers.CharField(allow_null=True)
    rule_id = serializers.IntegerField(allow_null=True)
    version = serializers.IntegerField(allow_null=True)
    arm = serializers.ChoiceField(choices=["", *(one.value for one in Arm)])
    models = serializers.ListField(child=serializers.CharField())
    use = UseOutput(many=True)
    would = serializers.CharField(allow_null=True)
    why = serializers.CharField()
    passed_over = PassedOverOutput(many=True)
    propensity = serializers.FloatField()
    within = serializers.ListField(child=WithinField())
    task_type = serializers.CharField(allow_blank=True)
    confidence = serializers.FloatField(allow_null=True, help_text="In the task type, where it was guessed.")
    difficulty = serializers.FloatField(allow_null=True, help_text="How likely the light model fails it.")
    chances = serializers.DictField(
        child=serializers.FloatField(), help_text="How likely each model does it well; empty where nobody learned."
    )


class RouteOutput(RoutedOutput):
    """For one call its answer; for `calls` their answers, in `answers` alone."""

    answers = RoutedOutput(many=True, required=False)
