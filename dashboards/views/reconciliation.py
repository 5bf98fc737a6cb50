"""Reconciliation: what was billed, what was seen, what nobody saw; and the rules it is counted by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django import forms
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from rest_framework.request import Request

from dashboards.access import Here, page, show
from dashboards.actions import act, form_page, posted
from dashboards.forms import ActionForm, DayField
from dashboards.panels import tied
from dashboards.panels.bar import address, bar
from dashboards.panels.tied import Lines, Shown
from dashboards.scope import Scope, ScopeUnclear
from dashboards.views.spend import linker, pushed, scope_of
from finops.api import paging
from finops.orgs.rules import Permission
from finops.reconciliation import selectors, services
from finops.reconciliation.counting import Counting
from finops.reconciliation.models import MOST_HOURS, CountingRule, ReconciledDay
from finops.reconciliation.tasks import send
from finops.reconciliation.types import Total

# Days waiting that are named; of more it is said how many.
NAMED: Final = 5
LEVELS: Final = {
    CountingRule.Level.BILLED: "What was billed is the money",
    CountingRule.Level.METERED: "What calls come to is the money",
    CountingRule.Level.REPEATED: "Another bill says the same; this one counts for nothing",
}
_State = ReconciledDay.State
STATES: Final = {
    _State.TIED: ("Tied", "good"),
    _State.COMPARED: ("Compared", "info"),
    _State.CURRENCIES: ("Currencies differ", "warn"),
}


class CountingRuleForm(ActionForm):
    level = forms.ChoiceField(
        label="What counts as money", choices=[(one.value, words) for one, words in LEVELS.items()]
    )
    since = DayField(label="From", help_text="The first day that is counted so. Days before it are as calls come to.")
    until = DayField(
        required=False, label="Until before", help_text="The first day that is not counted so any more. Empty: none."
    )
    whole = forms.BooleanField(
        required=False,
        label="The bill is all there is to pay",
        help_text="Calls of a model that is not on the bill then cost nothing. Otherwise they keep what they stand at.",
    )
    after_hours = forms.IntegerField(
        min_value=0, max_value=MOST_HOURS, label="Hours to wait",
        help_text="A day is compared when it has been over for so long: reports of a day come in parts.",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """A provider's total with the addresses of the charges behind it; '' where there is nothing to see."""

    total: Total
    shown: Shown
    unseen: str = ""
    nobodys: str = ""

    @property
    def waiting(self) -> str:
        named = ", ".join(f"{day.day} {day:%b}" for day in self.total.waiting[-NAMED:])
        more = len(self.total.waiting) - NAMED
        return f"{named} and {more} before" if more > 0 else named


@require_safe
@page("reconciliation", Permission.AUDIT_READ)
def reconciliation(request: HttpRequest, here: Here) -> HttpResponse:
    scope = scope_of(request, here)
    scope = scope.with_(group=(), compare=True, grain_given=False)
    provider = _provider(here, scope)
    period = scope.period.days
    countings = {one.provider: one for one in selectors.countings(here.id)}
    found = selectors.totals(here.id, period, at=here.now)
    totals = [one for one in found if provider is None or one.provider == provider]
    lines = tied.lines(here, scope, countings)
    compared = selectors.by_day(here.id, period, provider=provider or "")
    currencies = sorted({row.currency for row in compared})
    days = paging.page(
        selectors.days(here.id, provider=provider or "", period=period), Request(request),
        order=("-day", "provider", "id"),
    )  # fmt: skip
    base = linker(here, "reconciliation")(scope)
    context = {
        "scope": scope,
        "bar": bar(here, scope, "reconciliation", with_compare=False, only=("provider",)),
        "rows": [_row(one, countings, lines) for one in totals],
        "tiles": [(one, tied.shown(one)) for one in (_sum(totals, currency) for currency in currencies)],
        "charts": [tied.chart(compared, currency, scope) for currency in currencies],
        "days": [_day(one, countings, lines) for one in days.rows],
        "first": base if request.GET.get("cursor") else "",
        "next": f"{base}&cursor={days.next_cursor}" if days.next_cursor else "",
        "rules": [(rule, LEVELS[CountingRule.Level(rule.level)]) for one in countings.values() for rule in one.rules],
        "sources": address(here, "sources"),
        "may_change": here.caller.can(Permission.SOURCES_MANAGE),
        "may_run": here.caller.can(Permission.JOBS_RUN),
    }
    return pushed(show(request, here, "reconciliation", "pages/reconciliation.html", context), base)


def _provider(here: Here, scope: Scope) -> str | None:
    """The one that is asked about; None: all. A bill says nothing of teams and people."""
    others = sorted(set(scope.filters) - {"provider"})
    if others:
        raise ScopeUnclear("A bill can be asked about by provider only.", field=others[0])
    asked = scope.filters.get("provider")
    if asked is None:
        return None
    if len(asked) > 1:
        raise ScopeUnclear("Ask about one provider, or about all.", field="provider")
    return here.reader.names(scope, "provider", asked)[next(iter(asked))]


def _row(total: Total, countings: Mapping[str, Counting], lines: Lines) -> Row:
    counting = countings.get(total.provider)
    if counting is None:
        return Row(total, tied.shown(total))
    return Row(
        total,
        tied.shown(total),
        lines.unseen(counting) if total.unseen else "",
        lines.nobodys(counting) if total.unattributed else "",
    )


def _sum(totals: list[Total], currency: str) -> Total:
    """Of all providers, in one currency."""
    of = [one for one in totals if one.currency == currency]
    names = ("billed", "seen", "unseen", "unattributed")
    return Total("", currency, **{name: sum(getattr(one, name) for one in of) for name in names})


def _day(row: ReconciledDay, countings: Mapping[str, Counting], lines: Lines) -> dict[str, Any]:
    counting = countings.get(row.provider)
    told = row.state != _State.CURRENCIES
    state, tone = STATES[_State(row.state)]
    return {
        "row": row,
        "told": told,
        "shown": tied.shown(row),
        "corrected": row.billed - row.seen - row.unseen,
        "state": state,
        "tone": tone,
        "nobodys": lines.nobodys(counting, row.day) if counting and row.unattributed and told else "",
    }


@require_POST
@page("reconciliation", Permission.JOBS_RUN)
def run(request: HttpRequest, here: Here) -> HttpResponse:
    return act(
        request,
        lambda: send(here.id),
        done="What came or changed is compared now; this page shows it within a minute.",
        to=address(here, "reconciliation"),
    )


@require_http_methods(["GET", "HEAD", "POST"])
@page("reconciliation", Permission.SOURCES_MANAGE)
def counting_rule(request: HttpRequest, here: Here, counting_rule_id: int) -> HttpResponse:
    rule = selectors.rule(here.id, counting_rule_id)
    told = {name: getattr(rule, name) for name in ("level", "since", "until", "whole", "after_hours")}
    form = CountingRuleForm(posted(request), initial=told)

    def save(said: dict[str, Any]) -> None:
        services.change_rule(organization_id=here.id, rule_id=rule.id, **said, by=here.caller.actor, at=here.now)
        send(here.id)

    return form_page(
        request, here, "reconciliation", form, save,
        title=f"How {rule.source.name} counts for {rule.provider}", submit="Save the rule",
        back=("Reconciliation", address(here, "reconciliation")),
        done="The rule is changed; the days it is about are made anew within minutes.",
        lead="No charge is changed. What was added to meet a bill is added otherwise, or undone, by further charges.",
    )  # fmt: skip
