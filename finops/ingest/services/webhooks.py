"""Webhooks of senders that sign what they send: their secret set, removed, and held against what came."""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import transaction

from finops.audit import services as audit
from finops.core.actors import Actor
from finops.core.errors import FinopsError, Invalid
from finops.core.sealing import Sealer
from finops.ingest.models import WEBHOOK, SignedWebhook
from finops.sources.models import Source
from finops.sources.services import refuse_archived

_LONGEST_SECRET: Final = 500


class WebhookInvalid(Invalid):
    code = "ingest.webhook_invalid"


class SignatureRefused(FinopsError):
    """One answer for an address there is none of and a signature that is not right."""

    code = "ingest.signature_refused"
    status = 401


@transaction.atomic
def set_webhook(*, source: Source, sender: str, secret: str, by: Actor, at: datetime) -> SignedWebhook:
    """Take what a sender signs from now on; a former secret is replaced, the address stays. Raises SourceArchived and
    WebhookInvalid.
    """
    refuse_archived(source)
    secret = secret.strip()
    if sender not in SignedWebhook.Sender.values:
        raise WebhookInvalid(f"sender is one of {', '.join(SignedWebhook.Sender.values)}", field="sender")
    if not 1 <= len(secret) <= _LONGEST_SECRET or not secret.isascii() or not secret.isprintable():
        raise WebhookInvalid("a secret is one line of printable characters", field="secret")
    row, _ = SignedWebhook.objects.update_or_create(
        organization_id=source.organization_id,
        source=source,
        defaults={"sender": sender, "sealed": _sealer().seal(secret), "set_at": at},
    )
    _note("source.webhook_set", source, by, at, {"sender": sender})
    return row


@transaction.atomic
def remove_webhook(*, source: Source, by: Actor, at: datetime) -> None:
    """Take nothing at that address any more. Doing it again does nothing."""
    gone, _ = SignedWebhook.objects.filter(organization_id=source.organization_id, source=source).delete()
    if gone:
        _note("source.webhook_removed", source, by, at, {})


def webhook_for(webhook_id: UUID, sender: str, body: bytes, signature: str) -> SignedWebhook:
    """The webhook that a body was signed for: HMAC-SHA256 of its bytes under the secret, in hex. Raises
    SignatureRefused.

    Source: https://docs.helicone.ai/features/webhooks
    """
    found = SignedWebhook.objects.select_related("source", "organization").filter(id=webhook_id, sender=sender).first()
    # Reckoned even where there is no such address, so that the time does not tell which there are.
    secret = _sealer().open(found.sealed) if found else "nobody's"
    right = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(right.encode(), signature.strip().lower().encode()) or found is None:
        raise SignatureRefused("The signature is not right.")
    return found


def _sealer() -> Sealer:
    return Sealer((settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS), purpose=WEBHOOK)


def _note(verb: str, source: Source, by: Actor, at: datetime, details: dict[str, object]) -> None:
    audit.record(
        organization_id=source.organization_id, verb=verb, subject_kind="source", subject_id=source.id,
        subject_label=source.name, details=details, by=by, at=at,
    )  # fmt: skip
