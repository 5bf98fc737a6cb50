"""Where a login lands, and what it prefers."""

from __future__ import annotations

from typing import cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods, require_safe

from finops.core.actors import Actor
from finops.orgs import selectors as orgs
from finops.orgs import services
from finops.orgs.models import User
from finops.orgs.services.preferences import THEMES


@require_safe
@login_required
def home(request: HttpRequest) -> HttpResponse:
    """The only organization, or the choice among several."""
    found = orgs.organizations_of(cast("User", request.user))
    if len(found) == 1:
        return redirect("dashboards:overview", organization=found[0].slug)
    return render(request, "pages/home.html", {"organizations": found})


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def preferences(request: HttpRequest) -> HttpResponse:
    """Colours and single-letter keys, kept with the login."""
    user = cast("User", request.user)
    if request.method != "POST":
        return render(request, "pages/preferences.html", {"themes": THEMES})
    theme, shortcuts = request.POST.get("theme", ""), request.POST.get("shortcuts")
    services.change_preferences(
        user_id=user.id,
        theme=theme if theme in THEMES else None,
        shortcuts=None if shortcuts is None else shortcuts == "on",
        by=Actor(f"user:{user.id}", str(user)),
        at=timezone.now(),
    )
    onward = request.POST.get("next", "")
    if url_has_allowed_host_and_scheme(onward, allowed_hosts={request.get_host()}):
        return redirect(onward)
    messages.success(request, "Your preferences are saved.")
    return redirect("dashboards:preferences")
