"""Upstreams, deployments and keys' wishes: made, changed, archived; audited, with nothing of a credential in the trail.

Gateways hear of a change with the next publication, in under a second.
"""

from __future__ import annotations

import uuid
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from django.conf import settings
from django.db import IntegrityError, transaction

from finops.audit import services as audit
from finops.core.actors import Actor
from finops.core.errors import FinopsError, NotFound
from finops.core.sealing import Sealer
from finops.orgs import selectors as orgs
from finops.orgs.models import VirtualKey
from finops.orgs.services.keys import KeyRevoked
from routing.upstreams import rules, selectors
from routing.upstreams.hot import sealer
from routing.upstreams.models import Deployment, KeyWishes, Upstream, UpstreamsVersion
from routing.upstreams.types import Auth, DeploymentDraft, UpstreamDraft, WishesDraft

MOST_UPSTREAMS: Final = 200
MOST_DEPLOYMENTS: Final = 2_000
_SAID: Final = (
    "name", "dialect", "base_url", "provider", "host", "auth", "headers", "region", "any_model", "weight", "connect_s",
    "first_byte_s", "total_s", "bills_cancelled",
)  # fmt: skip


class UpstreamNameTaken(FinopsError):
    """An archived upstream keeps its name: it may be taken back into use."""

    code = "upstreams.name_taken"
    status = 409


class UpstreamArchived(FinopsError):
    code = "upstreams.archived"
    status = 409


class TooManyUpstreams(FinopsError):
    code = "upstreams.too_many"
    status = 409


class CredentialNeeded(FinopsError):
    """A credential is for one origin, and is not sent to another because somebody changed an address."""

    code = "upstreams.credential_needed"
    status = 409


@transaction.atomic
def create_upstream(
    *, organization_id: int, draft: UpstreamDraft, credential: str = "", by: Actor, at: datetime
) -> Upstream:
    """Raises UpstreamInvalid, AddressRefused, UpstreamNameTaken and TooManyUpstreams."""
    draft = rules.check_upstream(draft, internal=settings.INTERNAL_HOSTS)
    _changed(organization_id)
    if Upstream.objects.filter(organization_id=organization_id).count() >= MOST_UPSTREAMS:
        raise TooManyUpstreams(f"An organization has at most {MOST_UPSTREAMS} upstreams, archived ones among them.")
    row = Upstream(organization_id=organization_id, changed_at=at)
    _say(row, draft)
    _seal(row, credential, at)
    _save(row)
    _note("upstream.added", row, _said(row), by, at)
    return row


@transaction.atomic
def change_upstream(
    *, organization_id: int, upstream_id: int, draft: UpstreamDraft, credential: str = "", by: Actor, at: datetime
) -> Upstream:
    """Everything but archiving. An empty credential keeps the one there is, unless the address is now another server's.
    Raises as `create_upstream`, NotFound, UpstreamArchived and CredentialNeeded.
    """
    draft = rules.check_upstream(draft, internal=settings.INTERNAL_HOSTS)
    _changed(organization_id)
    row = _live(organization_id, upstream_id)
    before, had, server = _said(row), row.auth != Auth.NONE, rules.origin(row.base_url)
    _say(row, draft)
    if row.auth == Auth.NONE or credential or not had:
        _seal(row, credential, at)
    elif rules.origin(row.base_url) != server:
        raise CredentialNeeded(
            "The address is another server's: give the credential that is for that one.", field="credential"
        )
    after = _said(row)
    changed: dict[str, Any] = {name: [before[name], after[name]] for name in after if before[name] != after[name]}
    if credential:
        changed["credential"] = "replaced"
    if changed:
        row.changed_at = at
        _save(row)
        _note("upstream.changed", row, changed, by, at)
    return row


