"""Attribution rules: the order they are asked in, and what a draft would move before anybody saves it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dashboards import periods, reading
from dashboards.access import Here, page, show
from dashboards.actions import act, posted
from dashboards.forms import ActionForm, InstantField, OwnerField
from dashboards.panels.bar import address
from dashboards.periods import NamedPeriod
from dashboards.scope import Scope
from finops.attribution import selectors, services
from finops.attribution.models import AttributionRule
from finops.attribution.rules.conditions import FIELDS, MAX_CONDITIONS
from finops.attribution.types import DIMENSIONS, Assignment, Condition, Operator, Preview, RuleDraft, RuleVersion
from finops.core.errors import FinopsError, Forbidden, NotFound
from finops.core.money import from_pico
from finops.ingest.services import REATTRIBUTE, open_rework, preview_rule
from finops.ingest.tasks import send
from finops.orgs.rules import Permission

CONDITION_ROWS = 5
SPARE_ROWS = 2
MOVES_SHOWN = 12
_OPERATORS = {
    Operator.IS: "is",
    Operator.IS_NOT: "is not",
    Operator.ONE_OF: "is one of",
    Operator.STARTS_WITH: "starts with",
    Operator.ENDS_WITH: "ends with",
    Operator.CONTAINS: "contains",
    Operator.MATCHES: "matches the pattern",
    Operator.EXISTS: "is there",
    Operator.ABSENT: "is not there",
}
_FIELD_HINT = "tag:env, identity:email or one of: " + ", ".join(FIELDS)


class RuleForm(ActionForm):
    """A rule as a person fills it in: its conditions and two more, what it sets, and when it holds."""

    name = forms.CharField(max_length=200)

    def __init__(self, *args: Any, organization_id: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.rows = self._rows()
        for row in range(self.rows):
            self.fields[f"field{row}"] = forms.CharField(
                required=False, max_length=220, label=f"Condition {row + 1}: field",
                widget=forms.TextInput(attrs={"list": "condition-fields", "autocomplete": "off"}),
            )  # fmt: skip
            self.fields[f"operator{row}"] = forms.ChoiceField(
                required=False, choices=[(str(one), words) for one, words in _OPERATORS.items()],
                label=f"Condition {row + 1}: how",
            )  # fmt: skip
            self.fields[f"values{row}"] = forms.CharField(
                required=False, max_length=20_000, label=f"Condition {row + 1}: values, one a line",
                widget=forms.Textarea(attrs={"rows": _lines(self.initial.get(f"values{row}", ""))}),
            )  # fmt: skip
        for kind in DIMENSIONS:
            self.fields[kind] = OwnerField(organization_id, kind)
        self.fields["task_type"] = forms.CharField(required=False, max_length=60, label="Task type")
        self.fields["override"] = forms.BooleanField(
            required=False, label="Overrule what the call, its key or an identity already said",
        )  # fmt: skip
        self.fields["active_from"] = InstantField(label="Holds from", help_text="Empty: always has.")
        self.fields["active_to"] = InstantField(label="Holds until", help_text="Empty: open.")

    def _rows(self) -> int:
        """As many as the rule has or the browser sent, and some to spare: a condition with no row would be lost."""
        kept = sum(name.startswith("field") for name in self.initial)
        sent = [int(name[5:]) for name in self.data if re.fullmatch(r"field[0-9]{1,3}", name)]
        return min(max(CONDITION_ROWS, kept + SPARE_ROWS, 1 + max(sent, default=0)), MAX_CONDITIONS + SPARE_ROWS)

    def _instant(self, name: str) -> datetime | None:
        """The day as typed; where it is the day it was before, the very instant, which the field does not show."""
        said: datetime | None = self.cleaned_data[name]
        before: datetime | None = self.initial.get(name)
        return before if said and before and said.date() == before.date() else said

    def draft(self) -> RuleDraft:
        said = self.cleaned_data
        return RuleDraft(
            conditions=tuple(
                Condition(said[f"field{row}"].strip(), Operator(said[f"operator{row}"]), _values(said, row))
                for row in range(self.rows)
                if said[f"field{row}"].strip()
            ),
            assignment=Assignment({kind: said[kind] for kind in DIMENSIONS if said[kind]}, said["task_type"].strip()),
            override=said["override"],
            active_from=self._instant("active_from"),
            active_to=self._instant("active_to"),
        )

    @property
    def condition_rows(self) -> list[tuple[Any, Any, Any]]:
        return [(self[f"field{row}"], self[f"operator{row}"], self[f"values{row}"]) for row in range(self.rows)]

    @property
    def owner_fields(self) -> list[Any]:
        return [self[kind] for kind in (*DIMENSIONS, "task_type")]


def _values(said: dict[str, Any], row: int) -> tuple[str, ...]:
    """One value as it stands, several one a line where the operator takes several."""
    text, operator = said[f"values{row}"].strip(), Operator(said[f"operator{row}"])
    if not text or operator in {Operator.EXISTS, Operator.ABSENT}:
        return ()
    if operator in {Operator.ONE_OF, Operator.STARTS_WITH, Operator.ENDS_WITH, Operator.CONTAINS}:
        return tuple(part.strip() for part in text.splitlines() if part.strip())
    return (text,)


def _lines(text: str) -> int:
    return min(max(text.count("\n") + 1, 1), 12)


@dataclass(frozen=True, slots=True)
class MoveLine:
    """Charges that would change hands alike: from what to what, how many, how much."""

    changes: tuple[tuple[str, str, str], ...]
    charges: int
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Told:
    """A preview in words and figures, in the reporting currency."""

    period: NamedPeriod
    seen: int
    moved: int
    amount: Decimal
    lines: tuple[MoveLine, ...]
    more: int


@require_safe
@page("rules", Permission.ATTRIBUTION_MANAGE)
def rules(request: HttpRequest, here: Here) -> HttpResponse:
    rows = list(selectors.rules(here.id, retired=request.GET.get("retired") == "1"))
    versions = [selectors.as_rule(row).versions[0] for row in rows]
    context = {
        "rows": list(zip(rows, versions, _assigned(here, versions), strict=True)),
        "operators": _OPERATORS,
        "months": periods.months_back(here.now.date(), 12),
        "retired": request.GET.get("retired") == "1",
        "may_run": here.caller.can(Permission.JOBS_RUN),
        "last": sum(row.archived_at is None for row in rows),
    }
    return show(request, here, "rules", "pages/rules.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@page("rules", Permission.ATTRIBUTION_MANAGE)
def edit(request: HttpRequest, here: Here, rule_id: int | None = None) -> HttpResponse:
    """A new rule, or a rule's next version. The first press tells what it would move; only the second saves."""
    row = selectors.rule(here.id, rule_id) if rule_id else None
    form = RuleForm(posted(request), organization_id=here.id, initial=_initial(here, row))
    month = periods.parse(request.POST.get("month", "") or _last_month(here), today=here.now.date())
    told: Told | None = None
    if form.is_bound and form.is_valid():
        try:
            if request.POST.get("act") == "save":
                _save(here, row, form, request.POST.get("number", ""))
                messages.success(
                    request, "The rule is saved. It decides for calls from now on; see below for the past."
                )
                return redirect(address(here, "rules"))
            preview = preview_rule(organization_id=here.id, draft=form.draft(), period=month.days, rule_id=rule_id)
            told = _told(here, month, preview)
        except (NotFound, Forbidden):
            raise
        except FinopsError as error:
            form.take(error)
    context = {
        "form": form,
        "rule": row,
        "number": selectors.as_rule(row).versions[0].number if row else "",
        "told": told,
        "month": month.token,
        "months": periods.months_back(here.now.date(), 12),
        "back": address(here, "rules"),
        "fields": FIELDS,
        "hint": _FIELD_HINT,
    }
    return show(request, here, "rules", "pages/rule.html", context, status=422 if form.errors else 200)


