"""Forms and words of experiments."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, Final

import msgspec
from django import forms

from dashboards.forms import ActionForm, Offering, OwnerField
from routing.evidence import selectors as evidence
from routing.evidence.rules import LEAST_MARGIN, MOST_MARGIN, USUAL_MARGIN
from routing.experiments import rules
from routing.experiments.types import ExperimentDraft, Mode, Scoring, State
from routing.rules.types import Gate, GateKind
from routing.upstreams import selectors as upstreams

MODES: Final = {
    Mode.REPLAY: "Replay: calls that are captured already",
    Mode.SHADOW: "Shadow: a share of captured calls, as they come",
}
SCORINGS: Final = {Scoring.JUDGE: "A judge: another model compares both answers", Scoring.GATE: "A gate"}
GATES: Final = {
    GateKind.JSON: "The answer is JSON",
    GateKind.SCHEMA: "The answer is JSON as a schema says",
    GateKind.PATTERN: "The answer matches a pattern",
}
STATES: Final = {
    State.DRAFT: "Draft",
    State.RUNNING: "Running",
    State.PAUSED: "Paused",
    State.STOPPED: "Stopped",
    State.DONE: "Done",
    State.FAILED: "Failed",
}
TONES: Final = {
    State.RUNNING: "info",
    State.PAUSED: "warn",
    State.STOPPED: "warn",
    State.DONE: "good",
    State.FAILED: "bad",
}
_SEPARATED: Final = re.compile(r"[\n,]+")


class ExperimentForm(ActionForm):
    """What is to be measured, how it is scored, and what it may cost."""

    mode = forms.ChoiceField(label="Which calls", choices=[(one.value, name) for one, name in MODES.items()])
    task_type = forms.CharField(label="Task type", max_length=rules.LONGEST_NAME)
    incumbent = forms.CharField(
        label="The incumbent", max_length=rules.LONGEST_NAME, help_text="The model that answered these calls."
    )
    candidates = forms.CharField(
        label="Candidates", widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false"}),
        help_text=f"One to {rules.MOST_CANDIDATES} models, one on each line.",
    )  # fmt: skip
    tasks = forms.IntegerField(label="Tasks", min_value=1, max_value=rules.MOST_TASKS, initial=500)
    margin = forms.DecimalField(
        label="Points below that are as good", min_value=LEAST_MARGIN * 100, max_value=MOST_MARGIN * 100,
        max_digits=5, decimal_places=2, initial=f"{USUAL_MARGIN * 100:g}",
        help_text="Of 100. Fixed now, before anybody has looked.",
    )  # fmt: skip
    scoring = forms.ChoiceField(label="Scored by", choices=[(one.value, name) for one, name in SCORINGS.items()])
    judge = forms.CharField(
        label="Which judge", max_length=rules.LONGEST_NAME, required=False,
        help_text="Of a judge: none of the models above, and better of another vendor.",
    )  # fmt: skip
    question = forms.CharField(
        label="What the judge looks at", max_length=rules.LONGEST_QUESTION, required=False,
        widget=forms.Textarea(attrs={"rows": 2}), help_text="Left empty: whether an answer does what was asked.",
    )  # fmt: skip
    gate_kind = forms.ChoiceField(
        label="Which gate", choices=[("", "none"), *((one.value, name) for one, name in GATES.items())], required=False
    )
    gate_text = forms.CharField(
        label="Its schema, or its pattern", max_length=20_000, required=False, strip=False,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
    )  # fmt: skip
    share = forms.DecimalField(
        label="Percent of captured calls", min_value=rules.LEAST_SHARE * 100, max_value=100, max_digits=4,
        decimal_places=1, initial=100, help_text="Of a shadow.",
    )  # fmt: skip
    most_cost = forms.DecimalField(
        label="The most it may cost", min_value=Decimal("0.01"), max_value=rules.MOST_COST, max_digits=12,
        decimal_places=4, help_text="A hard budget of its own: no call is made that may go past it.",
    )  # fmt: skip

    def __init__(self, data: Any, organization_id: int, *, about: dict[str, Any] | None = None) -> None:
        """`about` is what a recommendation wants tried."""
        super().__init__(data, initial=about or {})
        models = sorted(set(upstreams.deployments_in_use(organization_id).values_list("model", flat=True)))
        offered = [(one, "") for one in models]
        types = [(one.task_type, "") for one in evidence.task_types(organization_id)]
        self.fields["task_type"].widget = Offering(types)
        self.fields["incumbent"].widget = Offering(offered)
        self.fields["judge"].widget = Offering(offered)
        self.fields["project"] = OwnerField(organization_id, "project", help_text="Only calls of it; empty is all.")

    def draft(self) -> ExperimentDraft:
        """Raises ExperimentInvalid."""
        said = self.cleaned_data
        mode, scoring = Mode(said["mode"]), Scoring(said["scoring"])
        judged = scoring is Scoring.JUDGE
        return ExperimentDraft(
            mode=mode,
            task_type=said["task_type"],
            incumbent=said["incumbent"],
            candidates=tuple(one.strip() for one in _SEPARATED.split(said["candidates"]) if one.strip()),
            tasks=said["tasks"],
            margin=said["margin"] / 100,
            scoring=scoring,
            judge=said["judge"] if judged else "",
            question=said["question"] if judged else "",
            gate=None if judged else self._gate(),
            share=said["share"] / 100 if mode is Mode.SHADOW else Decimal(1),
            project_id=said["project"] or 0,
            most_cost=said["most_cost"],
        )

    def _gate(self) -> Gate | None:
        kind, text = self.cleaned_data["gate_kind"], self.cleaned_data["gate_text"].strip()
        if not kind:
            raise rules.ExperimentInvalid("choose a gate, or a judge", field="gate_kind")
        if kind == GateKind.SCHEMA:
            try:
                schema = msgspec.json.decode(text, type=dict[str, Any])
            except msgspec.DecodeError:
                raise rules.ExperimentInvalid("a schema is a JSON object", field="gate_text") from None
            return Gate(kind=GateKind.SCHEMA, schema=schema)
        return Gate(kind=GateKind(kind), pattern=text if kind == GateKind.PATTERN else "")


def initial_of(about: dict[str, Any]) -> dict[str, Any]:
    """What a recommendation wants tried, as the form has it."""
    margin = (about["margin"] * 100).normalize()
    return about | {"candidates": "\n".join(about["candidates"]), "margin": f"{margin:f}"}
