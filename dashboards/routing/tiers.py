"""The page of tiers in words and plots: what went where, day by day, and the forms of what might have been."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any, Final

from django import forms

from dashboards.charts.as_plotly import as_plotly
from dashboards.charts.as_svg import as_svg
from dashboards.charts.spec import ChartSpec, Series
from dashboards.forms import ActionForm, Offering
from dashboards.panels.trend import Trend
from dashboards.templatetags.figures import money, percent
from finops.core.periods import DayRange
from routing.bills import rules
from routing.bills.types import Change, Drop, Move, Need, Offer, Plan, Reprice, Shares, Slice
from routing.tiers.types import Tier

NEEDS: Final = {Need.NEEDS: "needs it", Need.DOES_NOT: "does not", Need.UNKNOWN: "nobody knows"}
TONES: Final = {Need.NEEDS: "info", Need.DOES_NOT: "good", Need.UNKNOWN: "warn"}
ALL_TYPES: Final = "*"


def part_of(slices: tuple[Slice, ...], key: str) -> Slice:
    return next(one for one in slices if one.key == key)


def daily(shares: Shares, days: DayRange, currency: str, *, today: date) -> Trend | None:
    """Spend by tier and day; None where nothing was spent."""
    if not shares.spend:
        return None
    known = {one.day: one.spend for one in shares.days}
    last = min(days.end.toordinal(), today.toordinal() + 1)
    buckets = tuple(date.fromordinal(number) for number in range(days.start.toordinal(), last))
    nothing = (Decimal(0),) * len(shares.tiers)
    series = tuple(
        Series(one.title, place + 1 if one.key else 0, tuple(known.get(day, nothing)[place] for day in buckets))
        for place, one in enumerate(shares.tiers)
    )
    frontier = part_of(shares.tiers, Tier.FRONTIER)
    spec = ChartSpec(
        key="tiers",
        caption=(
            f"{percent(frontier.spend_share)} of {money(shares.spend, currency)} went to frontier models:"
            f" {money(frontier.spend, currency)}, for {percent(frontier.call_share)} of calls."
        ),
        currency=currency,
        buckets=buckets,
        bucket_names=tuple(f"{day.day} {day:%b}" for day in buckets),
        series=series,
        incomplete=today in days,
    )
    return Trend(spec, as_svg(spec), {**as_plotly(spec), "element": f"chart-{spec.key}"})


def _percents(label: str, **options: Any) -> forms.DecimalField:
    return forms.DecimalField(
        label=label, max_digits=8, decimal_places=2, required=False, initial=0, min_value=rules.LEAST_PERCENT,
        max_value=rules.MOST_PERCENT, **options,
    )  # fmt: skip


class WhatIfForm(ActionForm):
    """One change, asked in the address: nothing is changed by asking."""

    def __init__(self, data: Any, shares: Shares, offered: list[str]) -> None:
        super().__init__(data)
        used = [one.known.model for one in shares.models]
        types = [one.task_type for one in shares.types if one.task_type]
        lists = {
            "model": [(one, one) for one in dict.fromkeys(used)],
            "vendor": [(one.key, one.title) for one in shares.vendors if one.key],
            "task_type": [(ALL_TYPES, "All of them"), *((one, one) for one in types)],
        }
        for name, choices in lists.items():
            if name in self.fields:
                self.fields[name].choices = choices  # type: ignore[attr-defined]
        for name in ("to", "otherwise"):
            if name in self.fields:
                self.fields[name].widget = Offering([(one, one) for one in offered])

    def change(self) -> Change:
        """What was asked, once the form is valid."""
        raise NotImplementedError


class MoveForm(WhatIfForm):
    model = forms.ChoiceField(label="Calls of")
    to = forms.CharField(label="Would have gone to", max_length=rules.LONGEST_NAME, help_text="A model by its name.")
    task_type = forms.ChoiceField(label="Of the task type", required=False)

    def change(self) -> Change:
        said = self.cleaned_data
        task_type = said["task_type"] if said["task_type"] not in ("", ALL_TYPES) else None
        return Move(model=said["model"], to=Offer(model=said["to"]), task_type=task_type)


class PriceForm(WhatIfForm):
    model = forms.ChoiceField(label="Prices of")
    read = _percents("Percent more for what is read", help_text="-20 is a fifth less.")
    cached = _percents("From a cache")
    written = _percents("For what is written")

    def change(self) -> Change:
        said = self.cleaned_data
        read, cached, written = (said[name] or Decimal(0) for name in ("read", "cached", "written"))
        return Reprice(model=said["model"], read=read, cached=cached, written=written)


class DropForm(WhatIfForm):
    vendor = forms.ChoiceField(label="Without the maker")
    otherwise = forms.CharField(
        label="Its calls would have gone to", max_length=rules.LONGEST_NAME, help_text="A model by its name."
    )

    def change(self) -> Change:
        said = self.cleaned_data
        return Drop(vendor=said["vendor"], otherwise=Offer(model=said["otherwise"]))


class PlanForm(WhatIfForm):
    vendor = forms.ChoiceField(label="A plan with the maker")
    fee = forms.DecimalField(label="Fee for the month", min_value=0, max_value=rules.MOST_FEE, decimal_places=2)
    percent = forms.DecimalField(label="Percent off", min_value=0, max_value=rules.MOST_DISCOUNT, decimal_places=2)

    def change(self) -> Change:
        said = self.cleaned_data
        return Plan(fee=said["fee"], percent=said["percent"], vendor=said["vendor"])


FORMS: Final[dict[str, type[WhatIfForm]]] = {"move": MoveForm, "price": PriceForm, "drop": DropForm, "plan": PlanForm}
KINDS: Final = {"move": "Another model", "price": "Another price", "drop": "Without a maker", "plan": "A plan"}
