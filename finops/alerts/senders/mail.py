"""E-mail, by the mail server of the settings."""

from __future__ import annotations

import smtplib
from hashlib import sha256

from django.conf import settings
from django.core.mail import EmailMessage

from finops.alerts.rules.addresses import emails
from finops.alerts.senders import wording
from finops.alerts.types import Letter, Outcome
from finops.orgs.invitations import possible


def send(address: str, letter: Letter) -> Outcome:
    """One letter to all of a channel's addresses, each in blind copy. A mail server that gets it twice can tell by its
    Message-ID.
    """
    if not possible():
        return Outcome("No mail server is set (CAPSTAN_SMTP_HOST).", permanent=True)
    number = sha256(letter.id.encode()).hexdigest()[:32]
    message = EmailMessage(
        wording.subject(letter),
        f"{wording.body(letter)}\n",
        bcc=emails(address),
        headers={
            "Message-ID": f"<{number}@{_domain()}>",
            "To": "undisclosed-recipients:;",
            "Auto-Submitted": "auto-generated",
        },
    )
    try:
        message.send()
    except smtplib.SMTPResponseException as error:
        # 5xx is never; 4xx is not now.
        return Outcome(f"The mail server answered {error.smtp_code}.", permanent=500 <= error.smtp_code < 600)
    except smtplib.SMTPRecipientsRefused:
        return Outcome("The mail server refuses these addresses.", permanent=True)
    except (smtplib.SMTPException, OSError) as error:
        return Outcome(f"The mail server cannot be reached ({type(error).__name__}).")
    return Outcome()


def _domain() -> str:
    return settings.DEFAULT_FROM_EMAIL.rpartition("@")[2].strip("<> ") or "localhost"
