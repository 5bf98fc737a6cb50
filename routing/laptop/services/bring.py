"""Brings the database to what a capstan.toml says, whole or not at all.

What is as the file says is left alone, so that saying it again changes nothing. What the file made and no longer names
is archived; what people made on pages stays.
"""

from __future__ import annotations

import getpass
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import connection, transaction

from finops.orgs import services as orgs
from finops.orgs.models import Agent, Identity, Organization, Person, Project
from finops.orgs.services.organizations import CurrencyStays
from finops.orgs.services.people import clean_email
from routing.laptop.errors import FileInvalid, SaidWrong
from routing.laptop.selectors import made_by
from routing.laptop.services.budgets import bring_budgets
from routing.laptop.services.making import CONFIG, Making
from routing.laptop.services.prices import bring_prices
from routing.laptop.services.upstreams import bring_upstreams
from routing.laptop.types import OrganizationSaid, PersonSaid, Wanted

SLUG: Final = "laptop"
_ME: Final = "me"


@dataclass(frozen=True, slots=True)
class Brought:
    """Whose it is, who calls, and what was changed, in words."""

    organization_id: int
    person_id: int
    changes: tuple[str, ...]


@transaction.atomic
def bring(wanted: Wanted, *, at: datetime) -> Brought:
    """Raises FileInvalid, and then nothing was changed."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('laptop'), 0)")
    making = Making(_organization(wanted.organization, at), at)
    person_id = _person(making, wanted.person)
    _owners(making, "project", wanted.projects)
    _owners(making, "agent", wanted.agents)
    bring_upstreams(making, wanted.upstreams)
    # Before budgets: those that go to cheaper models want to know their prices.
    bring_prices(making, wanted.prices, wanted.organization.currency)
    bring_budgets(making, wanted.budgets)
    making.mistakes.refuse()
    return Brought(making.organization_id, person_id, tuple(making.changes))


def _organization(said: OrganizationSaid, at: datetime) -> int:
    making = Making(0, at)
    changes: dict[str, Any] = {"name": said.name, "reporting_currency": said.currency}
    found = Organization.objects.filter(slug=SLUG).first()
    with making.mistakes.at("organization"):
        if found is None:
            return orgs.create_organization(slug=SLUG, **changes, **making.who).id
        try:
            return orgs.change_organization(organization_id=found.id, changes=changes, **making.who).id
        except CurrencyStays as refused:
            raise SaidWrong(refused.message, field="currency") from None
    raise FileInvalid(making.mistakes.found)


def _person(making: Making, said: PersonSaid) -> int:
    name = said.name.strip() or _login()
    found = Person.objects.filter(organization_id=making.organization_id, slug=_ME).first()
    with making.mistakes.at("person"):
        email = clean_email(said.email)
        if found is None:
            return orgs.add_person(
                organization_id=making.organization_id, slug=_ME, name=name, email=email, **making.who
            ).id
        if (found.name, found.email) != (name, email):
            _change_person(making, found, name, email)
        return found.id
    raise FileInvalid(making.mistakes.found)


def _change_person(making: Making, found: Person, name: str, email: str) -> None:
    mine: dict[str, Any] = {"organization_id": making.organization_id, **making.who}
    orgs.change_owner(kind="person", owner_id=found.id, changes={"name": name, "email": email}, **mine)
    orgs.add_identity(person_id=found.id, kind=Identity.Kind.EMAIL, value=email, **mine)
    making.tell("person changed")


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "Me"


def _owners(making: Making, kind: str, slugs: tuple[str, ...]) -> None:
    mine: dict[str, Any] = {"organization_id": making.organization_id, **making.who}
    model = Project if kind == "project" else Agent
    add = orgs.add_project if kind == "project" else orgs.add_agent
    known = {row.slug: row for row in model.objects.filter(organization_id=making.organization_id).order_by("id")}
    for index, slug in enumerate(slugs):
        with making.mistakes.at(f"attribution.{kind}s[{index}]"):
            if slug not in known:
                add(name=slug, slug=slug, **mine)
                making.tell(f"{kind} {slug} added")
            elif known[slug].archived_at is not None:
                orgs.restore(kind=kind, owner_id=known[slug].id, **mine)
                making.tell(f"{kind} {slug} restored")
    ours = made_by(making.organization_id, CONFIG, f"{kind}.added")
    for row in known.values():
        if row.id in ours and row.archived_at is None and row.slug not in slugs:
            orgs.archive(kind=kind, owner_id=row.id, **mine)
            making.tell(f"{kind} {row.slug} archived")
