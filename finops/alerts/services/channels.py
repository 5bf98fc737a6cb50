"""Channels: made, changed, archived; audited, with nothing of an address in the trail."""

from __future__ import annotations

import secrets
from datetime import datetime, time
from typing import Any, Final, NamedTuple
from zoneinfo import available_timezones

from django.conf import settings
from django.db import transaction

from finops.alerts import selectors
from finops.alerts.models import Channel
from finops.alerts.rules.addresses import check_address, hint_of
from finops.alerts.rules.kinds import check_name
from finops.alerts.sealing import seal
from finops.alerts.services.deliveries import ChannelArchived
from finops.alerts.types import ChannelDraft, Medium
from finops.audit.services import record
from finops.core.actors import Actor
from finops.core.errors import FinopsError, Invalid, NotFound
from finops.orgs import selectors as orgs

MOST_CHANNELS: Final = 50
_CHANGEABLE: Final = ("name", "timezone", "quiet_from", "quiet_until", "critical_always", "digest_minutes")


class ChannelInvalid(Invalid):
    """A channel that cannot be; `field` says where."""

    code = "alerts.channel_invalid"


class TooManyChannels(FinopsError):
    code = "alerts.too_many_channels"
    status = 409


class Made(NamedTuple):
    """A channel, and what its webhook is signed with: shown once, '' for other kinds."""

    channel: Channel
    secret: str


@transaction.atomic
def add_channel(*, organization_id: int, draft: ChannelDraft, by: Actor, at: datetime) -> Made:
    """Raises ChannelInvalid and AddressInvalid naming the field, RuleInvalid for a name, and TooManyChannels."""
    if draft.kind not in set(Medium):
        raise ChannelInvalid(f"a channel is one of {', '.join(Medium)}", field="kind")
    if selectors.channels(organization_id).count() >= MOST_CHANNELS:
        raise TooManyChannels(f"An organization has at most {MOST_CHANNELS} channels.")
    address = check_address(draft.kind, draft.address, loopback=settings.ALERTS_LOOPBACK)
    secret = _new_secret() if draft.kind == Medium.WEBHOOK else ""
    row = Channel(organization_id=organization_id, kind=draft.kind, secret=seal(secret) if secret else b"")
    _address(row, address)
    _set(row, draft)
    row.save(force_insert=True)
    _note("channel.added", row, by, at, {"kind": row.kind, **_said(row)})
    return Made(row, secret)


@transaction.atomic
def change_channel(*, organization_id: int, channel_id: int, draft: ChannelDraft, by: Actor, at: datetime) -> Channel:
    """Everything but the kind; an empty address keeps the one there is. Raises as `add_channel`, NotFound and
    ChannelArchived.
    """
    row = _live(organization_id, channel_id)
    before = _said(row)
    _set(row, draft)
    if draft.address:
        _address(row, check_address(row.kind, draft.address, loopback=settings.ALERTS_LOOPBACK))
    row.save()
    after = _said(row)
    changed: dict[str, Any] = {name: [before[name], after[name]] for name in after if before[name] != after[name]}
    if draft.address:
        changed["address"] = "changed"
    if changed:
        _note("channel.changed", row, by, at, changed)
    return row


@transaction.atomic
def renew_secret(*, organization_id: int, channel_id: int, by: Actor, at: datetime) -> Made:
    """Another secret to sign a webhook with, from now on. Raises NotFound, ChannelArchived and ChannelInvalid."""
    row = _live(organization_id, channel_id)
    if row.kind != Medium.WEBHOOK:
        raise ChannelInvalid("only a webhook is signed", field="kind")
    secret = _new_secret()
    row.secret = seal(secret)
    row.save(update_fields=["secret"])
    _note("channel.secret_renewed", row, by, at, {})
    return Made(row, secret)


@transaction.atomic
def archive_channel(*, organization_id: int, channel_id: int, by: Actor, at: datetime) -> Channel:
    """Nothing goes to it any more, and its address is forgotten. Raises NotFound; again changes nothing."""
    row = _locked(organization_id, channel_id)
    if row.archived_at is None:
        row.archived_at, row.address, row.secret = at, seal(""), b""
        row.save(update_fields=["archived_at", "address", "secret"])
        _note("channel.archived", row, by, at, {})
    return row


def draft_of(row: Channel) -> ChannelDraft:
    """The channel as it is, to be changed in part: with no address, which keeps the one there is."""
    return ChannelDraft(kind=row.kind, **{name: getattr(row, name) for name in _CHANGEABLE})


def _set(row: Channel, draft: ChannelDraft) -> None:
    zone = draft.timezone or orgs.organization(row.organization_id).timezone
    if zone not in available_timezones():
        raise ChannelInvalid(f"there is no time zone {zone[:60]!r}", field="timezone")
    if (draft.quiet_from is None) != (draft.quiet_until is None):
        raise ChannelInvalid("quiet hours have a beginning and an end", field="quiet_until")
    if draft.quiet_from is not None and draft.quiet_from == draft.quiet_until:
        raise ChannelInvalid("quiet hours end at another time than they begin", field="quiet_until")
    if not 1 <= draft.digest_minutes <= 1_440:
        raise ChannelInvalid("a digest gathers for 1 to 1440 minutes", field="digest_minutes")
    row.name, row.timezone = check_name(draft.name), zone
    row.quiet_from, row.quiet_until = draft.quiet_from, draft.quiet_until
    row.critical_always, row.digest_minutes = draft.critical_always, draft.digest_minutes


def _address(row: Channel, address: str) -> None:
    row.address, row.hint = seal(address), hint_of(row.kind, address)


def _new_secret() -> str:
    return f"whsec_{secrets.token_urlsafe(32)}"


def _said(row: Channel) -> dict[str, Any]:
    def plain(value: object) -> object:
        return value.isoformat() if isinstance(value, time) else value

    return {name: plain(getattr(row, name)) for name in _CHANGEABLE}


def _locked(organization_id: int, channel_id: int) -> Channel:
    row = Channel.objects.select_for_update().filter(organization_id=organization_id, id=channel_id).first()
    if row is None:
        raise NotFound("There is no such channel.")
    return row


def _live(organization_id: int, channel_id: int) -> Channel:
    row = _locked(organization_id, channel_id)
    if row.archived_at is not None:
        raise ChannelArchived("An archived channel does not change; make another.")
    return row


def _note(verb: str, row: Channel, by: Actor, at: datetime, details: dict[str, Any]) -> None:
    record(
        organization_id=row.organization_id, verb=verb, subject_kind="channel", subject_id=row.id,
        subject_label=row.name, by=by, at=at, details=details,
    )  # fmt: skip
