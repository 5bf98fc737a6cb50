"""Settings of an organization: what it is called, its calendar, its members, and the tags it promoted."""

from __future__ import annotations

import logging
from datetime import date
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods, require_POST

from dashboards.access import Here, page, show
from dashboards.actions import act, form_page, posted
from dashboards.forms import ActionForm
from dashboards.panels.bar import address
from finops.attribution import selectors as attribution
from finops.attribution import services as tags
from finops.attribution.models import MAX_SLOTS
from finops.core.errors import NotFound
from finops.orgs import invitations, services
from finops.orgs import selectors as orgs
from finops.orgs.models import Membership, Organization, User
from finops.orgs.rules import Permission

log = logging.getLogger(__name__)
ROLE_WORDS = {
    "owner": "everything, and makes owners",
    "admin": "everything, but owners",
    "finance": "all spend, people, prices and rules",
    "team_lead": "spend of their teams, with people",
    "engineer": "their team's totals and their own calls",
    "viewer": "all totals, no people",
}


class OrganizationForm(ActionForm):
    name = forms.CharField(max_length=200)
    reporting_currency = forms.CharField(max_length=3, help_text="Holds for charges booked from now on.")
    timezone = forms.CharField(max_length=60, label="Time zone")
    fiscal_calendar = forms.ChoiceField(choices=Organization.Calendar.choices)
    fiscal_start_month = forms.TypedChoiceField(
        coerce=int,
        choices=[(month, f"{date(2000, month, 1):%B}") for month in range(1, 13)],
        label="Fiscal year starts in",
    )


class InviteForm(ActionForm):
    email = forms.EmailField(label="E-mail")
    name = forms.CharField(max_length=200, required=False)
    role = forms.ChoiceField(
        choices=[(value, f"{label}: {ROLE_WORDS[value]}") for value, label in Membership.Role.choices], initial="viewer"
    )

    def __init__(self, *args: Any, organization_id: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        teams = [(str(team.id), team.name) for team in orgs.teams(organization_id)]
        self.fields["team_ids"] = forms.TypedMultipleChoiceField(
            choices=teams, coerce=int, required=False, label="Leads the teams",
            widget=forms.SelectMultiple(attrs={"size": 6}), help_text="For a team lead: these and all below them.",
        )  # fmt: skip


class RoleForm(InviteForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        del self.fields["email"], self.fields["name"]


@require_http_methods(["GET", "HEAD", "POST"])
@page("settings", Permission.ORG_READ, write=Permission.ORG_MANAGE)
def settings(request: HttpRequest, here: Here) -> HttpResponse:
    row = here.organization
    initial = {name: getattr(row, name) for name in OrganizationForm.base_fields}
    form = OrganizationForm(posted(request), initial=initial)
    may = here.caller.can(Permission.ORG_MANAGE)
    if form.is_bound:
        return form_page(
            request, here, "settings", form,
            lambda said: services.change_organization(
                organization_id=here.id, changes=said, by=here.caller.actor, at=here.now
            ),
            title="Organization", submit="Save", back=("Settings", address(here, "settings")), done="Saved.",
        )  # fmt: skip
    members_too = here.caller.can(Permission.MEMBERS_MANAGE)
    context = {
        "form": form,
        "may": may,
        "may_members": members_too,
        "may_tags": here.caller.can(Permission.ATTRIBUTION_MANAGE),
        "members": list(orgs.members(here.id)) if members_too else [],
        "role_words": ROLE_WORDS,
        "tags": list(attribution.promoted_tag_rows(here.id)),
        "slots": MAX_SLOTS,
        "calendar": row.get_fiscal_calendar_display(),
        "start_month": f"{date(2000, row.fiscal_start_month, 1):%B}",
    }
    return show(request, here, "settings", "pages/settings.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@page("settings", Permission.MEMBERS_MANAGE)
def invite(request: HttpRequest, here: Here) -> HttpResponse:
    told: list[str] = []

    def save(said: dict[str, Any]) -> None:
        member = services.invite(organization_id=here.id, **said, by=here.caller.actor, at=here.now)
        told.append(_mailed(request, here, member.user))

    return form_page(
        request, here, "settings", InviteForm(posted(request), organization_id=here.id), save,
        title="Invite a member", submit="Invite", back=("Settings", address(here, "settings")),
        done=lambda: f"They are a member now. {told[0]}",
    )  # fmt: skip


def _mailed(request: HttpRequest, here: Here, user: User) -> str:
    """Sends the letter, after commit, and says what became of it."""
    base_url = request.build_absolute_uri("/").rstrip("/")
    by_hand = "whoever runs this server can print their link with manage.py password_link."
    try:
        sent = invitations.send(user=user, organization=here.organization, base_url=base_url)
    except OSError as error:
        log.warning("an invitation was not mailed: %s", type(error).__name__)
        return f"The mail server did not take the letter: {by_hand}"
    if not sent:
        return f"No letter went out, for no mail server is set (CAPSTAN_SMTP_HOST): {by_hand}"
    return "The letter with their way in was handed to the mail server."


@require_http_methods(["GET", "HEAD", "POST"])
@page("settings", Permission.MEMBERS_MANAGE)
def role(request: HttpRequest, here: Here, user_id: int) -> HttpResponse:
    member = orgs.members(here.id).filter(user_id=user_id).first()
    if member is None:
        raise NotFound("There is no such member.")
    initial = {"role": member.role, "team_ids": [str(team.id) for team in member.teams.all()]}
    return form_page(
        request, here, "settings", RoleForm(posted(request), organization_id=here.id, initial=initial),
        lambda said: services.change_role(
            organization_id=here.id, user_id=user_id, **said, by=here.caller.actor, at=here.now
        ),
        title=f"Role of {member.user}", submit="Save", back=("Settings", address(here, "settings")), done="Saved.",
    )  # fmt: skip


@require_POST
@page("settings", Permission.MEMBERS_MANAGE)
def remove(request: HttpRequest, here: Here, user_id: int) -> HttpResponse:
    return act(
        request,
        lambda: services.remove_member(organization_id=here.id, user_id=user_id, by=here.caller.actor, at=here.now),
        done="They can no longer open this organization.",
        to=address(here, "settings"),
    )


@require_POST
@page("settings", Permission.ATTRIBUTION_MANAGE)
def promote(request: HttpRequest, here: Here) -> HttpResponse:
    key = request.POST.get("key", "").strip()
    return act(
        request,
        lambda: tags.promote_tag(organization_id=here.id, key=key, by=here.caller.actor, at=here.now),
        done="Calls from now on can be grouped by it.",
        to=address(here, "settings"),
    )


@require_POST
@page("settings", Permission.ATTRIBUTION_MANAGE)
def retire_tag(request: HttpRequest, here: Here, tag_id: int) -> HttpResponse:
    return act(
        request,
        lambda: tags.retire_tag(organization_id=here.id, tag_id=tag_id, by=here.caller.actor, at=here.now),
        done="The tag is retired. What it holds can still be read.",
        to=address(here, "settings"),
    )