@transaction.atomic
def rotate_credential(*, organization_id: int, upstream_id: int, credential: str, by: Actor, at: datetime) -> Upstream:
    """Calls are sent with this one from now on; those under way end with theirs. Raises UpstreamInvalid, NotFound and
    UpstreamArchived.
    """
    _changed(organization_id)
    row = _live(organization_id, upstream_id)
    if row.auth == Auth.NONE:
        raise rules.UpstreamInvalid("no credential is sent there: auth is none", field="credential")
    _seal(row, credential, at)
    row.changed_at = at
    row.save(update_fields=["sealed", "hint", "credential_at", "changed_at"])
    _note("upstream.credential_rotated", row, {}, by, at)
    return row


@transaction.atomic
def archive_upstream(*, organization_id: int, upstream_id: int, by: Actor, at: datetime) -> Upstream:
    """No call goes there any more. Raises NotFound; again changes nothing."""
    _changed(organization_id)
    row = _locked(organization_id, upstream_id)
    if row.archived_at is None:
        row.archived_at = row.changed_at = at
        row.save(update_fields=["archived_at", "changed_at"])
        _note("upstream.archived", row, {}, by, at)
    return row


@transaction.atomic
def restore_upstream(*, organization_id: int, upstream_id: int, by: Actor, at: datetime) -> Upstream:
    """As it was, with its deployments and its credential. Raises NotFound; again changes nothing."""
    _changed(organization_id)
    row = _locked(organization_id, upstream_id)
    if row.archived_at is not None:
        row.archived_at, row.changed_at = None, at
        row.save(update_fields=["archived_at", "changed_at"])
        _note("upstream.restored", row, {}, by, at)
    return row


@transaction.atomic
def set_deployment(
    *, organization_id: int, upstream_id: int, draft: DeploymentDraft, by: Actor, at: datetime
) -> Deployment:
    """A model at an upstream; said again of the same model, it replaces what was said. Raises UpstreamInvalid,
    NotFound, UpstreamArchived and TooManyUpstreams.
    """
    draft = rules.check_deployment(draft)
    _changed(organization_id)
    upstream = _live(organization_id, upstream_id)
    where: dict[str, Any] = {"organization_id": organization_id, "upstream": upstream, "model": draft.model}
    ours = Deployment.objects.filter(organization_id=organization_id)
    if not ours.filter(**where).exists() and ours.count() >= MOST_DEPLOYMENTS:
        raise TooManyUpstreams(f"An organization has at most {MOST_DEPLOYMENTS:,} deployments.")
    says = {"upstream_model": draft.upstream_model, "rank": draft.rank, "weight": draft.weight}
    row, _ = Deployment.objects.update_or_create(**where, defaults={**says, "changed_at": at})
    _note("deployment.set", upstream, {"model": row.model, **says}, by, at)
    return row


@transaction.atomic
def remove_deployment(*, organization_id: int, upstream_id: int, deployment_id: int, by: Actor, at: datetime) -> None:
    """Raises NotFound."""
    _changed(organization_id)
    where = {"organization_id": organization_id, "upstream_id": upstream_id, "id": deployment_id}
    row = Deployment.objects.select_for_update(of=("self",)).select_related("upstream").filter(**where).first()
    if row is None:
        raise NotFound("There is no such deployment.")
    row.delete()
    details = {"model": row.model, "upstream_model": row.upstream_model}
    _note("deployment.removed", row.upstream, details, by, at)


@transaction.atomic
def set_wishes(*, organization_id: int, key_id: int, draft: WishesDraft, by: Actor, at: datetime) -> KeyWishes:
    """What the calls of a key wish from now on, in place of what they wished. Raises UpstreamInvalid, NotFound and
    KeyRevoked.
    """
    draft = rules.check_wishes(draft)
    _changed(organization_id)
    key: VirtualKey = orgs.owner(organization_id, "key", key_id)
    if key.revoked_at is not None:
        raise KeyRevoked("This key is revoked: it makes no calls that could wish anything.")
    row = KeyWishes.objects.filter(organization_id=organization_id, key=key).first()
    before = _told(WishesDraft() if row is None else wishes_draft(row))
    after = _told(draft)
    changed = {name: [before[name], after[name]] for name in after if before[name] != after[name]}
    if row is None or changed:
        row = KeyWishes(organization_id=organization_id, key=key, changed_at=at, **asdict(draft))
        row.order = list(draft.order)
        row.save()
        _note("key.wishes_set", key, changed, by, at)
    return row


