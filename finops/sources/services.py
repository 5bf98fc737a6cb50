"""Sources: configured, renamed, archived; access to their administration. A source's slug is part of every charge's
identity and never changes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import IntegrityError, transaction

from finops.audit import services as audit
from finops.connectors.addresses import check_address
from finops.connectors.enforcement import CONNECTORS
from finops.core.actors import Actor
from finops.core.errors import FinopsError, Invalid, NotFound
from finops.core.sealing import Sealer
from finops.orgs.services.checks import SlugTaken, clean_name, clean_slug
from finops.sources.kinds import ACCOUNT, GATEWAY, SEATS
from finops.sources.models import ACCESS, Source, SourceAccess

KINDS: Final = (
    *("api", "cloudevents", "file", "litellm", "gateway", "otlp"),
    *("helicone", "portkey", "langfuse"),
    *("openmeter", "openrouter", "google", "managed-agents"),
)
LONGEST_DELAY: Final = timedelta(days=3)
LONGEST_EFFECT: Final = timedelta(hours=1)
_LONGEST_CREDENTIAL: Final = 2_000


class SourceInvalid(Invalid):
    code = "sources.invalid"


class SourceArchived(FinopsError):
    code = "sources.archived"
    status = 409


@transaction.atomic
def add_source(
    *,
    organization_id: int,
    slug: str,
    name: str = "",
    kind: str = "api",
    level: str = Source.Level.METERED,
    revises: bool = False,
    states: str = "",
    by: Actor,
    at: datetime,
) -> Source:
    """Raises SlugInvalid, SlugTaken, NameInvalid, and SourceInvalid for a kind or level there is not."""
    if kind not in (*KINDS, ACCOUNT, SEATS):
        raise SourceInvalid(f"kind is one of {', '.join(KINDS)}", field="kind")
    if level not in Source.Level.values:
        raise SourceInvalid(f"level is one of {', '.join(Source.Level.values)}", field="level")
    row = Source(
        organization_id=organization_id,
        slug=clean_slug(slug),
        name=clean_name(name or slug),
        kind=kind,
        level=level,
        revises=revises,
        states=states,
    )
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        raise SlugTaken(f"The slug {row.slug!r} is taken.", field="slug") from None
    _note(
        "source.added",
        row,
        by,
        at,
        {"slug": row.slug, "kind": kind, "level": level, "revises": revises, "states": states},
    )
    return row


def ensure_source(*, organization_id: int, slug: str, kind: str, by: Actor, at: datetime) -> Source:
    """The source of that slug, made when it is first needed. Raises what `add_source` does for a bad slug or kind, and
    SourceArchived.
    """
    rows = Source.objects.filter(organization_id=organization_id, slug=slug)
    found = rows.first()
    if found is None:
        try:
            found = add_source(organization_id=organization_id, slug=slug, kind=kind, by=by, at=at)
        except SlugTaken:
            # Somebody made it between our look and our write.
            found = rows.get()
    refuse_archived(found)
    return found


def ensure_gateway_source(*, organization_id: int, by: Actor, at: datetime) -> Source:
    """The source of what our own gateway meters. It revises: a call that broke off is charged as estimated, until its
    figure comes.
    """
    found = Source.objects.filter(organization_id=organization_id, slug=GATEWAY).first()
    return found or add_source(
        organization_id=organization_id,
        slug=GATEWAY,
        name="Capstan gateway",
        kind="gateway",
        revises=True,
        by=by,
        at=at,
    )


def refuse_archived(source: Source) -> None:
    """Raises SourceArchived."""
    if source.archived_at is not None:
        raise SourceArchived(f"The source {source.slug!r} is archived and takes no usage.", field="source")


@transaction.atomic
def rename_source(*, organization_id: int, source_id: int, name: str, by: Actor, at: datetime) -> Source:
    """Raises NameInvalid and NotFound."""
    row = _locked(organization_id, source_id)
    before, row.name = row.name, clean_name(name)
    if before != row.name:
        row.save(update_fields=["name"])
        _note("source.renamed", row, by, at, {"before": before, "after": row.name})
    return row


@transaction.atomic
def archive_source(*, organization_id: int, source_id: int, by: Actor, at: datetime) -> Source:
    """Refuses usage from now on; what came by it stays. Raises NotFound."""
    row = _locked(organization_id, source_id)
    if row.archived_at is None:
        row.archived_at = at
        row.save(update_fields=["archived_at"])
        _note("source.archived", row, by, at, {})
    return row


def is_sent_to(source: Source) -> bool:
    """Whether somebody sends by it: it is not fetched, nor made by the house itself."""
    return source.kind not in (ACCOUNT, SEATS) and source.slug != GATEWAY


@transaction.atomic
def pause_source(*, organization_id: int, source_id: int, by: Actor, at: datetime) -> Source:
    """Keep what it sends from now on, and book none of it: it waits in quarantine. Nobody who sends learns of it, for
    many could not send it again. Raises NotFound, SourceArchived, and SourceInvalid for what is no source of senders.
    """
    row = _locked(organization_id, source_id)
    refuse_archived(row)
    if not is_sent_to(row):
        raise SourceInvalid("nobody sends by this source: what is fetched is paused by its feed", field="source")
    if row.paused_at is None:
        row.paused_at = at
        row.save(update_fields=["paused_at"])
        _note("source.paused", row, by, at, {})
    return row


@transaction.atomic
def resume_source(*, organization_id: int, source_id: int, by: Actor, at: datetime) -> Source:
    """Book what it sends again; what waits is replayed from quarantine. Raises NotFound."""
    row = _locked(organization_id, source_id)
    if row.paused_at is not None:
        since, row.paused_at = row.paused_at, None
        row.save(update_fields=["paused_at"])
        _note("source.resumed", row, by, at, {"paused_at": since.isoformat()})
    return row


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
    """Say how a source's administration is reached; what was said before is replaced. What is unsaid is as the
    connector knows it. Raises NotFound, SourceArchived, SourceInvalid, AddressRefused.
    """
    source = _locked(organization_id, source_id)
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
    source = _locked(organization_id, source_id)
    gone, _ = SourceAccess.objects.filter(organization_id=organization_id, source=source).delete()
    if gone:
        _note("source.access_removed", source, by, at, {})


def open_access(row: SourceAccess) -> Opened:
    """Raises CannotOpen when the house's secret was changed and the former one is not named."""
    return Opened(row.connector, row.address, _sealer().open(row.sealed))


def _sealer() -> Sealer:
    return Sealer((settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS), purpose=ACCESS)


def _locked(organization_id: int, source_id: int) -> Source:
    row = Source.objects.select_for_update().filter(organization_id=organization_id, id=source_id).first()
    if row is None:
        raise NotFound("There is no such source.")
    return row


def _note(verb: str, row: Source, by: Actor, at: datetime, details: dict[str, object]) -> None:
    audit.record(
        organization_id=row.organization_id,
        verb=verb,
        subject_kind="source",
        subject_id=row.id,
        subject_label=row.name,
        details=details,
        by=by,
        at=at,
    )
