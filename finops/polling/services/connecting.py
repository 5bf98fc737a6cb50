"""Accounts connected and disconnected, their credentials changed, their feeds switched on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from django.conf import settings as house
from django.db import transaction

from finops.connectors.addresses import AddressRefused, check_address
from finops.connectors.fetching import Access, Account, Feed, FetchError, Need, Refused, RequestRefused, Says
from finops.core.actors import Actor
from finops.core.errors import FinopsError
from finops.core.sealing import CannotOpen
from finops.orgs.models import Organization
from finops.polling import rules
from finops.polling.models import ConnectedAccount, PolledFeed
from finops.polling.services.common import (
    AccountInvalid,
    CredentialRefused,
    Disconnected,
    ProbeFailed,
    access,
    known_account,
    locked_account,
    note_account,
    note_feed,
    open_credential,
    release,
    seal,
    told_over,
)
from finops.sources.kinds import ACCOUNT
from finops.sources.models import Source
from finops.sources.services import add_source

LONGEST_CREDENTIAL: Final = 8_000
_LONGEST_SETTING: Final = 500
_LONGEST_LABEL: Final = 200
MOST_ACCOUNTS: Final = 200
_STATES: Final = {Says.CHARGES: "", Says.USAGE: Source.States.USAGE.value, Says.MONEY: Source.States.MONEY.value}


class AlreadyConnected(FinopsError):
    """The same credential is connected: read twice, everything would be there twice."""

    code = "polling.already_connected"
    status = 409


def connect(
    *,
    organization_id: int,
    account: str,
    credential: str,
    label: str = "",
    address: str = "",
    settings: Mapping[str, str] | None = None,
    feeds: tuple[str, ...] = (),
    since: datetime | None = None,
    by: Actor,
    at: datetime,
) -> ConnectedAccount:
    """Connect an account: its provider is asked first whether the credential is good, and nothing is kept if it is not.

    Every feed that is not optional is read from now on, and those that `feeds` names. `since` is how far back the first
    round reads: a month where nobody says. Raises AccountInvalid, AddressRefused, CredentialRefused, ProbeFailed,
    AlreadyConnected.
    """
    spec = known_account(account)
    wanted = _wanted(spec, feeds)
    said = _settings(spec, wanted, settings or {})
    credential = clean_credential(credential)
    label = " ".join(label.split()) or spec.title
    if len(label) > _LONGEST_LABEL or not label.isprintable():
        raise AccountInvalid(f"a label is at most {_LONGEST_LABEL} characters", field="label")
    address = (address or spec.address).rstrip("/")
    check_address(address, internal=house.INTERNAL_HOSTS)
    _refuse_twice(organization_id, account, address, credential)
    probe(spec, access(address, credential, said))
    row = ConnectedAccount(
        organization_id=organization_id, account=account, label=label, address=address, settings=said,
        sealed=seal(credential), connected_at=at, connected_by=by.reference, credential_set_at=at,
    )  # fmt: skip
    with transaction.atomic():
        # One after the other: of two that ask for the same at once, the second finds the first.
        Organization.objects.select_for_update(no_key=True).get(id=organization_id)
        _refuse_twice(organization_id, account, address, credential)
        return keep(row, wanted, since=since, by=by)


@transaction.atomic
def keep(row: ConnectedAccount, wanted: tuple[Feed, ...], *, since: datetime | None, by: Actor) -> ConnectedAccount:
    """An account that was asked, with a source for each feed."""
    at = row.connected_at
    if ConnectedAccount.objects.filter(organization_id=row.organization_id).count() >= MOST_ACCOUNTS:
        raise AccountInvalid(f"an organization connects at most {MOST_ACCOUNTS} accounts", field="account")
    row.save(force_insert=True)
    note_account(
        "account.connected", row, by, at,
        {"account": row.account, "address": row.address, "feeds": [feed.name for feed in wanted]},
    )  # fmt: skip
    for feed in wanted:
        _add_feed(row, feed, since, by, at)
    return row


def rotate(
    *,
    organization_id: int,
    account_id: int,
    credential: str,
    settings: Mapping[str, str] | None = None,
    by: Actor,
    at: datetime,
) -> ConnectedAccount:
    """Replace the credential, once the provider takes the new one; until then the old one stays. Feeds that were
    refused go on at once from where they stood. An account that was disconnected is connected again.

    Raises NotFound, AccountInvalid, AddressRefused, CredentialRefused, ProbeFailed, AlreadyConnected.
    """
    row = locked_or_read(organization_id, account_id)
    spec = known_account(row.account)
    on = tuple(feed for feed in spec.feeds if row.feeds.filter(name=feed.name).exists())
    said = _settings(spec, on, row.settings if settings is None else settings)
    credential = clean_credential(credential)
    _refuse_twice(organization_id, row.account, row.address, credential, but=row.id)
    probe(spec, access(row.address, credential, said))
    return _replace(organization_id, account_id, credential, said, by, at)


@transaction.atomic
def _replace(
    organization_id: int, account_id: int, credential: str, said: dict[str, str], by: Actor, at: datetime
) -> ConnectedAccount:
    row = locked_account(organization_id, account_id)
    again, row.disconnected_at = row.disconnected_at is not None, None
    row.sealed, row.settings, row.credential_set_at = seal(credential), said, at
    row.save(update_fields=["sealed", "settings", "credential_set_at", "disconnected_at"])
    for feed in row.feeds.select_for_update().order_by("id"):
        if feed.state == PolledFeed.State.REFUSED:
            feed.state = PolledFeed.State.ACTIVE
        # Whoever still reads by the old credential must not say that the new one is refused.
        release(feed)
        feed.next_at = at
        feed.save(update_fields=["state", "lease", "leased_until", "next_at"])
    note_account("account.reconnected" if again else "account.credential_rotated", row, by, at)
    return row


@transaction.atomic
def disconnect(*, organization_id: int, account_id: int, by: Actor, at: datetime) -> ConnectedAccount:
    """Forget the credential. What was read stays, and so do the sources. Raises NotFound."""
    row = locked_account(organization_id, account_id)
    if row.disconnected_at is None:
        row.sealed, row.disconnected_at = b"", at
        row.save(update_fields=["sealed", "disconnected_at"])
        for feed in row.feeds.select_for_update().order_by("id"):
            release(feed)
            told_over(feed, at)
            feed.save(update_fields=["lease", "leased_until", "told_at"])
        note_account("account.disconnected", row, by, at)
    return row


@transaction.atomic
def switch_on(
    *,
    organization_id: int,
    account_id: int,
    feed: str,
    settings: Mapping[str, str] | None = None,
    since: datetime | None = None,
    by: Actor,
    at: datetime,
) -> PolledFeed:
    """Read an optional feed too. `settings` are what it needs, beside those of the account; one that is on stays as it
    is. Raises NotFound, AccountInvalid, Disconnected.
    """
    row = locked_account(organization_id, account_id)
    if row.disconnected_at is not None:
        raise Disconnected("The account is disconnected: set a credential first.")
    spec = known_account(row.account)
    found = row.feeds.filter(name=feed).first()
    if found is not None:
        return found
    (wanted,) = _named(spec, (feed,))
    on = tuple(one for one in spec.feeds if row.feeds.filter(name=one.name).exists())
    row.settings = _settings(spec, (*on, wanted), {**row.settings, **(settings or {})})
    row.save(update_fields=["settings"])
    return _add_feed(row, wanted, since, by, at)


def probe(spec: Account, to: Access) -> None:
    """Asks the provider whether a credential is good. Raises CredentialRefused, ProbeFailed, AddressRefused."""
    try:
        spec.probe(to)
    except Refused as error:
        raise CredentialRefused(f"{spec.title} refuses this credential: {error.message}", field="credential") from None
    except RequestRefused as error:
        raise ProbeFailed(f"{spec.title} does not take what was said: {error.message}", field="settings") from None
    except AddressRefused:
        raise
    except FetchError as error:
        raise ProbeFailed(f"{spec.title} could not be asked: {error.message}", field="address") from None
    except FinopsError as error:
        raise ProbeFailed(f"{spec.title} answers otherwise than it should: {error.message}", field="address") from None


def clean_credential(said: str) -> str:
    """One line, or JSON on several, as files of keys of clouds are. Raises AccountInvalid."""
    said = said.strip()
    plain = said.replace("\n", "").replace("\r", "").replace("\t", "")
    if not 1 <= len(said) <= LONGEST_CREDENTIAL or not plain.isascii() or not plain.isprintable():
        raise AccountInvalid("a credential is printable characters", field="credential")
    if plain != said and not said.startswith("{"):
        raise AccountInvalid("a credential is one line", field="credential")
    return said


def locked_or_read(organization_id: int, account_id: int) -> ConnectedAccount:
    """Locked for a moment only: a provider is asked before anything is written, and no row is held meanwhile."""
    with transaction.atomic():
        return locked_account(organization_id, account_id)


def needs_of(spec: Account, wanted: tuple[Feed, ...]) -> dict[str, Need]:
    """What an account and these of its feeds ask for, by name."""
    return {need.name: need for needs in (spec.needs, *(feed.needs for feed in wanted)) for need in needs}


def _wanted(spec: Account, names: tuple[str, ...]) -> tuple[Feed, ...]:
    more = {feed.name for feed in _named(spec, names)}
    return tuple(feed for feed in spec.feeds if not feed.optional or feed.name in more)


def _named(spec: Account, names: tuple[str, ...]) -> tuple[Feed, ...]:
    known = {feed.name: feed for feed in spec.feeds}
    for name in names:
        if name not in known:
            raise AccountInvalid(f"feeds of {spec.title} are {', '.join(known)}", field="feeds")
    return tuple(known[name] for name in dict.fromkeys(names))


def _settings(spec: Account, wanted: tuple[Feed, ...], said: Mapping[str, str]) -> dict[str, str]:
    needs = needs_of(spec, wanted)
    # What a feed needs that may be switched on later is known too.
    known = needs_of(spec, spec.feeds)
    found: dict[str, str] = {}
    for name, value in said.items():
        if name not in known:
            raise AccountInvalid(f"{spec.title} asks for no such setting", field=f"settings.{str(name)[:60]}")
        text = str(value).strip()
        if len(text) > _LONGEST_SETTING or not text.isprintable():
            raise AccountInvalid(f"a setting is at most {_LONGEST_SETTING} characters", field=f"settings.{name}")
        if text:
            found[name] = text
    for need in needs.values():
        if need.needed and need.name not in found:
            raise AccountInvalid(f"{need.name} is needed: {need.help}", field=f"settings.{need.name}")
    return found


def _refuse_twice(organization_id: int, account: str, address: str, credential: str, *, but: int = 0) -> None:
    rows = ConnectedAccount.objects.filter(
        organization_id=organization_id, account=account, address=address, disconnected_at__isnull=True
    )
    for row in rows.exclude(id=but).order_by("id"):
        try:
            same = open_credential(row) == credential
        except CannotOpen:
            continue
        if same:
            raise AlreadyConnected(f"This credential is connected already, as {row.label!r}.", field="credential")


def _add_feed(row: ConnectedAccount, feed: Feed, since: datetime | None, by: Actor, at: datetime) -> PolledFeed:
    source = add_source(
        organization_id=row.organization_id,
        slug=_free_slug(row.organization_id, feed.name),
        name=f"{row.label}: {feed.title}"[:200],
        kind=ACCOUNT,
        level=Source.Level.BILLED if feed.says is Says.MONEY else Source.Level.METERED,
        revises=True,
        states=_STATES[feed.says],
        by=by,
        at=at,
    )
    first = rules.first_of(feed, since, at)
    made = PolledFeed.objects.create(
        organization_id=row.organization_id, account=row, source=source, name=feed.name,
        begun_from=first, watermark=first, next_at=at, made_at=at,
    )  # fmt: skip
    note_feed("feed.switched_on", made, by, at, {"source": source.slug, "since": first.isoformat()})
    return made


def _free_slug(organization_id: int, name: str) -> str:
    taken = set(
        Source.objects.filter(organization_id=organization_id, slug__startswith=name).values_list("slug", flat=True)
    )
    number = 1
    while (slug := name if number == 1 else f"{name}-{number}") in taken:
        number += 1
    return slug
