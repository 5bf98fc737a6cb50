"""What every write of this room needs: its errors, the sealed credential, the trail."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from django.conf import settings

from finops.audit import services as audit
from finops.connectors.feeds import ACCOUNTS, FEEDS
from finops.connectors.fetching import Access, Account, Feed
from finops.core.actors import Actor, system
from finops.core.errors import FinopsError, Invalid, NotFound
from finops.core.sealing import Sealer
from finops.polling.models import CREDENTIAL, ConnectedAccount, PolledFeed

HOUSE: Final = system("polling")
# Of alerts: they go by these names, and by the source's key.
STOPPED: Final = "feed.stopped"
RECOVERED: Final = "feed.recovered"


class AccountInvalid(Invalid):
    code = "polling.invalid"


class CredentialRefused(Invalid):
    """The provider does not take this credential; nothing was kept."""

    code = "polling.credential_refused"


class ProbeFailed(Invalid):
    """The provider could not be asked whether the credential is good; nothing was kept."""

    code = "polling.probe_failed"


class Disconnected(FinopsError):
    code = "polling.disconnected"
    status = 409


class FeedStopped(FinopsError):
    """It is paused or refused: what was asked for needs somebody first."""

    code = "polling.feed_stopped"
    status = 409


class FeedUnknown(FinopsError):
    """This version has no such feed: a newer one made it."""

    code = "polling.feed_unknown"
    status = 409


def known_account(name: str) -> Account:
    """Raises AccountInvalid."""
    found = ACCOUNTS.get(name)
    if found is None:
        raise AccountInvalid(f"account is one of {', '.join(ACCOUNTS)}", field="account")
    return found


def known_feed(name: str) -> Feed:
    """Raises FeedUnknown."""
    found = FEEDS.get(name)
    if found is None:
        raise FeedUnknown(f"There is no feed {name!r} in this version.")
    return found


def seal(credential: str) -> bytes:
    return _sealer().seal(credential)


def open_credential(row: ConnectedAccount) -> str:
    """Raises Disconnected, and CannotOpen when the house's secret was changed and the former one is not named."""
    if row.disconnected_at is not None:
        raise Disconnected("The account is disconnected: its credential is forgotten.")
    return _sealer().open(row.sealed)


def access_of(row: ConnectedAccount) -> Access:
    """Raises as `open_credential`."""
    return access(row.address, open_credential(row), row.settings)


def access(address: str, credential: str, said: Mapping[str, str]) -> Access:
    return Access(address, credential, dict(said), settings.INTERNAL_HOSTS)


def locked_account(organization_id: int, account_id: int) -> ConnectedAccount:
    """Raises NotFound."""
    rows = ConnectedAccount.objects.select_for_update().filter(organization_id=organization_id, id=account_id)
    found = rows.first()
    if found is None:
        raise NotFound("There is no such account.")
    return found


def locked_feed(organization_id: int, feed_id: int) -> PolledFeed:
    """With its account and source. Raises NotFound."""
    rows = PolledFeed.objects.select_for_update(of=("self",)).select_related("account", "source")
    found = rows.filter(organization_id=organization_id, id=feed_id).first()
    if found is None:
        raise NotFound("There is no such feed.")
    return found


def release(row: PolledFeed) -> None:
    """Whoever reads it loses the turn, and writes nothing any more."""
    row.lease, row.leased_until = "", None


def told_over(row: PolledFeed, at: datetime) -> None:
    """What was told of a feed in trouble is over, if anything was."""
    if row.told_at is not None:
        audit.announce(organization_id=row.organization_id, kind=RECOVERED, key=f"source:{row.source_id}", at=at)
        row.told_at = None


def tell_stopped(row: PolledFeed, at: datetime) -> None:
    """Once, until it is over."""
    if row.told_at is None:
        details = {"reason": row.last_message, "code": row.last_code, "state": row.state}
        audit.announce(
            organization_id=row.organization_id, kind=STOPPED, key=f"source:{row.source_id}", at=at, details=details
        )
        row.told_at = at


def note_feed(verb: str, row: PolledFeed, by: Actor, at: datetime, details: dict[str, Any] | None = None) -> None:
    audit.record(
        organization_id=row.organization_id, verb=verb, subject_kind="feed", subject_id=row.id,
        subject_label=row.name, details=details, by=by, at=at,
    )  # fmt: skip


def note_account(
    verb: str, row: ConnectedAccount, by: Actor, at: datetime, details: dict[str, Any] | None = None
) -> None:
    audit.record(
        organization_id=row.organization_id, verb=verb, subject_kind="account", subject_id=row.id,
        subject_label=row.label, details=details, by=by, at=at,
    )  # fmt: skip


def _sealer() -> Sealer:
    return Sealer((settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS), purpose=CREDENTIAL)
