"""The letter to somebody who was invited. Sent by the doors after commit: it needs the address of this site."""

from __future__ import annotations

from typing import Final

from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from django.conf import settings
from django.core.mail import send_mail
from django.urls import reverse

from finops.orgs.models import Organization, User

# Backends whose letters reach nobody. The console's would put the link, a credential, into the log.
_NOWHERE: Final = frozenset(
    {"django.core.mail.backends.console.EmailBackend", "django.core.mail.backends.dummy.EmailBackend"}
)


def possible() -> bool:
    """Whether letters can be sent from here: a mail server is set."""
    return settings.EMAIL_BACKEND not in _NOWHERE


def send(*, user: User, organization: Organization, base_url: str) -> bool:
    """Tell a login that it is a member now; one without a password gets the link to set it. False: no mail server is
    set, and nothing was sent. Raises OSError when the mail server does not take it.

    The link goes to the invited address and nowhere else: not into an answer, not into a log.
    """
    if not possible():
        return False
    text = f"You have been invited to {organization.name} on Capstan.\n\n{way_in(user, base_url=base_url)}"
    send_mail(f"Invitation to {organization.name}", text, None, [user.email])
    return True


def way_in(user: User, *, base_url: str) -> str:
    """How a login comes in, in words: the link to choose a first password, a credential; else the login page."""
    if user.has_usable_password():
        return f"Log in: {base_url}{reverse('account_login')}"
    path = reverse(
        "account_reset_password_from_key",
        kwargs={"uidb36": user_pk_to_url_str(user), "key": default_token_generator.make_token(user)},
    )
    return f"Choose a password to log in with:\n{base_url}{path}"
