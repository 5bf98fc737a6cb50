"""People and the names they go by; and erasure, which takes the names away and leaves the money."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction

from finops.api.models import FirstAnswer
from finops.core.actors import Actor
from finops.core.errors import FinopsError, Invalid
from finops.orgs.models import Identity, Membership, Person, Team, User, VirtualKey
from finops.orgs.services.checks import (
    PersonErased,
    SlugTaken,
    active,
    clean_name,
    clean_slug,
    free_slug,
    locked,
    save_new,
)
from finops.orgs.services.keys import revoke_key
from finops.orgs.services.members import refuse_last_owner
from finops.orgs.services.owners import note

_KINDS: Final = frozenset(Identity.Kind.values)
# Words below `people/` in addresses.
_NO_SLUGS: Final = frozenset({"discovered"})


class IdentityTaken(FinopsError):
    """Another person of the organization goes by this name already."""

    code = "orgs.identity_taken"
    status = 409


class IdentityInvalid(Invalid):
    code = "orgs.identity_invalid"


class EmailInvalid(Invalid):
    code = "orgs.email_invalid"


class AssigneeUnclear(Invalid):
    """A name is given to one person: one there is, or a new one."""

    code = "orgs.assignee_unclear"


@transaction.atomic
def add_person(
    *,
    organization_id: int,
    name: str,
    slug: str = "",
    email: str = "",
    team_id: int | None = None,
    user_id: int | None = None,
    identities: Iterable[tuple[str, str]] = (),
    by: Actor,
    at: datetime,
) -> Person:
    """Somebody who spends. The e-mail address becomes an identity of its own; `identities` are (kind, value) pairs.

    Raises NameInvalid, EmailInvalid, SlugInvalid, SlugTaken, OwnerUnknown, IdentityInvalid and IdentityTaken.
    """
    row = Person(
        organization_id=organization_id,
        name=clean_name(name),
        email=clean_email(email) if email else "",
        team_id=active(Team, organization_id, team_id, field="team"),
        user_id=user_id,
    )
    row.slug = clean_slug(slug) if slug else free_slug(Person, organization_id, row.name, kind="person")
    if row.slug in _NO_SLUGS:
        if slug:
            raise SlugTaken(f"The slug {row.slug!r} is taken.", field="slug")
        row.slug = free_slug(Person, organization_id, f"{row.name} person", kind="person")
    save_new(row, slug=row.slug)
    note("person.added", "person", row, by, at, {"team_id": team_id})
    wanted = list(identities)
    if row.email and not any(kind == Identity.Kind.EMAIL and value.lower() == row.email for kind, value in wanted):
        wanted.insert(0, (Identity.Kind.EMAIL, row.email))
    for kind, value in wanted:
        add_identity(organization_id=organization_id, person_id=row.id, kind=kind, value=value, by=by, at=at)
    return row


@transaction.atomic
def add_identity(*, organization_id: int, person_id: int, kind: str, value: str, by: Actor, at: datetime) -> Identity:
    """One more name a person goes by. The same name for the same person again changes nothing.

    Raises IdentityInvalid, IdentityTaken, PersonErased and NotFound.
    """
    person: Person = locked(Person, organization_id, person_id, "person")
    if person.erased_at is not None:
        raise PersonErased("This person was erased.")
    if kind not in _KINDS:
        raise IdentityInvalid(f"kind is one of {', '.join(sorted(_KINDS))}", field="kind")
    cleaned = value.strip()
    if not cleaned or len(cleaned) > 200 or not cleaned.isprintable():
        raise IdentityInvalid("value has 1 to 200 printable characters", field="value")
    known = Identity.objects.filter(
        organization_id=organization_id, kind=kind, value__iexact=cleaned, archived_at__isnull=True
    ).first()
    if known is not None and known.person_id == person_id:
        return known
    row = Identity(organization_id=organization_id, person=person, kind=kind, value=cleaned)
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        raise IdentityTaken(f"Another person goes by this {kind} already.", field="value") from None
    note("person.identity_added", "person", person, by, at, {"identity_id": row.id, "kind": kind})
    return row


@transaction.atomic
def assign_identity(
    *,
    organization_id: int,
    kind: str,
    value: str,
    person_id: int | None = None,
    name: str = "",
    by: Actor,
    at: datetime,
) -> Identity:
    """A name that sources told is a person's from now on: of one there is, or of a new one called `name`, who gets it
    as e-mail address too where it is one. Raises AssigneeUnclear, and what `add_person` and `add_identity` raise.
    """
    if (person_id is None) == (not name.strip()):
        raise AssigneeUnclear("Say a person, or the name of a new one.", field="person")
    if person_id is None:
        email = value if kind == Identity.Kind.EMAIL and _is_email(value) else ""
        person_id = add_person(organization_id=organization_id, name=name, email=email, by=by, at=at).id
    return add_identity(organization_id=organization_id, person_id=person_id, kind=kind, value=value, by=by, at=at)


def _is_email(raw: str) -> bool:
    try:
        clean_email(raw)
    except EmailInvalid:
        return False
    return True


@transaction.atomic
def remove_identity(*, organization_id: int, identity_id: int, by: Actor, at: datetime) -> Identity:
    """Usage from now on no longer names the person by it; what was attributed stays. Raises NotFound."""
    row: Identity = locked(Identity, organization_id, identity_id, "identity")
    if row.archived_at is None:
        row.archived_at = at
        row.save(update_fields=["archived_at"])
        note("person.identity_removed", "person", row.person, by, at, {"identity_id": row.id, "kind": row.kind})
    return row


@transaction.atomic
def erase_person(*, organization_id: int, person_id: int, by: Actor, at: datetime) -> Person:
    """Pseudonymise: name, slug, e-mail and identities are blanked, the login is detached, keys of theirs are revoked.
    Charges are not touched: they name an id, which now reads "Person 00ab". Cannot be undone; twice is as good as once.

    Raises LastOwner when the person's login is the organization's only owner, and NotFound.
    """
    row: Person = locked(Person, organization_id, person_id, "person")
    if row.erased_at is not None:
        return row
    user = row.user
    if user is not None:
        _end_membership(organization_id, user, at)
    mine = Identity.objects.filter(organization_id=organization_id, person=row)
    _blank_answers(organization_id, {row.name, row.slug, row.email, *mine.values_list("value", flat=True)})
    tag = f"{row.id:04x}"
    row.name, row.slug, row.email, row.user = f"Person {tag}", f"person-{tag}", "", None
    row.erased_at = at
    row.archived_at = row.archived_at or at
    if Person.objects.filter(organization_id=organization_id, slug=row.slug).exclude(id=row.id).exists():
        row.slug = f"erased-person-{tag}-{row.id}"
    row.save(update_fields=["name", "slug", "email", "user", "erased_at", "archived_at"])
    for identity in mine:
        identity.value = f"erased:{identity.id}"
        identity.archived_at = identity.archived_at or at
        identity.save(update_fields=["value", "archived_at"])
    # A key of theirs is a credential of somebody who is gone, and its name may hold theirs.
    VirtualKey.objects.filter(organization_id=organization_id, person=row).update(name=f"Key of person {tag}")
    for key_id in VirtualKey.objects.filter(person=row, revoked_at__isnull=True).values_list("id", flat=True):
        revoke_key(organization_id=organization_id, key_id=key_id, by=by, at=at)
    if user is not None and not Membership.objects.filter(user=user, archived_at__isnull=True).exists():
        _blank_login(user)
    note("person.erased", "person", row, by, at, {})
    return row


def _blank_answers(organization_id: int, names: set[str]) -> None:
    """Answers kept for repeated requests forget what they said; the keys stay, so that a repeat still does nothing."""
    kept = FirstAnswer.objects.filter(organization_id=organization_id, answer__isnull=False).only("id", "answer")
    wanted = {json.dumps(name.lower(), ensure_ascii=False)[1:-1] for name in names if name}
    naming = [
        row.id
        for row in kept.iterator(chunk_size=500)
        if any(name in json.dumps(row.answer, ensure_ascii=False).lower() for name in wanted)
    ]
    FirstAnswer.objects.filter(id__in=naming).update(answer=None)


def _end_membership(organization_id: int, user: User, at: datetime) -> None:
    membership = Membership.objects.filter(organization_id=organization_id, user=user, archived_at__isnull=True).first()
    if membership is not None:
        refuse_last_owner(membership)
        membership.archived_at = at
        membership.save(update_fields=["archived_at"])
        membership.teams.clear()


def _blank_login(user: User) -> None:
    """A login of no organization any more: nothing of it says who it was, and nobody can use it."""
    EmailAddress.objects.filter(user=user).delete()
    Authenticator.objects.filter(user=user).delete()
    user.email = f"erased-{user.id}@erased.invalid"
    user.name = ""
    user.is_active = False
    user.set_unusable_password()
    user.save(update_fields=["email", "name", "is_active", "password"])


def clean_email(raw: str) -> str:
    """Lower case. Raises EmailInvalid."""
    email = raw.strip().lower()
    try:
        validate_email(email)
    except ValidationError:
        raise EmailInvalid("this is not an e-mail address", field="email") from None
    if len(email) > 254:
        raise EmailInvalid("an e-mail address has at most 254 characters", field="email")
    return email
