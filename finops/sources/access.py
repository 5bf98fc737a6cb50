"""Access to a source's administration: set, opened for a call, taken away. The credential is shown to nobody again."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import transaction

from finops.audit import services as audit
from finops.connectors.enforcement import CONNECTORS
from finops.connectors.outgoing import check_address
from finops.core.actors import Actor
from finops.core.errors import NotFound
from finops.core.sealing import Sealer
from finops.sources.models import Source, SourceAccess
from finops.sources.services import SourceInvalid, refuse_archived

LONGEST_DELAY: Final = timedelta(days=3)
LONGEST_EFFECT: Final = timedelta(hours=1)
_LONGEST_CREDENTIAL: Final = 2_000


@dataclass(frozen=True, slots=True)
class Opened:
    """What a call needs; the credential is not shown where this is printed."""

    connector: str
    address: str
    credential: str = field(repr=False)


@transaction.atomic
def set_access(
    *,
    organization_id: int,
    source_id: int,
    connector: str,
    credential: str,
    address: str = "",
    reporting_delay: timedelta | None = None,
    takes_effect: timedelta | None = None,
    by: Actor,
    at: datetime,
) -> SourceAccess:
    """Say how a source's administration is reached; what was said before is replaced. What is unsaid is as the connector
    knows it. Raises NotFound, SourceArchived, SourceInvalid, AddressRefused.
    """
    source = _source(organization_id, source_id)
    refuse_archived(source)
    known = CONNECTORS.get(connector)
    if known is None:
        raise SourceInvalid(f"connector is one of {', '.join(CONNECTORS)}", field="connector")
    credential = credential.strip()
    if not 1 <= len(credential) <= _LONGEST_CREDENTIAL or not credential.isascii() or not credential.isprintable():
        raise SourceInvalid("a credential is one line of printable characters", field="credential")
    address = address or known.address
    check_address(address, internal=settings.INTERNAL_HOSTS)
    delay = known.reporting_delay if reporting_delay is None else reporting_delay
    effect = known.takes_effect if takes_effect is None else takes_effect
    if not timedelta(0) < delay <= LONGEST_DELAY:
        raise SourceInvalid("usage is told within three days", field="reporting_delay_s")
    if not timedelta(0) <= effect <= LONGEST_EFFECT:
        raise SourceInvalid("a block takes effect within an hour", field="takes_effect_s")
    row, _ = SourceAccess.objects.update_or_create(
        organization_id=organization_id,
        source=source,
        defaults={
            "connector": connector,
            "address": address,
            "sealed": _sealer().seal(credential),
            "reporting_delay": delay,
            "takes_effect": effect,
            "set_at": at,
        },
    )
    details = {"connector": connector, "address": address, "reporting_delay_s": delay.total_seconds()}
    _note("source.access_set", source, by, at, details)
    return row


@transaction.atomic
def remove_access(*, organization_id: int, source_id: int, by: Actor, at: datetime) -> None:
    """Forget the credential. Keys that are blocked stay so, for nobody can give them back. Raises NotFound."""
    source = _source(organization_id, source_id)
    gone, _ = SourceAccess.objects.filter(organization_id=organization_id, source=source).delete()
    if gone:
        _note("source.access_removed", source, by, at, {})


def open_access(row: SourceAccess) -> Opened:
    """Raises CannotOpen when the house's secret was changed and the former one is not named."""
    return Opened(row.connector, row.address, _sealer().open(row.sealed))


def access_of(organization_id: int, source: Source) -> SourceAccess:
    """Raises NotFound."""
    found = SourceAccess.objects.filter(organization_id=organization_id, source=source).first()
    if found is None:
        raise NotFound("The source's administration cannot be reached: no access is set.")
    return found


def _sealer() -> Sealer:
    return Sealer((settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS), purpose="capstan.sources.access.v1")


def _source(organization_id: int, source_id: int) -> Source:
    found = Source.objects.select_for_update().filter(organization_id=organization_id, id=source_id).first()
    if found is None:
        raise NotFound("There is no such source.")
    return found


def _note(verb: str, source: Source, by: Actor, at: datetime, details: dict[str, object]) -> None:
    audit.record(
        organization_id=source.organization_id,
        verb=verb,
        subject_kind="source",
        subject_id=source.id,
        subject_label=source.name,
        details=details,
        by=by,
        at=at,
    )
