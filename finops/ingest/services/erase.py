"""Erases a person everywhere below: in orgs, and what sources called them in the ledger and in statements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from django.db import transaction

from finops.core.actors import Actor
from finops.ledger.services import forget_identities, names_of_others
from finops.orgs import selectors as orgs_selectors
from finops.orgs import services as orgs
from finops.orgs.models import Identity, Person
from finops.statements import services as statements

# What rooms above know of people: called with the person as they are called now, and the (kind, value) names they had.
Forget = Callable[[Person, Sequence[tuple[str, str]]], None]
_forgetting: Final[list[Forget]] = []


def forget_by(forget: Forget) -> None:
    """Have a function called in the transaction of each erasure. Once, when the process starts."""
    if forget not in _forgetting:
        _forgetting.append(forget)


@transaction.atomic
def erase_person(*, organization_id: int, person_id: int, by: Actor, at: datetime) -> Person:
    """Pseudonymise a person for good, in the names orgs keeps and in what charges were told of their owner. No charge
    changes hands, nor does it when history is attributed anew. Twice is as good as once. Raises LastOwner and NotFound.

    Records in quarantine and the tags of charges are kept as they came: see this room's README.
    """
    before: Person = orgs_selectors.owner(organization_id, "person", person_id)
    slug = before.slug
    names = list(
        Identity.objects.filter(organization_id=organization_id, person_id=person_id).values_list("kind", "value")
    )
    if before.email:
        names.append((Identity.Kind.EMAIL, before.email))
    after = orgs.erase_person(organization_id=organization_id, person_id=person_id, by=by, at=at)
    # First: what they keep would write the names into the ledger again, behind us.
    for forget in _forgetting:
        forget(after, names)
    forget_identities(
        organization_id=organization_id,
        person_slug=after.slug,
        old_slugs=[slug] if slug != after.slug else [],
        identities=names,
    )
    # A name that is somebody else's too still names that one.
    others = names_of_others(organization_id)
    statements.forget(
        organization_id=organization_id,
        identities=[(kind, value) for kind, value in names if (kind, value.lower()) not in others],
    )
    return after
