"""Who is calling the API: a virtual key, or a login with the organization it acts for.

`request.user` of an API view is an `orgs.rules.Caller`; `caller(request)` gives it with its type.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from django.http import HttpRequest
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication, CSRFCheck
from rest_framework.exceptions import NotAuthenticated
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from finops.core.errors import FinopsError, Forbidden
from finops.orgs import selectors
from finops.orgs.models import User
from finops.orgs.rules import Caller
from finops.orgs.services import keys

if TYPE_CHECKING:
    # DRF's views read the settings, which name this module.
    from rest_framework.views import APIView

ORGANIZATION_HEADER: Final = "Capstan-Organization"


class OrganizationUnnamed(FinopsError):
    """A login of several organizations has to say which it acts for."""

    code = "orgs.organization_unnamed"
    status = 400


class CsrfFailed(Forbidden):
    code = "api.csrf_failed"


class KeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer cap_…`, or `x-api-key: cap_…` as tools that speak to providers send it.

    Raises KeyRefused (401), the same for a key that is unknown, wrong, revoked or expired.
    """

    def authenticate(self, request: Request) -> tuple[Caller, str] | None:
        secret = _key_of(request)
        if secret is None:
            return None
        at = timezone.now()
        found = selectors.key_for_secret(secret, at)
        keys.note_use(key_id=found.key_id, last_used_at=found.last_used_at, at=at)
        return found.caller, "key"

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="capstan"'


class OrganizationSession(BaseAuthentication):
    """The session of the pages, for scripts in the browser: cookie, CSRF token on writes, and the organization's slug
    in `Capstan-Organization` (unneeded for a login with one membership).

    Raises CsrfFailed (403), OrganizationUnnamed (400), and NotFound (404) for an organization that is not the login's.
    """

    def authenticate(self, request: Request) -> tuple[Caller, str] | None:
        user = getattr(request._request, "user", None)
        if not isinstance(user, User) or not user.is_active:
            return None
        _check_csrf(request._request)
        slug = request.headers.get(ORGANIZATION_HEADER, "")
        if not slug:
            memberships = selectors.organizations_of(user)
            if len(memberships) != 1:
                raise OrganizationUnnamed(f"Say which organization in the header {ORGANIZATION_HEADER}.")
            slug = memberships[0].slug
        return selectors.caller_for(user, slug), "session"


class HasPermission(BasePermission):
    """Refuses a caller without the permission the view declares, and every view that declares none.

    `view.permission` is a permission, or a mapping of methods to permissions (HEAD is GET).
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        asked: Any = request.user
        if not isinstance(asked, Caller):
            raise NotAuthenticated("Send a key as `Authorization: Bearer cap_…`, or log in.")
        method = "GET" if request.method == "HEAD" else str(request.method)
        if not hasattr(view, method.lower()) or method == "OPTIONS":
            return True  # DRF answers these itself, the first with a 405
        needed = declared(view, method)
        if needed is None:
            return False
        asked.require(needed)
        return True


def declared(view: object, method: str) -> str | None:
    """The permission a view declares for a method; None when it declares none."""
    permission = getattr(view, "permission", None)
    if isinstance(permission, Mapping):
        found = permission.get(method)
        return None if found is None else str(found)
    return None if permission is None else str(permission)


def caller(request: Request) -> Caller:
    """The caller of a request that passed `HasPermission`."""
    return cast("Caller", request.user)


def _key_of(request: Request) -> str | None:
    kind, _, rest = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return rest.strip()
    return request.headers.get("X-Api-Key")


def _check_csrf(request: HttpRequest) -> None:
    check = CSRFCheck(lambda _: None)  # type: ignore[arg-type]
    check.process_request(request)
    reason = check.process_view(request, None, (), {})  # type: ignore[arg-type]
    if reason:
        raise CsrfFailed(f"CSRF check failed: {reason}")
