"""Shared costs: how they are split, what a new split would move before it is saved, and the job that splits a month."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dashboards import periods
from dashboards.access import Here, page, show
from dashboards.actions import form_page, posted
from dashboards.forms import ActionForm
from dashboards.panels.bar import address
from dashboards.periods import NamedPeriod
from finops.attribution import selectors, services
from finops.attribution.api.references import ids
from finops.attribution.models import SharedCostRule
from finops.attribution.services.shared import POOL_IDS, POOL_WORDS, SplitInvalid
from finops.attribution.types import DIMENSIONS, Method, SharedCost, SharedCostDraft, WhenEmpty
from finops.core.errors import FinopsError, Forbidden
from finops.ingest.services import open_allocation, preview_shared_cost
from finops.ingest.services.preview_shared import SharedPreview
from finops.ingest.tasks import send
from finops.ledger import selectors as ledger
from finops.ledger.rules.periods import EARLIEST, LATEST
from finops.orgs.rules import OutOfReach, Permission, spend_filters

POOL_ROWS: Final = 3
SHARES_SHOWN: Final = 40
NOBODY: Final = "(none)"
METHODS: Final = {Method.EVEN: "Evenly", Method.USAGE: "In proportion to usage", Method.FIXED: "Fixed percentages"}
_MONTH: Final = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")


class MonthField(forms.CharField):
    """A month, as `2026-10`; cleans to its first day, or None."""

    def __init__(self, **options: Any) -> None:
        widget = forms.TextInput(attrs={"type": "month", "placeholder": "2026-10"})
        super().__init__(widget=widget, required=False, max_length=7, **options)

    def clean(self, value: Any) -> date | None:
        text = super().clean(value)
        if not text:
            return None
        found = _MONTH.fullmatch(text)
        if not found or not EARLIEST.year <= int(found[1]) < LATEST.year:
            raise forms.ValidationError("Write a month as 2026-10.")
        return date(int(found[1]), int(found[2]), 1)


class SharedCostForm(ActionForm):
    """A split as a person fills it in: the pool, among whom and how, and for which months."""

    name = forms.CharField(max_length=200)
    dimension = forms.ChoiceField(label="Among", choices=[(kind, f"{kind.capitalize()}s") for kind in DIMENSIONS])
    method = forms.ChoiceField(label="How", choices=[(str(one), words) for one, words in METHODS.items()])
    targets = forms.CharField(
        required=False,
        max_length=40_000,
        label="Who shares",
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="Short names, one a line; for fixed percentages each with its own, as “search 62.5”. Empty: everyone "
        "who is active.",
    )
    when_empty = forms.ChoiceField(
        label="When nobody used anything",
        choices=[(str(WhenEmpty.EVEN), "Split evenly"), (str(WhenEmpty.KEEP), "Leave it where it is")],
    )
    from_month = MonthField(label="First month", help_text="Empty: always has.")
    to_month = MonthField(label="First month not split any more", help_text="Empty: open.")

    def __init__(self, *args: Any, tags: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = [*POOL_IDS, *POOL_WORDS, *(f"tag:{key}" for key in tags)]
        for row in range(POOL_ROWS):
            first = "And one more" if row else "Choose one"
            self.fields[f"field{row}"] = forms.ChoiceField(
                required=False, choices=[("", first), *((name, _called(name)) for name in names)],
                label=f"Part {row + 1}: of what",
            )  # fmt: skip
            self.fields[f"values{row}"] = forms.CharField(
                required=False, max_length=40_000, label=f"Part {row + 1}: values, one a line",
                widget=forms.Textarea(attrs={"rows": 2}),
            )  # fmt: skip

    @property
    def pool_rows(self) -> list[tuple[Any, Any]]:
        return [(self[f"field{row}"], self[f"values{row}"]) for row in range(POOL_ROWS)]

    def draft(self, organization_id: int) -> SharedCostDraft:
        """Raises OwnerUnknown, SplitInvalid and PoolInvalid."""
        said = self.cleaned_data
        method = Method(said["method"])
        targets, percentages = _targets(organization_id, said["dimension"], said["targets"], method)
        return SharedCostDraft(
            pool={
                said[f"field{row}"]: _values(organization_id, said[f"field{row}"], _lines(said[f"values{row}"]))
                for row in range(POOL_ROWS)
                if said[f"field{row}"]
            },
            method=method,
            dimension=said["dimension"],
            targets=targets,
            percentages=percentages,
            when_empty=WhenEmpty(said["when_empty"]),
            from_month=said["from_month"],
            to_month=said["to_month"],
        )


def _called(name: str) -> str:
    return f"Tag {name[4:]}" if name.startswith("tag:") else name.replace("_", " ").capitalize()


def _lines(text: str) -> list[str]:
    return [part.strip() for part in text.splitlines() if part.strip()]


def _values(organization_id: int, name: str, words: list[str]) -> tuple[int | str, ...]:
    if name not in POOL_IDS:
        return tuple(words)
    nobody = [0] if NOBODY in words else []
    return (*nobody, *ids(organization_id, name, [word for word in words if word != NOBODY], field="values"))


def _targets(
    organization_id: int, dimension: str, text: str, method: Method
) -> tuple[tuple[int, ...], dict[int, Decimal]]:
    lines = _lines(text)
    if method is not Method.FIXED:
        return tuple(ids(organization_id, dimension, lines, field="targets")), {}
    words, parts = [], []
    for line in lines:
        word, _, part = line.partition(" ")
        words.append(word)
        try:
            parts.append(Decimal(part.strip().removesuffix("%").strip()))
        except InvalidOperation:
            raise SplitInvalid(f"{line[:80]!r} has no percentage: write a name and a number", field="targets") from None
    return (), dict(zip(ids(organization_id, dimension, words, field="targets"), parts, strict=True))


@dataclass(frozen=True, slots=True)
class Told:
    """A preview in names and figures, in the reporting currency."""

    period: NamedPeriod
    pool: Decimal
    moved: Decimal
    stays: Decimal
    shares: tuple[tuple[str, Decimal], ...]
    more: int
    dimension: str


@dataclass(frozen=True, slots=True)
class Row:
    """A rule as its newest version says it, in words."""

    rule: SharedCostRule
    cost: SharedCost
    pool: tuple[tuple[str, str], ...]
    method: str
    targets: tuple[str, ...]


@require_safe
@page("shared", Permission.ORG_READ)
def shared(request: HttpRequest, here: Here) -> HttpResponse:
    retired = request.GET.get("retired") == "1"
    context = {
        "rows": _rows(here, list(selectors.shared_cost_rules(here.id, retired=retired))),
        "retired": retired,
        "may": here.caller.can(Permission.ATTRIBUTION_MANAGE),
        "may_run": here.caller.can(Permission.JOBS_RUN),
        "months": periods.months_back(here.now.date(), 12),
        "last_month": _last_month(here),
    }
    return show(request, here, "shared", "pages/shared.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@page("shared", Permission.ATTRIBUTION_MANAGE)
def add(request: HttpRequest, here: Here) -> HttpResponse:
    """The first press tells what a month's split would move; only the second saves."""
    form = SharedCostForm(posted(request), tags=[tag.key for tag in selectors.promoted_tags(here.id)])
    month = _month(here, request.POST.get("month", "") or _last_month(here))
    told: Told | None = None
    if form.is_bound and form.is_valid():
        try:
            name, draft = form.cleaned_data["name"], form.draft(here.id)
            if request.POST.get("act") == "save":
                services.add_shared_cost_rule(
                    organization_id=here.id, name=name, draft=draft, by=here.caller.actor, at=here.now
                )
                messages.success(request, "The split is saved. Nothing is booked before a month is split.")
                return redirect(address(here, "shared"))
            whole_organization(here, draft.dimension)
            found = preview_shared_cost(organization_id=here.id, name=name, draft=draft, month=month.first, at=here.now)
            told = _told(here, month, draft.dimension, found)
        except Forbidden:
            raise
        except FinopsError as error:
            form.take(error)
    context = {
        "form": form,
        "told": told,
        "month": month.token,
        "months": periods.months_back(here.now.date(), 12),
        "back": address(here, "shared"),
        "nobody": NOBODY,
    }
    return show(request, here, "shared", "pages/shared_new.html", context, status=422 if form.errors else 200)


