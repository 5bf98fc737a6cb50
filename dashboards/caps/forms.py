"""Forms of caps: what a person types becomes a draft, and what was refused stands beside its field."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

from django import forms
from django.utils.html import format_html

from dashboards.caps.words import PER, STRENGTHS
from dashboards.forms import OFFERED, ActionForm, InstantField, Offering
from finops.attribution.api.references import ids
from finops.budgets.rules.drafts import BudgetInvalid
from finops.budgets.types import DIMENSIONS, EACH, OWNERS, Draft, Enforcement, Period
from finops.orgs import selectors as orgs

NOBODY: Final = "(none)"
_STRENGTH_LABELS: Final = {Enforcement.ALERT: "Alert", Enforcement.DOWNGRADE: "Downgrade", Enforcement.HARD: "Hard"}


class AmountField(forms.DecimalField):
    def __init__(self, **options: Any) -> None:
        widget = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"})
        super().__init__(**{"min_value": 0, "max_digits": 24, "decimal_places": 12, "widget": widget, **options})


class ThresholdsField(forms.CharField):
    """Percentages, as `50, 80, 100`; cleans to a tuple."""

    def __init__(self) -> None:
        super().__init__(
            required=False, max_length=100, initial="50, 80, 100", help_text="Percent of the limit, by commas."
        )

    def clean(self, value: Any) -> tuple[int, ...]:
        parts = [part.strip().removesuffix("%").strip() for part in str(super().clean(value)).split(",")]
        if any(part and not (part.isascii() and part.isdigit() and len(part) < 5) for part in parts):
            raise forms.ValidationError("Write whole percentages, as 50, 80, 100.")
        return tuple(int(part) for part in parts if part)


class StrengthField(forms.ChoiceField):
    """Alert, downgrade or hard, each with its sentence."""

    def __init__(self) -> None:
        choices = [
            (one.value, format_html("<b>{}</b> <span class='soft'>{}</span>", _STRENGTH_LABELS[one], sentence))
            for one, sentence in STRENGTHS.items()
        ]
        super().__init__(label="At the limit", choices=choices, widget=forms.RadioSelect, initial=Enforcement.ALERT)


class TermsForm(ActionForm):
    """What of a cap may change later."""

    name = forms.CharField(max_length=200)

    def __init__(self, *args: Any, currency: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["limit"] = AmountField(label=f"Limit, {currency}")
        self.fields["enforcement"] = StrengthField()
        self.fields["thresholds"] = ThresholdsField()
        self.fields["downgrade_to"] = forms.CharField(
            required=False,
            max_length=10_000,
            label="Cheaper models",
            widget=forms.Textarea(attrs={"rows": 2, "class": "mono"}),
            help_text="Of a downgrade: where its calls go, as anthropic/claude-haiku-4-5; several by lines, each no "
            "dearer than the one before.",
        )
        self.fields["downgrade_at"] = forms.IntegerField(
            required=False, min_value=1, max_value=100, initial=80, label="Downgrade from, percent of the limit"
        )
        self.fields["rollover"] = AmountField(
            label=f"Carry over at most, {currency}",
            required=False,
            help_text="What a period leaves unspent comes on top of the next, up to this. Empty: nothing.",
        )

    def changes(self) -> dict[str, Any]:
        said = self.cleaned_data
        return {
            "name": said["name"],
            "limit_amount": said["limit"],
            "enforcement": Enforcement(said["enforcement"]),
            "thresholds": said["thresholds"],
            "downgrade_to": _models(said["downgrade_to"]),
            "downgrade_at": said["downgrade_at"] or 80,
            "rollover_amount": said["rollover"] or Decimal(0),
        }


class CapForm(TermsForm):
    """A new cap: its terms, and what nobody can change later."""

    def __init__(self, *args: Any, organization_id: int, timezone: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.organization_id = organization_id
        periods = [(one.value, words.capitalize()) for one, words in PER.items()]
        self.fields["period"] = forms.ChoiceField(choices=periods, initial=Period.MONTH)
        each = [("", "One for all together"), *((kind, f"Each {kind}") for kind in EACH)]
        self.fields["each"] = forms.ChoiceField(
            required=False, choices=each, label="For", help_text="Each has the whole limit to themselves."
        )
        self.fields["timezone"] = forms.CharField(
            max_length=60, label="Time zone", initial=timezone, help_text="Its midnight begins a period."
        )
        for kind in DIMENSIONS:
            self.fields[kind] = forms.CharField(
                required=False, max_length=20_000, widget=Offering(offers(organization_id, kind))
            )

    @property
    def scope_fields(self) -> list[Any]:
        return [self[kind] for kind in DIMENSIONS]

    def draft(self) -> Draft:
        """Raises OwnerUnknown and BudgetInvalid."""
        said = self.cleaned_data
        return Draft(
            **self.changes(),
            period=Period(said["period"]),
            each=said["each"],
            timezone=said["timezone"].strip(),
            scope={
                kind: values
                for kind in DIMENSIONS
                if (values := subjects(self.organization_id, kind, _parts(said[kind]), field=kind))
            },
        )


class SubjectForm(ActionForm):
    """Somebody of a cap: by short name, a key by its prefix, a word as it is."""

    def __init__(self, *args: Any, organization_id: int, each: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.organization_id, self.each = organization_id, each
        if each:
            self.fields["subject"] = forms.CharField(
                max_length=300, label=each.capitalize(), widget=Offering(offers(organization_id, each))
            )
            self.order_fields(["subject"])

    def subject(self) -> str:
        """Raises OwnerUnknown."""
        if not self.each:
            return ""
        [found] = subjects(self.organization_id, self.each, [self.cleaned_data["subject"].strip()], field="subject")
        return found


class ExceptionForm(SubjectForm):
    limit = AmountField(required=False, help_text="Empty: the cap does not concern them.")
    note = forms.CharField(required=False, max_length=2_000)


class TransferForm(SubjectForm):
    """From an account of this cap to one of another."""

    def __init__(self, *args: Any, others: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["target"] = forms.ChoiceField(choices=others, label="To")
        self.fields["to"] = forms.CharField(
            required=False, max_length=300, label="Whose",
            help_text="Where the other cap is for each of something: the short name.",
        )  # fmt: skip
        self.fields["amount"] = AmountField()
        self.fields["reason"] = forms.CharField(required=False, max_length=2_000)


class AskForm(ActionForm):
    """More for a while, of an account of one's own."""

    def __init__(self, *args: Any, accounts: list[tuple[str, str]], currency: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["account"] = forms.ChoiceField(choices=accounts, label="Of which cap")
        self.fields["amount"] = AmountField(label=f"How much more, {currency}")
        self.fields["expires_at"] = InstantField(
            label="Until", help_text="Empty: until the present period ends. Never longer than that."
        )
        self.fields["reason"] = forms.CharField(
            max_length=2_000, widget=forms.Textarea(attrs={"rows": 2}), help_text="Who decides reads this."
        )


def offers(organization_id: int, kind: str) -> list[tuple[str, str]]:
    """Short names to choose from; of keys and words there are none to offer."""
    lists: dict[str, Any] = {
        "team": orgs.teams, "person": orgs.people, "project": orgs.projects, "agent": orgs.agents,
        "customer": orgs.customers,
    }  # fmt: skip
    return list(lists[kind](organization_id).values_list("slug", "name")[:OFFERED]) if kind in lists else []


def subjects(organization_id: int, kind: str, words: Iterable[str], *, field: str) -> tuple[str, ...]:
    """Words as budgets keep them: ids of owners as text, `0` for nobody; other words as they are. Raises OwnerUnknown
    and BudgetInvalid.
    """
    asked = list(words)
    if any("\0" in word for word in asked):
        raise BudgetInvalid("a name has no null character", field=field)
    if kind not in OWNERS:
        return tuple("-" if word == NOBODY and field == "subject" else word for word in asked)
    nobody = ["0"] if NOBODY in asked else []
    found = ids(organization_id, kind, [word for word in asked if word != NOBODY], field=field)
    return (*nobody, *(str(one) for one in found))


def _models(text: str) -> tuple[tuple[str, str], ...]:
    """`provider/model` by lines or commas; a model's own name may have a slash too."""
    found = [part.partition("/") for part in _parts(text)]
    return tuple((provider.strip(), model.strip()) for provider, _, model in found)


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.replace("\n", ",").split(",") if part.strip()]
