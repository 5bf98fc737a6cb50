"""Forms of plans of seats, and what each is worth in words."""

from __future__ import annotations

from dataclasses import fields
from decimal import Decimal
from typing import Any, Final

from django import forms

from dashboards.forms import ActionForm, DayField
from finops.connectors.seats import LONGEST_TERM
from finops.seats import selectors
from finops.seats.models import SeatPlan
from finops.seats.rules import LONGEST_NAME, MOST_SEATS, read_holder, write_holder
from finops.seats.types import HolderName, PlanDraft

_LONGEST_LIST: Final = 500_000
_TERMS: Final = ((1, "a month"), (3, "a quarter"), (6, "half a year"), (12, "a year"))
PROVIDERS: Final = ("anthropic", "cursor", "github-copilot", "google", "openai", "windsurf")


class HoldersField(forms.CharField):
    """One a line; cleans to holders, of which the services say what is wrong."""

    def __init__(self) -> None:
        super().__init__(
            required=False, max_length=_LONGEST_LIST, label="Who has a seat",
            widget=forms.Textarea(attrs={"rows": 6, "spellcheck": "false", "class": "mono"}),
            help_text="One a line: bob@acme.example, or github:octocat. Seats beyond these are nobody’s yet.",
        )  # fmt: skip

    def clean(self, value: Any) -> tuple[HolderName, ...]:
        lines = super().clean(value).replace(",", "\n").splitlines()
        return tuple(read_holder(line) for line in lines if line.strip())


class PlanForm(ActionForm):
    """A plan as `PlanDraft` has it."""

    name = forms.CharField(max_length=LONGEST_NAME, help_text="What it is called here: Claude Team, Cursor Business.")
    provider = forms.CharField(
        max_length=60, help_text="As its calls name it: " + ", ".join(PROVIDERS) + ", …"
    )  # fmt: skip
    seats = forms.IntegerField(min_value=1, max_value=MOST_SEATS, label="Seats")
    price = forms.DecimalField(
        min_value=0, max_digits=14, decimal_places=6, label="Price of a seat", help_text="For one term."
    )
    currency = forms.CharField(min_length=3, max_length=3, initial="USD")
    term_months = forms.IntegerField(
        min_value=1, max_value=LONGEST_TERM, initial=1, label="Months in a term", help_text="1, or 12 for a year."
    )
    start = DayField(label="From", help_text="The first day. Charges are booked from there up to today.")
    end = DayField(label="Until", required=False, help_text="The first day it is held no more; empty while it goes on.")
    holders = HoldersField()
    covers = forms.MultipleChoiceField(
        label="Calls that the seats pay for", required=False, widget=forms.CheckboxSelectMultiple,
        help_text="Calls of the holders that these sources tell of cost nothing; their list price stays beside them.",
    )  # fmt: skip
    included = forms.DecimalField(
        required=False, min_value=0, max_digits=14, decimal_places=6, label="Included use of a seat",
        help_text="What one seat includes in a term, in money, where the contract names it. It is shown, not counted.",
    )  # fmt: skip
    prorated = forms.BooleanField(required=False, initial=True, label="A term that is held in part is paid by the day")
    anchor = DayField(
        label="A term begins on", required=False, help_text="Where that is not the first day: the day of the invoice."
    )
    account = forms.CharField(
        required=False, max_length=200, label="Account", help_text="At the provider, where you have several."
    )

    def __init__(self, data: Any, *, organization_id: int, row: SeatPlan | None = None, **options: Any) -> None:
        super().__init__(data, **options)
        kept = () if row is None else selectors.drafted(row).covers
        offered = [(one.slug, one.name) for one in selectors.coverable(organization_id, kept=kept)]
        if offered:
            self.fields["covers"].choices = offered  # type: ignore[attr-defined]
        else:
            del self.fields["covers"]

    def said(self) -> dict[str, Any]:
        """As the services take it."""
        given = {one.name: self.cleaned_data[one.name] for one in fields(PlanDraft) if one.name in self.cleaned_data}
        # A field that is not there says nothing.
        return given | ({"covers": tuple(given["covers"])} if "covers" in given else {})


class ChangeForm(PlanForm):
    """What is agreed otherwise from a day on. The plan goes on until it ends, and its terms as they were."""

    since = DayField(label="From this day on", help_text="The plan ends there, and the one below begins.")

    def __init__(self, data: Any, *, organization_id: int, row: SeatPlan | None = None, **options: Any) -> None:
        super().__init__(data, organization_id=organization_id, row=row, **options)
        for name in ("start", "anchor"):
            del self.fields[name]
        self.order_fields(["since"])


def initial_of(row: SeatPlan) -> dict[str, Any]:
    """What a form of a plan says first."""
    told = selectors.drafted(row)
    given = {one.name: getattr(told, one.name) for one in fields(PlanDraft)}
    plain: dict[str, Any] = {name: _plain(given[name]) for name in ("price", "included")}
    lines = sorted(write_holder(kind, value) for kind, value in told.holders)
    # A term that begins where the plan does goes with it.
    plain["anchor"] = None if told.anchor == told.start else told.anchor
    return given | plain | {"holders": "\n".join(lines), "covers": list(told.covers)}


def _plain(amount: Decimal | None) -> str:
    return "" if amount is None else f"{amount.normalize():f}"


def term_words(months: int) -> str:
    """`a month`, `18 months`."""
    return dict(_TERMS).get(months, f"{months} months")
