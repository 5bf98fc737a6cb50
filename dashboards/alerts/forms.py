"""Forms of alert rules and channels: what a person types becomes a draft."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django import forms

from dashboards.caps.forms import AmountField
from dashboards.forms import ActionForm
from finops.alerts.models import AlertRule, Channel
from finops.alerts.rules.kinds import DIMENSIONS, PARAMS
from finops.alerts.types import ChannelDraft, Kind, Medium, RuleDraft

MEDIA: Final = {
    Medium.EMAIL: "E-mail",
    Medium.SLACK: "Slack",
    Medium.TEAMS: "Microsoft Teams",
    Medium.PAGERDUTY: "PagerDuty",
    Medium.WEBHOOK: "Signed webhook",
}
_ADDRESSES: Final = {
    Medium.EMAIL: ("E-mail addresses", "With commas between. Each gets a blind copy."),
    Medium.SLACK: ("Incoming webhook", "As Slack shows it, https://hooks.slack.com/services/…"),
    Medium.TEAMS: ("Workflow’s address", "Of a workflow “when a Teams webhook request is received”."),
    Medium.PAGERDUTY: ("Integration key", "Of a service’s Events API v2 integration: 32 letters and digits."),
    Medium.WEBHOOK: ("Address", "https:// and on the public net. What it is sent is signed; the next page shows how."),
}


def _whole(label: str, hint: str, *, low: int, high: int) -> Callable[[], forms.Field]:
    return lambda: forms.IntegerField(label=label, help_text=hint, min_value=low, max_value=high, required=False)


# Each parameter of a rule as a field.
_FIELDS: Final[dict[str, Callable[[], forms.Field]]] = {
    "least_percent": _whole("From, % of the limit", "Empty: from every threshold on.", low=1, high=1_000),
    "percent": _whole("More than, %", "Of what was spent.", low=1, high=100),
    "days": _whole("Over the last, days", "", low=1, high=92),
    "calls": _whole("From, calls", "", low=1, high=10**9),
    "times": _whole("Silent for, times", "Its longest silence of the last two weeks.", low=2, high=100),
    "least_minutes": _whole("And at least, minutes", "", low=5, high=10_080),
    "least_amount": lambda: AmountField(label="From, an amount", required=False, help_text="Less is noise."),
    "dimensions": lambda: forms.MultipleChoiceField(
        choices=[(one, one.capitalize()) for one in DIMENSIONS], widget=forms.CheckboxSelectMultiple, required=False,
        label="By",
    ),
    "budgets": lambda: forms.MultipleChoiceField(
        widget=forms.CheckboxSelectMultiple, required=False, label="Only of these caps", help_text="None: of all."
    ),
}  # fmt: skip


class RuleForm(ActionForm):
    """A rule of one kind: what of it can be said differs by kind."""

    name = forms.CharField(max_length=200)

    def __init__(
        self, *args: Any, kind: str, budgets: list[tuple[str, str]], channels: list[tuple[str, str]], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.kind = kind
        for name, (_, usual) in PARAMS[Kind(kind)].items():
            made = _FIELDS[name]()
            if name == "budgets":
                made.choices = budgets  # type: ignore[attr-defined]
            made.initial = usual
            self.fields[name] = made
        self.fields["told"] = forms.ChoiceField(
            label="Who is told",
            choices=[("all", "Every channel"), ("some", "These channels"), ("none", "Nobody; it is seen here")],
            widget=forms.RadioSelect,
            initial="all",
        )
        self.fields["channel_ids"] = forms.TypedMultipleChoiceField(
            choices=channels, coerce=int, required=False, label="These channels", widget=forms.CheckboxSelectMultiple
        )
        if not channels:
            del self.fields["channel_ids"]
        self.fields["digest"] = forms.BooleanField(
            required=False, label="Gather into digests", help_text="Not told at once, but together with others."
        )
        self.fields["enabled"] = forms.BooleanField(required=False, label="It listens", initial=True)

    def changes(self) -> dict[str, Any]:
        """As a draft has them."""
        said = self.cleaned_data
        params: dict[str, Any] = {}
        for name in PARAMS[Kind(self.kind)]:
            value = said[name]
            if name == "budgets":
                value = [int(one) for one in value]
            if value not in (None, "", []):
                params[name] = f"{value:f}" if name == "least_amount" else value
        return {
            "name": said["name"],
            "params": params,
            "channel_ids": tuple(said.get("channel_ids", ())) if said["told"] == "some" else (),
            "every_channel": said["told"] == "all",
            "digest": said["digest"],
            "enabled": said["enabled"],
        }

    def draft(self) -> RuleDraft:
        return RuleDraft(kind=self.kind, **self.changes())


def rule_initial(row: AlertRule) -> dict[str, Any]:
    told = "all" if row.every_channel else "some" if row.channel_ids else "none"
    shown: dict[str, Any] = {**row.params}
    if "budgets" in shown:
        shown["budgets"] = [str(one) for one in shown["budgets"]]
    return {
        **shown,
        "name": row.name,
        "told": told,
        "channel_ids": row.channel_ids,
        "digest": row.digest,
        "enabled": row.enabled,
    }


class ChannelForm(ActionForm):
    """A channel of one kind. When it is changed, an empty address keeps the one there is."""

    name = forms.CharField(max_length=200, help_text="As in “Platform on call”.")

    def __init__(self, *args: Any, kind: str, keeps: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.kind = kind
        label, hint = _ADDRESSES[Medium(kind)]
        self.fields["address"] = forms.CharField(
            label=label, help_text=f"{hint} Empty: as it is." if keeps else hint, max_length=2_000, required=not keeps,
            widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        )  # fmt: skip
        self.fields["timezone"] = forms.CharField(max_length=60, label="Time zone", required=False)
        self.fields["quiet_from"] = _clock("Quiet from", "")
        self.fields["quiet_until"] = _clock(
            "Quiet until", "What comes in between waits until then. Empty: never quiet."
        )
        self.fields["critical_always"] = forms.BooleanField(
            required=False, label="What is critical goes out in quiet hours too", initial=True
        )
        self.fields["digest_minutes"] = forms.IntegerField(
            label="A digest gathers for, minutes", min_value=1, max_value=1_440, initial=60
        )

    def draft(self) -> ChannelDraft:
        return ChannelDraft(kind=self.kind, **self.cleaned_data)


def _clock(label: str, hint: str) -> forms.TimeField:
    widget = forms.TimeInput(attrs={"type": "time"}, format="%H:%M")
    return forms.TimeField(label=label, help_text=hint, required=False, widget=widget)


def channel_initial(row: Channel) -> dict[str, Any]:
    names = ("name", "timezone", "quiet_from", "quiet_until", "critical_always", "digest_minutes")
    return {name: getattr(row, name) for name in names}
