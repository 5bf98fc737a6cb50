"""The cast every story is told with: acme with Alice, Bob and Dana; globex with Charlie."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from finops.core.actors import Actor, system
from finops.orgs import models, services

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)
HOUSE = system("tests")


@dataclass(frozen=True, slots=True)
class Cast:
    """Two organizations. Alice owns acme, Bob is an engineer of Search, Dana is finance; Charlie owns globex."""

    acme: models.Organization
    globex: models.Organization
    search: models.Team
    chat: models.Team
    alice: models.Person
    bob: models.Person
    dana: models.Person
    charlie: models.Person

    @property
    def alice_login(self) -> models.User:
        return _login(self.alice)

    @property
    def bob_login(self) -> models.User:
        return _login(self.bob)

    @property
    def dana_login(self) -> models.User:
        return _login(self.dana)

    @property
    def charlie_login(self) -> models.User:
        return _login(self.charlie)


def _login(person: models.Person) -> models.User:
    assert person.user is not None
    return person.user


def actor(user: models.User) -> Actor:
    return Actor(f"user:{user.id}", str(user))


def member(
    organization: models.Organization, name: str, role: str, *, team: models.Team | None = None
) -> models.Person:
    """A person with a login and a membership, made by the product's own services."""
    email = f"{name.lower()}@{organization.slug}.example"
    membership = services.invite(organization_id=organization.id, email=email, name=name, role=role, by=HOUSE, at=NOON)
    return services.add_person(
        organization_id=organization.id,
        name=name,
        email=email,
        team_id=None if team is None else team.id,
        user_id=membership.user_id,
        by=HOUSE,
        at=NOON,
    )


def the_cast() -> Cast:
    acme = services.create_organization(slug="acme", name="Acme", by=HOUSE, at=NOON)
    globex = services.create_organization(slug="globex", name="Globex", by=HOUSE, at=NOON)
    search = services.add_team(organization_id=acme.id, name="Search", cost_centre="CC-100", by=HOUSE, at=NOON)
    chat = services.add_team(organization_id=acme.id, name="Chat", cost_centre="CC-200", by=HOUSE, at=NOON)
    return Cast(
        acme=acme,
        globex=globex,
        search=search,
        chat=chat,
        alice=member(acme, "Alice", "owner"),
        bob=member(acme, "Bob", "engineer", team=search),
        dana=member(acme, "Dana", "finance"),
        charlie=member(globex, "Charlie", "owner"),
    )
