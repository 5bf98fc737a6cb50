"""How an engineer points the client they have at the gateway."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from dashboards.access import Here, page, show
from dashboards.gateway.clients import CLIENTS, KEY
from finops.orgs.rules import Permission
from routing.upstreams import selectors


@require_safe
@page("connect", Permission.GATEWAY_READ)
def connect(request: HttpRequest, here: Here) -> HttpResponse:
    gateway = settings.GATEWAY_URL or _guess(request)
    context = {
        "gateway": gateway,
        "guessed": not settings.GATEWAY_URL,
        "key": KEY,
        "clients": [(client, client.at(gateway)) for client in CLIENTS],
        "upstreams": selectors.upstreams(here.id).exists(),
        "may": here.caller.can(Permission.GATEWAY_MANAGE),
        "may_issue": here.caller.can(Permission.KEYS_MANAGE),
    }
    return show(request, here, "connect", "pages/connect.html", context)


def _guess(request: HttpRequest) -> str:
    """The port after the site's, as `manage.py up` has it; 8001 where the site is at no port of its own."""
    here = urlsplit(f"//{request.get_host()}")
    host = f"[{here.hostname}]" if ":" in (here.hostname or "") else here.hostname
    return f"{request.scheme}://{host}:{here.port + 1 if here.port else 8001}"
