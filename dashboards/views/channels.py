"""Where news goes: channels, tested, with what went to them last."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dashboards.access import Here, page, show
from dashboards.actions import act, form_page, posted
from dashboards.alerts.forms import MEDIA, ChannelForm, channel_initial
from dashboards.panels.bar import address
from finops.alerts import selectors
from finops.alerts.models import Delivery
from finops.alerts.services import channels as services
from finops.alerts.services.deliveries import test_channel
from finops.alerts.types import Medium
from finops.core.errors import FinopsError, Forbidden, NotFound
from finops.orgs.rules import Permission

DELIVERIES_SHOWN = 30


@require_safe
@page("alert_rules", Permission.ALERTS_MANAGE)
def channels(request: HttpRequest, here: Here) -> HttpResponse:
    rows = list(selectors.channels(here.id))
    context = {
        "rows": [(one, MEDIA[Medium(one.kind)], channel_address(here, one.id)) for one in rows],
        "kinds": [(one.value, label) for one, label in MEDIA.items()],
    }
    return show(request, here, "alert_rules", "pages/channels.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@page("alert_rules", Permission.ALERTS_MANAGE)
def add(request: HttpRequest, here: Here) -> HttpResponse:
    """A webhook's secret is shown once, on the answer to the form."""
    kind = request.GET.get("kind", Medium.EMAIL)
    if kind not in set(Medium):
        raise NotFound("There is no such kind of channel.")
    form = ChannelForm(posted(request), kind=kind, initial={"timezone": here.organization.timezone})
    if form.is_bound and form.is_valid():
        try:
            made = services.add_channel(organization_id=here.id, draft=form.draft(), by=here.caller.actor, at=here.now)
        except Forbidden:
            raise
        except FinopsError as error:
            form.take(error)
        else:
            if made.secret:
                return _once(request, here, made)
            messages.success(request, "The channel is made. Send it a test.")
            return redirect(channel_address(here, made.channel.id))
    context = {
        "form": form,
        "title": f"New channel: {MEDIA[Medium(kind)]}",
        "lead": "What is kept of its address is encrypted, and not shown again.",
        "submit": "Make the channel",
        "back": ("Channels", address(here, "channels")),
    }
    return show(request, here, "alert_rules", "pages/form.html", context, status=422 if form.is_bound else 200)


@require_safe
@page("alert_rules", Permission.ALERTS_MANAGE)
def channel(request: HttpRequest, here: Here, channel_id: int) -> HttpResponse:
    row = selectors.channel(here.id, channel_id)
    told = list(
        selectors.deliveries(here.id, channel_id=row.id).select_related("channel", "incident")[:DELIVERIES_SHOWN]
    )
    about = {one.incident.id: one.incident for one in told if one.incident is not None}
    titles = {
        story.id: story.title for story in selectors.stories(here.id, [(one, "") for one in about.values()])
    } if about else {}  # fmt: skip
    context = {
        "channel": row,
        "kind": MEDIA[Medium(row.kind)],
        "webhook": row.kind == Medium.WEBHOOK,
        "deliveries": [(one, titles.get(one.incident_id or 0, "A test")) for one in told],
        "waiting": Delivery.State.WAITING,
        "back": address(here, "channels"),
    }
    return show(request, here, "alert_rules", "pages/channel.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@page("alert_rules", Permission.ALERTS_MANAGE)
def change(request: HttpRequest, here: Here, channel_id: int) -> HttpResponse:
    row = selectors.channel(here.id, channel_id)
    form = ChannelForm(posted(request), kind=row.kind, keeps=True, initial=channel_initial(row))
    return form_page(
        request, here, "alert_rules", form,
        lambda _: services.change_channel(
            organization_id=here.id, channel_id=row.id, draft=form.draft(), by=here.caller.actor, at=here.now
        ),
        title=row.name, lead=f"{MEDIA[Medium(row.kind)]}, {row.hint}", submit="Save",
        back=(row.name, channel_address(here, row.id)), done="The channel is saved.",
    )  # fmt: skip


@require_POST
@page("alert_rules", Permission.ALERTS_MANAGE)
def test(request: HttpRequest, here: Here, channel_id: int) -> HttpResponse:
    try:
        tried = test_channel(
            organization_id=here.id, channel_id=channel_id, by=here.caller.actor,
            now=timezone.now,
        )  # fmt: skip
    except NotFound:
        raise
    except FinopsError as error:
        messages.error(request, error.message)
    else:
        if tried.state == Delivery.State.DELIVERED:
            messages.success(request, "The test arrived.")
        else:
            messages.error(request, f"The test did not arrive. {tried.last_error}")
    return redirect(channel_address(here, channel_id))


@require_POST
@page("alert_rules", Permission.ALERTS_MANAGE)
def renew(request: HttpRequest, here: Here, channel_id: int) -> HttpResponse:
    made = services.renew_secret(organization_id=here.id, channel_id=channel_id, by=here.caller.actor, at=here.now)
    return _once(request, here, made)


@require_POST
@page("alert_rules", Permission.ALERTS_MANAGE)
def archive(request: HttpRequest, here: Here, channel_id: int) -> HttpResponse:
    return act(
        request,
        lambda: services.archive_channel(
            organization_id=here.id, channel_id=channel_id, by=here.caller.actor, at=here.now
        ),
        done="Nothing goes to it any more, and its address is forgotten.",
        to=address(here, "channels"),
    )


def channel_address(here: Here, channel_id: int) -> str:
    return reverse("dashboards:channel", kwargs={"organization": here.organization.slug, "channel_id": channel_id})


def _once(request: HttpRequest, here: Here, made: services.Made) -> HttpResponse:
    """The only answer that ever holds the secret; nothing on the way may keep it."""
    context = {"channel": made.channel, "secret": made.secret, "href": channel_address(here, made.channel.id)}
    response = show(request, here, "alert_rules", "pages/channel_secret.html", context, status=201)
    response["Cache-Control"] = "no-store"
    return response
