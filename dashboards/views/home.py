"""Where a login lands, and what it prefers."""

from __future__ import annotations

from typing import cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods, require_safe

from finops.orgs import selectors as orgs
from finops.orgs.models import User

THEMES = ("light", "dark", "system")


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
    """Colours and single-letter keys, kept with the login: they touch nobody's data, so no audit row."""
    user = cast("User", request.user)
    if request.method != "POST":
        return render(request, "pages/preferences.html", {"themes": THEMES})
    theme = request.POST.get("theme", "")
    if theme in THEMES:
        user.theme = theme
    if "shortcuts" in request.POST:
        user.shortcuts = request.POST["shortcuts"] == "on"
    user.save(update_fields=["theme", "shortcuts"])
    onward = request.POST.get("next", "")
    if url_has_allowed_host_and_scheme(onward, allowed_hosts={request.get_host()}):
        return redirect(onward)
    messages.success(request, "Your preferences are saved.")
    return redirect("dashboards:preferences")