@transaction.atomic
def clear_wishes(*, organization_id: int, key_id: int, by: Actor, at: datetime) -> None:
    """Calls of the key wish nothing any more but what they say themselves. Raises NotFound."""
    _changed(organization_id)
    row = selectors.wishes_of(organization_id, key_id)
    key, said = row.key, _told(wishes_draft(row))
    row.delete()
    _note("key.wishes_cleared", key, said, by, at)


def wishes_draft(row: KeyWishes) -> WishesDraft:
    """What a key wishes, as it is."""
    return WishesDraft(tuple(row.order), row.only, row.sort, row.most_per_million)


def sending_headers(row: Upstream) -> dict[str, str]:
    """What a request there carries, its credential among it. Raises CannotOpen."""
    headers = dict(row.headers)
    if row.auth != Auth.NONE:
        credential = _sealer().open(row.sealed)
        bearer = row.auth == Auth.BEARER
        headers["Authorization" if bearer else row.auth] = f"Bearer {credential}" if bearer else credential
    return headers


def draft_of(row: Upstream) -> UpstreamDraft:
    """The upstream as it is, to be changed in part."""
    return UpstreamDraft(labels=tuple(row.labels), **{name: getattr(row, name) for name in _SAID})


def _say(row: Upstream, draft: UpstreamDraft) -> None:
    for name in _SAID:
        setattr(row, name, getattr(draft, name))
    row.headers, row.labels = dict(draft.headers), list(draft.labels)


def _seal(row: Upstream, credential: str, at: datetime) -> None:
    credential = rules.check_credential(credential, auth=row.auth)
    row.sealed, row.hint = _sealer().seal(credential) if credential else b"", rules.hint_of(credential)
    row.credential_at = at if credential else None


def _sealer() -> Sealer:
    return sealer((settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS))


def _save(row: Upstream) -> None:
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError as error:
        if "upstream_name_once" in str(error):
            raise UpstreamNameTaken(f"The name {row.name!r} is taken.", field="name") from None
        raise


def _said(row: Upstream) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _SAID} | {"labels": list(row.labels)}


def _changed(organization_id: int) -> None:
    """What is published is stale. One writer at a time, until the transaction ends."""
    UpstreamsVersion.objects.update_or_create(organization_id=organization_id, defaults={"token": uuid.uuid4()})


def _locked(organization_id: int, upstream_id: int) -> Upstream:
    row = Upstream.objects.select_for_update().filter(organization_id=organization_id, id=upstream_id).first()
    if row is None:
        raise NotFound("There is no such upstream.")
    return row


def _live(organization_id: int, upstream_id: int) -> Upstream:
    row = _locked(organization_id, upstream_id)
    if row.archived_at is not None:
        raise UpstreamArchived("An archived upstream does not change; restore it first.")
    return row


def _note(verb: str, row: Upstream | VirtualKey, details: dict[str, Any], by: Actor, at: datetime) -> None:
    """In the row's own story. A key's not by its name: people put people's names there, and the trail cannot be
    rewritten.
    """
    kind, label = ("key", row.prefix) if isinstance(row, VirtualKey) else ("upstream", row.name)
    audit.record(
        organization_id=row.organization_id,
        verb=verb,
        subject_kind=kind,
        subject_id=row.id,
        subject_label=label,
        details=details,
        by=by,
        at=at,
    )


def _told(draft: WishesDraft) -> dict[str, Any]:
    """Wishes as the trail shows them."""
    most = draft.most_per_million
    return asdict(draft) | {"order": list(draft.order), "most_per_million": None if most is None else str(most)}
