"""What is listened for, and who is told."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dashboards.access import Here, page, show
from dashboards.actions import act, form_page, posted
from dashboards.alerts.forms import RuleForm, rule_initial
from dashboards.panels.bar import address
from finops.alerts import selectors
from finops.alerts.rules.kinds import PARAMS, meant
from finops.alerts.rules.words import KINDS
from finops.alerts.services import rules as services
from finops.alerts.types import SIGNALLED, Kind
from finops.budgets import selectors as budgets
from finops.core.errors import NotFound
from finops.orgs.rules import Permission


@require_safe
@page("alert_rules", Permission.ALERTS_READ)
def alert_rules(request: HttpRequest, here: Here) -> HttpResponse:
    names = dict(selectors.channels(here.id).values_list("id", "name"))
    context = {
        "rows": [
            {"rule": one, "kind": KINDS[one.kind], "says": _says(one.kind, one.params), "told": _told(one, names)}
            for one in selectors.rules(here.id)
        ],
        "kinds": [(one.value, KINDS[one]) for one in Kind],
        "channels": len(names),
        "may": here.caller.can(Permission.ALERTS_MANAGE),
    }
    return show(request, here, "alert_rules", "pages/alert_rules.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@page("alert_rules", Permission.ALERTS_MANAGE)
def add(request: HttpRequest, here: Here) -> HttpResponse:
    kind = request.GET.get("kind", Kind.THRESHOLD)
    if kind not in set(Kind):
        raise NotFound("There is no such kind of rule.")
    form = RuleForm(posted(request), kind=kind, initial={"name": KINDS[kind]}, **_choices(here))
    return form_page(
        request, here, "alert_rules", form,
        lambda _: services.add_rule(organization_id=here.id, draft=form.draft(), by=here.caller.actor, at=here.now),
        title=KINDS[kind], lead="What to listen for, and who is told.", submit="Make the rule",
        back=("Alert rules", address(here, "alert_rules")), done="The rule listens.",
    )  # fmt: skip


@require_http_methods(["GET", "HEAD", "POST"])
@page("alert_rules", Permission.ALERTS_MANAGE)
def edit(request: HttpRequest, here: Here, alert_rule_id: int) -> HttpResponse:
    row = selectors.rule(here.id, alert_rule_id)
    form = RuleForm(posted(request), kind=row.kind, initial=rule_initial(row), **_choices(here))
    return form_page(
        request, here, "alert_rules", form,
        lambda _: services.change_rule(
            organization_id=here.id, rule_id=row.id, changes=form.changes(), by=here.caller.actor, at=here.now
        ),
        title=row.name, lead=KINDS[row.kind], submit="Save", back=("Alert rules", address(here, "alert_rules")),
        done="The rule is saved.",
    )  # fmt: skip


@require_POST
@page("alert_rules", Permission.ALERTS_MANAGE)
def switch(request: HttpRequest, here: Here, alert_rule_id: int) -> HttpResponse:
    """On or off."""
    on = request.POST.get("enabled") == "on"
    return act(
        request,
        lambda: services.change_rule(
            organization_id=here.id, rule_id=alert_rule_id, changes={"enabled": on}, by=here.caller.actor, at=here.now
        ),
        done="The rule listens." if on else "The rule listens no more.",
        to=address(here, "alert_rules"),
    )


@require_POST
@page("alert_rules", Permission.ALERTS_MANAGE)
def archive(request: HttpRequest, here: Here, alert_rule_id: int) -> HttpResponse:
    return act(
        request,
        lambda: services.archive_rule(
            organization_id=here.id, rule_id=alert_rule_id, by=here.caller.actor, at=here.now
        ),
        done="The rule is archived.",
        to=address(here, "alert_rules"),
    )


def _choices(here: Here) -> dict[str, list[tuple[str, str]]]:
    return {
        "budgets": [(str(one.id), one.name) for one in budgets.budgets(here.id)[:200]],
        "channels": [(str(one.id), one.name) for one in selectors.channels(here.id)],
    }


def _told(rule: Any, names: dict[int, str]) -> str:
    if rule.every_channel:
        said = "every channel" if names else "nobody yet: there is no channel"
    else:
        said = ", ".join(names[one] for one in rule.channel_ids if one in names) or "nobody; seen here"
    return f"{said}, in digests" if rule.digest else said


def _says(kind: str, params: dict[str, Any]) -> str:
    """`over the last 7 days, more than 10 %`."""
    if not params and kind in (Kind.THRESHOLD, *SIGNALLED):
        return "at each cap’s own thresholds" if kind == Kind.THRESHOLD else "as soon as it happens"
    words = {
        "least_percent": "from {} % on",
        "percent": "more than {} %",
        "days": "over the last {} days",
        "calls": "from {} calls on",
        "times": "silent {} times longer than it was of late",
        "least_minutes": "at least {} minutes",
        "least_amount": "from an amount of {} on",
    }
    said = [
        words[name].format(value)
        for name in PARAMS[Kind(kind)]
        if name in words and (value := meant(kind, params, name)) is not None
    ]
    if params.get("budgets"):
        said.append(f"of {len(params['budgets'])} caps")
    if kind == Kind.ANOMALY:
        said.append(f"by {', '.join(meant(kind, params, 'dimensions'))}")
    return ", ".join(said)