class EndForm(ActionForm):
    retired_from = MonthField(label="First month not split any more", help_text="Empty: this month.")


@require_http_methods(["GET", "HEAD", "POST"])
@page("shared", Permission.ATTRIBUTION_MANAGE)
def end(request: HttpRequest, here: Here, shared_cost_id: int) -> HttpResponse:
    row = selectors.shared_cost_rule(here.id, shared_cost_id)
    return form_page(
        request,
        here,
        "shared",
        EndForm(posted(request)),
        lambda said: services.retire_shared_cost_rule(
            organization_id=here.id,
            rule_id=row.id,
            retired_from=said["retired_from"],
            by=here.caller.actor,
            at=here.now,
        ),
        title=f"End {row.name}",
        lead="Months before stay split as they were. A month from then on that was split already is undone when it is "
        "split again.",
        submit="End it",
        back=("Shared costs", address(here, "shared")),
        done="It is ended.",
        danger=True,
    )


@require_POST
@page("shared", Permission.JOBS_RUN)
def split(request: HttpRequest, here: Here) -> HttpResponse:
    """Opens the job that splits a month by the rules as they stand."""
    whole_organization(here)
    period = _month(here, request.POST.get("month", ""))
    send(open_allocation(organization_id=here.id, month=period.first, by=here.caller.actor, at=here.now))
    messages.success(request, f"The shared costs of {period.label} are being split. This page shows how far it is.")
    return redirect(address(here, "jobs"))


