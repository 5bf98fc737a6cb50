"""How a letter gets to a channel: one module per way. `send` never raises for what the other side does."""

from __future__ import annotations

from finops.alerts.models import Channel
from finops.alerts.sealing import CannotOpen, unseal
from finops.alerts.senders import mail, webhook
from finops.alerts.types import Letter, Medium, Outcome


def send(channel: Channel, letter: Letter) -> Outcome:
    """One try."""
    try:
        address = unseal(channel.address)
        secret = unseal(channel.secret) if channel.secret else ""
    except CannotOpen as error:
        return Outcome(error.message, permanent=True)
    if channel.kind == Medium.EMAIL:
        return mail.send(address, letter)
    if channel.kind == Medium.WEBHOOK:
        return webhook.send(address, secret, letter)
    # Loading apprise takes a quarter of a second, which no web process needs to start with.
    from finops.alerts.senders import chats

    return chats.send(Medium(channel.kind), address, letter)
