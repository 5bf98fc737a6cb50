"""Forms of the pages of routing: what a person types becomes a rule, a stage, a decision."""

from __future__ import annotations

from typing import Any, Final

from django import forms

from dashboards.forms import ActionForm
from routing.recommend.rules import LONGEST_REASON
from routing.rollouts.rules import MOST_MINUTES, MOST_SCORED
from routing.rules import rules
from routing.rules.document import imported
from routing.rules.rollout import BEGINNINGS, HELD_BACK, MOST_HELD_BACK, Stage
from routing.rules.rules import RuleInvalid
from routing.rules.types import Rule

_BEGIN: Final = {
    Stage.SHADOW: "Shadow: it only says what it would do",
    Stage.CANARY: "Canary: 5 % of sessions",
    Stage.FULL: "Full: all sessions but those held back",
}
# Of a rule as somebody types it; one that was learned is larger, and comes by REST.
LONGEST_TYPED: Final = 200_000


def _why(label: str = "Why", *, required: bool = True) -> forms.CharField:
    return forms.CharField(
        label=label, max_length=rules.LONGEST_WHY, required=required, widget=forms.TextInput(),
        help_text="For whoever looks at the rule later." if required else "",
    )  # fmt: skip


class ApplyForm(ActionForm):
    stage = forms.ChoiceField(
        label="Begin as", choices=[(one.value, _BEGIN[one]) for one in (Stage.CANARY, Stage.SHADOW)]
    )
    why = _why("Why, if not as recommended", required=False)


class DismissForm(ActionForm):
    reason = forms.CharField(
        label="Why not", max_length=LONGEST_REASON, help_text="It does not come back until its evidence changes."
    )


class StageForm(ActionForm):
    """How a rollout begins."""

    to = forms.ChoiceField(label="Begin as", choices=[(one.value, _BEGIN[one]) for one in BEGINNINGS])
    held_back = forms.DecimalField(
        label="Percent of sessions held back", min_value=0, max_value=int(MOST_HELD_BACK * 100), max_digits=4,
        decimal_places=1, initial=f"{HELD_BACK * 100:g}", required=False,
        help_text="They stay as they are for as long as the rule lives: what it saved is told by them.",
    )  # fmt: skip

    @property
    def share_held_back(self) -> float | None:
        """None where nothing is said."""
        said = self.cleaned_data["held_back"]
        return None if said is None else float(said / 100)


class PaceForm(ActionForm):
    """How a rule goes from step to step."""

    by_itself = forms.BooleanField(label="It goes on by itself", required=False)
    least_scored = forms.IntegerField(
        label="After so many scored sessions", min_value=0, max_value=MOST_SCORED, help_text="At each step."
    )
    least_minutes = forms.IntegerField(label="And so many minutes", min_value=0, max_value=MOST_MINUTES)


class DecideForm(ActionForm):
    """Of a proposal."""

    why = _why()


class RuleForm(ActionForm):
    """What a rule says, as the document that an export holds of it."""

    document = forms.CharField(
        label="The rule, as YAML", max_length=LONGEST_TYPED, strip=False,
        widget=forms.Textarea(attrs={"rows": 18, "spellcheck": "false"}),
        help_text="One rule, in the form in which rules are exported.",
    )  # fmt: skip
    why = _why()

    def rule(self) -> Rule:
        """Raises DocumentInvalid and RuleInvalid."""
        found = imported(self.cleaned_data["document"])
        if len(found) != 1:
            raise RuleInvalid(f"one rule is taken here, and this is {len(found)}", field="document")
        return found[0]


class NewRuleForm(RuleForm):
    stage = forms.ChoiceField(label="Begin as", choices=[(one.value, _BEGIN[one]) for one in BEGINNINGS])


class CompareForm(ActionForm):
    """Two models of a task type."""

    incumbent = forms.ChoiceField(label="Against")
    candidate = forms.ChoiceField(label="This model")

    def __init__(self, data: Any, models: list[str], *, used: str = "") -> None:
        others = [one for one in models if one != used]
        super().__init__(data, initial={"incumbent": used, "candidate": others[0] if others else ""})
        for name in ("incumbent", "candidate"):
            self.fields[name].choices = [(one, one) for one in models]  # type: ignore[attr-defined]
