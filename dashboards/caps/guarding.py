"""Stops, breakers and limits in words, and their forms."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlencode

from django import forms

from dashboards.access import Here
from dashboards.caps.forms import AmountField, subjects
from dashboards.caps.words import Names
from dashboards.forms import ActionForm
from dashboards.panels.bar import address
from dashboards.templatetags.figures import count, money
from finops.budgets import guard_rules
from finops.budgets.guard.terms import AMOUNTS, LIMITED, MEASURES, STOPPABLE, WATCHED, BreakerTerms, Measure
from finops.budgets.models import BreakerRule, Limit, Stop
from finops.budgets.rules.limits import (
    LONGEST_PAUSE,
    LONGEST_REASON,
    MOST_CONCURRENT,
    MOST_REQUESTS,
    MOST_TOKENS,
    BreakerDraft,
    LimitDraft,
)
from finops.core.money import from_pico
from finops.orgs import selectors as orgs

_MEASURES: Final = {
    Measure.IDENTICAL_CALLS: "identical calls in a row",
    Measure.CALLS_PER_MINUTE: "calls in a minute",
    Measure.AMOUNT_PER_MINUTE: "spent in a minute",
    Measure.DEPTH: "sub-agents deep",
    Measure.SESSION_CALLS: "calls in one session",
    Measure.SESSION_MINUTES: "minutes of one session",
    Measure.SESSION_AMOUNT: "spent in one session",
}
# How long a stop lasts, as it is chosen.
LENGTHS: Final = {"": None, "15": 15, "60": 60, "1440": 24 * 60, "10080": 7 * 24 * 60}
_LENGTH_LABELS: Final = (
    ("", "Until somebody lifts it"),
    ("15", "15 minutes"),
    ("60", "An hour"),
    ("1440", "A day"),
    ("10080", "A week"),
)
_BREAKER: Final = "system:breaker"


@dataclass(frozen=True, slots=True)
class StopRow:
    stop: Stop
    what: str
    by: str
    lifted_by: str
    may_lift: bool


@dataclass(frozen=True, slots=True)
class BreakerRow:
    """`rule` is None for a default."""

    watches: str
    threshold: str
    pause: str
    rule: BreakerRule | None


@dataclass(frozen=True, slots=True)
class LimitRow:
    limit: Limit
    whose: str
    models: str


def stop_address(here: Here, dimension: str, subject: str) -> str:
    """Where one confirms that a subject is stopped now; an owner by its id."""
    name = "subject" if dimension == "session" else "id"
    return f"{address(here, 'stop_new')}?{urlencode({'dimension': dimension, name: subject})}"


def what(names: Names, dimension: str, subject: str) -> str:
    """`Agent Reviewer`, as a sentence begins."""
    if dimension == "organization":
        return "The whole organization"
    return f"{dimension.capitalize()} {names.word(dimension, subject)}"


def stop_rows(here: Here, rows: Iterable[Stop]) -> list[StopRow]:
    told = list(rows)
    names = Names(here)
    for one in told:
        names.want(one.dimension, [one.subject])
    logins = {int(actor[5:]) for one in told for actor in (one.by, one.lifted_by) if actor.startswith("user:")}
    called = {_BREAKER: "a breaker", "time": "time"} | {
        f"user:{one.user_id}": str(one.user)
        for one in (orgs.members(here.id).filter(user_id__in=logins) if logins else ())
    }
    may = guard_rules.may_stop_each(here.caller, [(one.dimension, one.subject) for one in told], at=here.now)
    return [
        StopRow(
            one,
            what(names, one.dimension, one.subject),
            called.get(one.by, one.by),
            called.get(one.lifted_by, one.lifted_by),
            may_lift,
        )
        for one, may_lift in zip(told, may, strict=True)
    ]


def breaker_rows(here: Here, defaults: Iterable[BreakerTerms], rules: Iterable[BreakerRule]) -> list[BreakerRow]:
    """The organization's own, then the defaults that nobody replaced; those of sessions first."""
    own = list(rules)
    names = Names(here)
    for one in own:
        names.want("agent" if one.dimension == "session" else one.dimension, [one.subject] if one.subject else [])
    rows = [
        BreakerRow(
            _watches(names, one.dimension, one.subject),
            _threshold(one.measure, one.threshold, here.currency),
            pause(one.pause_minutes),
            one,
        )
        for one in own
    ]
    for default in defaults:
        threshold = Decimal(default.threshold or 0)
        if default.measure in AMOUNTS:
            threshold = from_pico(default.threshold or 0)
        said = _threshold(default.measure, threshold, here.currency)
        rows.append(BreakerRow(_watches(names, default.dimension, ""), said, pause(default.pause_s // 60), None))
    return rows


def limit_rows(here: Here, rows: Iterable[Limit]) -> list[LimitRow]:
    told = list(rows)
    names = Names(here)
    for one in told:
        names.want(one.dimension, [one.subject] if one.subject else [])
    return [
        LimitRow(
            one,
            what(names, one.dimension, one.subject) if one.subject else f"Each {one.dimension}",
            "any" if one.allowed_models is None else ", ".join(one.allowed_models) or "none",
        )
        for one in told
    ]


def pause(minutes: int) -> str:
    for size, word in ((24 * 60, "day"), (60, "hour"), (1, "minute")):
        if minutes % size == 0:
            number = minutes // size
            return f"{number} {word}{'' if number == 1 else 's'}"
    raise AssertionError("every number of minutes is one of minutes")


def _watches(names: Names, dimension: str, subject: str) -> str:
    if not subject:
        return f"Each {dimension}"
    if dimension == "session":
        return f"Each session of agent {names.word('agent', subject)}"
    return what(names, dimension, subject)


def _threshold(measure: str, threshold: Decimal | None, currency: str) -> str:
    if threshold is None:
        return f"{_MEASURES[Measure(measure)]}: off"
    number = money(threshold, currency) if measure in AMOUNTS else count(int(threshold))
    return f"{number} {_MEASURES[Measure(measure)]}"


# --- Forms ------------------------------------------------------------------------------------------------------------
class ChooseForm(forms.Form):
    """Who is to be stopped; the next page asks again, by name."""

    dimension = forms.ChoiceField(choices=[(one, one.capitalize()) for one in STOPPABLE], label="What")
    subject = forms.CharField(
        required=False,
        max_length=300,
        label="Which",
        help_text="By its short name, a key by its prefix, a session as it is called. Of the organization: nothing.",
    )


class StopForm(ActionForm):
    length = forms.ChoiceField(required=False, choices=_LENGTH_LABELS, label="For how long")
    reason = forms.CharField(
        required=False, max_length=LONGEST_REASON, help_text="Whoever is stopped reads this in the refusal."
    )

    def until(self, at: datetime) -> datetime | None:
        minutes = LENGTHS[self.cleaned_data["length"]]
        return None if minutes is None else at + timedelta(minutes=minutes)


class _SubjectForm(ActionForm):
    """Of whom: by short name, a key by its prefix; empty is each."""

    subject = forms.CharField(required=False, max_length=300, label="Which")

    def __init__(self, *args: Any, organization_id: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.organization_id = organization_id

    def whose(self, kind: str) -> str:
        """Raises OwnerUnknown."""
        word = self.cleaned_data["subject"].strip()
        return subjects(self.organization_id, kind, [word], field="subject")[0] if word else ""


class LimitForm(_SubjectForm):
    allowed_models = forms.CharField(
        required=False,
        max_length=20_000,
        widget=forms.Textarea(attrs={"rows": 3}),
        label="Only these models",
        help_text="By commas or lines; * stands for anything, as claude-haiku-* or openai/*. Empty: any.",
    )
    requests_per_minute = forms.IntegerField(required=False, min_value=1, max_value=MOST_REQUESTS)
    tokens_per_minute = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=MOST_TOKENS,
        help_text="What goes in and what may come out; corrected when a call is over.",
    )
    max_concurrent = forms.IntegerField(required=False, min_value=1, max_value=MOST_CONCURRENT, label="Calls at once")

    def __init__(self, *args: Any, organization_id: int, **kwargs: Any) -> None:
        super().__init__(*args, organization_id=organization_id, **kwargs)
        self.fields["dimension"] = forms.ChoiceField(choices=[(one, one.capitalize()) for one in LIMITED], label="Of")
        self.fields["subject"].help_text = "Its short name, or a key's prefix; empty: each. (none) is nobody."
        self.order_fields(["dimension", "subject"])

    def draft(self) -> LimitDraft:
        """Raises OwnerUnknown and BudgetInvalid."""
        said = self.cleaned_data
        models = tuple(one.strip() for one in said["allowed_models"].replace("\n", ",").split(",") if one.strip())
        return LimitDraft(
            dimension=said["dimension"],
            subject=self.whose(said["dimension"]),
            allowed_models=models or None,
            requests_per_minute=said["requests_per_minute"],
            tokens_per_minute=said["tokens_per_minute"],
            max_concurrent=said["max_concurrent"],
        )


class BreakerForm(_SubjectForm):
    def __init__(self, *args: Any, organization_id: int, currency: str, **kwargs: Any) -> None:
        super().__init__(*args, organization_id=organization_id, **kwargs)
        self.fields["what"] = forms.ChoiceField(
            choices=[
                (f"{dimension} {measure}", f"Each {dimension}: {_MEASURES[measure]}")
                for dimension in WATCHED
                for measure in MEASURES[dimension]
            ],
            label="It watches",
        )
        self.fields["threshold"] = AmountField(
            required=False,
            label="More than",
            help_text=f"What is spent is in {currency}. Empty: this breaker is off.",
        )
        self.fields["pause_minutes"] = forms.IntegerField(
            min_value=1, max_value=LONGEST_PAUSE, initial=15, label="Then stopped for, minutes"
        )
        self.fields["subject"].help_text = "One agent or key in particular; of sessions, an agent whose they are."
        self.order_fields(["what", "subject", "threshold", "pause_minutes"])

    def draft(self) -> BreakerDraft:
        """Raises OwnerUnknown and BudgetInvalid."""
        said = self.cleaned_data
        dimension, measure = said["what"].split(" ")
        return BreakerDraft(
            dimension=dimension,
            subject=self.whose("agent" if dimension == "session" else dimension),
            measure=measure,
            threshold=said["threshold"],
            pause_minutes=said["pause_minutes"],
        )