@require_POST
@page("rules", Permission.ATTRIBUTION_MANAGE)
def move(request: HttpRequest, here: Here, rule_id: int) -> HttpResponse:
    row = selectors.rule(here.id, rule_id)
    position = max(row.place + (-1 if request.POST.get("way") == "up" else 1), 1)
    return act(
        request,
        lambda: services.move_rule(
            organization_id=here.id, rule_id=rule_id, position=position, by=here.caller.actor, at=here.now
        ),
        done="The order is changed.",
        to=address(here, "rules"),
    )


@require_POST
@page("rules", Permission.ATTRIBUTION_MANAGE)
def retire(request: HttpRequest, here: Here, rule_id: int) -> HttpResponse:
    return act(
        request,
        lambda: services.retire_rule(organization_id=here.id, rule_id=rule_id, by=here.caller.actor, at=here.now),
        done="The rule is retired. What it decided stays.",
        to=address(here, "rules"),
    )


@require_POST
@page("rules", Permission.JOBS_RUN)
def reattribute(request: HttpRequest, here: Here) -> HttpResponse:
    """Opens the job that attributes a month again by the rules as they stand."""
    period = periods.parse(request.POST.get("month", ""), today=here.now.date())
    send(open_rework(organization_id=here.id, kind=REATTRIBUTE, period=period.days, by=here.caller.actor, at=here.now))
    messages.success(request, f"{period.label} is being attributed again. This page shows how far it is.")
    return redirect(address(here, "jobs"))