def whole_organization(here: Here, *grouped: str) -> None:
    """Raises OutOfReach for a caller who reaches a part only, or not the people it would be told by."""
    if reach := spend_filters(here.caller, group_by=grouped):
        name = min(reach)
        raise OutOfReach(f"This is about the whole organization, and you are bound to a {name}.", field=name)


def _month(here: Here, token: str) -> NamedPeriod:
    if not _MONTH.fullmatch(token):
        raise periods.PeriodUnclear("A month is split, written as 2026-10.", field="month")
    return periods.parse(token, today=here.now.date())


def _last_month(here: Here) -> str:
    return f"{here.now.date().replace(day=1) - timedelta(days=1):%Y-%m}"


def _rows(here: Here, rules: list[SharedCostRule]) -> list[Row]:
    """Names are read with one question per kind, however many rules."""
    costs = [(rule, selectors.as_shared_cost(rule, rule.versions.all()[0])) for rule in rules]
    wanted: dict[str, set[int]] = {}
    for _, cost in costs:
        wanted.setdefault(cost.dimension, set()).update(cost.targets, cost.percentages)
        for name, values in cost.pool.items():
            if name in POOL_IDS:
                wanted.setdefault(name, set()).update(value for value in values if isinstance(value, int))
    called = {kind: ledger.labels(here.id, kind, several) for kind, several in wanted.items()}

    def word(kind: str, value: int | str) -> str:
        return called[kind].get(value, f"#{value}") if isinstance(value, int) else value

    return [
        Row(
            rule=rule,
            cost=cost,
            pool=tuple((_called(name), ", ".join(word(name, one) for one in cost.pool[name])) for name in cost.pool),
            method=METHODS[cost.method],
            targets=tuple(
                [f"{word(cost.dimension, one)} {part:f}\u202f%" for one, part in cost.percentages.items()]
                or [word(cost.dimension, one) for one in cost.targets]
            ),
        )
        for rule, cost in costs
    ]


def _told(here: Here, period: NamedPeriod, dimension: str, found: SharedPreview) -> Told:
    shown = found.shares[:SHARES_SHOWN]
    called = ledger.labels(here.id, dimension, [target for target, _ in shown])
    return Told(
        period=period,
        pool=found.pool,
        moved=found.moved,
        stays=found.pool - found.moved,
        shares=tuple((called.get(target, f"#{target}"), amount) for target, amount in shown),
        more=len(found.shares) - len(shown),
        dimension=dimension,
    )
