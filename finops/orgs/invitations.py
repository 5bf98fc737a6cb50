"""The letter to somebody who was invited. Sent by the doors after commit: it needs the address of this site."""

from __future__ import annotations

from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from django.core.mail import send_mail
from django.urls import reverse

from finops.orgs.models import Organization, User


def send(*, user: User, organization: Organization, base_url: str) -> None:
    """Tell a login that it is a member now; one without a password gets the link to set it.

    The link goes to the invited address and nowhere else: not into an answer, not into a log.
    """
    lines = [f"You have been invited to {organization.name} on Capstan."]
    if user.has_usable_password():
        lines += ["", f"Log in: {base_url}{reverse('account_login')}"]
    else:
        path = reverse(
            "account_reset_password_from_key",
            kwargs={"uidb36": user_pk_to_url_str(user), "key": default_token_generator.make_token(user)},
        )
        lines += ["", "Choose a password to log in with:", f"{base_url}{path}"]
    send_mail(f"Invitation to {organization.name}", "\n".join(lines), None, [user.email])