def _last_month(here: Here) -> str:
    return f"{here.now.date().replace(day=1) - timedelta(days=1):%Y-%m}"


def _save(here: Here, row: AttributionRule | None, form: RuleForm, number: str) -> None:
    by, at = here.caller.actor, here.now
    if row is None:
        services.create_rule(organization_id=here.id, name=form.cleaned_data["name"], draft=form.draft(), by=by, at=at)
        return
    services.change_rule(
        organization_id=here.id,
        rule_id=row.id,
        name=form.cleaned_data["name"],
        draft=form.draft(),
        # Somebody else's change meanwhile is not overwritten unseen.
        expected_number=int(number) if number.isascii() and number.isdigit() and len(number) < 9 else None,
        by=by,
        at=at,
    )


def _initial(here: Here, row: AttributionRule | None) -> dict[str, Any]:
    if row is None:
        return {}
    version = selectors.as_rule(row).versions[0]
    found: dict[str, Any] = {"name": row.name, "override": version.override, "task_type": version.assignment.task_type}
    for place, condition in enumerate(version.conditions):
        found |= {
            f"field{place}": condition.field,
            f"operator{place}": str(condition.operator),
            f"values{place}": "\n".join(condition.values),
        }
    found |= {kind: reading.slug_of(here.id, kind, owner) for kind, owner in version.assignment.owners.items()}
    for name in ("active_from", "active_to"):
        found[name] = getattr(version, name)
    return found


def _assigned(here: Here, versions: list[RuleVersion]) -> list[list[tuple[str, str]]]:
    """What each rule sets, in words: one question per kind of owner, however many rules."""
    wanted: dict[str, set[int]] = {}
    for version in versions:
        for kind, owner in version.assignment.owners.items():
            wanted.setdefault(kind, set()).add(owner)
    called = {kind: reading.owner_names(here.id, kind, ids) for kind, ids in wanted.items()}
    found = []
    for version in versions:
        words = [(kind, called[kind].get(owner, f"#{owner}")) for kind, owner in version.assignment.owners.items()]
        found.append([*words, ("task type", version.assignment.task_type)] if version.assignment.task_type else words)
    return found


def _told(here: Here, period: NamedPeriod, preview: Preview) -> Told:
    scope = Scope(period, reading.dimensions(here.caller))
    ids: dict[str, set[int]] = {}
    for moved in preview.moves[:MOVES_SHOWN]:
        for change in moved.changes:
            if change.dimension in scope.dimensions:
                ids.setdefault(change.dimension, set()).update(
                    one for one in (change.before, change.after) if isinstance(one, int)
                )
    called = {name: here.reader.names(scope, name, several) for name, several in ids.items()}

    def word(dimension: str, value: int | str) -> str:
        return called.get(dimension, {}).get(value, str(value)) if isinstance(value, int) else value or "none"

    return Told(
        period=period,
        seen=preview.charges_seen,
        moved=preview.charges_moved,
        amount=from_pico(preview.pico.get(here.currency, 0)),
        lines=tuple(
            MoveLine(
                tuple(
                    (
                        change.dimension.replace("_", " "),
                        word(change.dimension, change.before),
                        word(change.dimension, change.after),
                    )
                    for change in moved.changes
                ),
                moved.charges,
                from_pico(moved.pico.get(here.currency, 0)),
            )
            for moved in preview.moves[:MOVES_SHOWN]
        ),
        more=max(len(preview.moves) - MOVES_SHOWN, 0),
    )
