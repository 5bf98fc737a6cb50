"""People go by many names, and can be forgotten without forgetting the money."""

from __future__ import annotations

import json
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.apps import apps
from django.core import serializers as dump

from finops.api.models import FirstAnswer
from finops.audit.models import AuditEvent
from finops.orgs import selectors, services
from finops.orgs.models import Identity, Membership, Person, User
from finops.orgs.services.checks import PersonErased
from finops.orgs.services.members import LastOwner
from finops.orgs.services.people import EmailInvalid, IdentityInvalid, IdentityTaken
from tests.factories.orgs import HOUSE, NOON, Cast, actor

WHO: dict[str, Any] = {"by": HOUSE, "at": NOON}


def test_a_person_goes_by_many_names_and_each_names_one_person(cast: Cast) -> None:
    here: dict[str, Any] = {"organization_id": cast.acme.id, **WHO}
    erin = services.add_person(
        name="Erin", email="Erin@Acme.Example", identities=[("github", "erin-codes"), ("key_alias", "erin-ci")], **here
    )
    known = {(row.kind, row.value) for row in selectors.identities(cast.acme.id, person_id=erin.id)}
    assert known == {("email", "erin@acme.example"), ("github", "erin-codes"), ("key_alias", "erin-ci")}
    # The same name for the same person changes nothing; for another it is refused, in whatever case.
    services.add_identity(person_id=erin.id, kind="github", value="ERIN-codes", **here)
    assert Identity.objects.filter(person=erin).count() == 3
    with pytest.raises(IdentityTaken):
        services.add_identity(person_id=cast.bob.id, kind="github", value="Erin-Codes", **here)
    # In another organization the same name may be somebody else.
    services.add_identity(
        organization_id=cast.globex.id, person_id=cast.charlie.id, kind="github", value="erin-codes", **WHO
    )
    # Once given up, it is free.
    given_up = Identity.objects.get(person=erin, kind="github")
    services.remove_identity(identity_id=given_up.id, **here)
    services.add_identity(person_id=cast.bob.id, kind="github", value="erin-codes", **here)


@pytest.mark.parametrize(("kind", "value"), [("fax", "1"), ("email", ""), ("email", "a\x00b"), ("github", "x" * 201)])
def test_an_identity_that_cannot_be_one_is_refused(cast: Cast, kind: str, value: str) -> None:
    with pytest.raises(IdentityInvalid):
        services.add_identity(organization_id=cast.acme.id, person_id=cast.bob.id, kind=kind, value=value, **WHO)


def test_an_address_that_is_none_is_refused(cast: Cast) -> None:
    with pytest.raises(EmailInvalid):
        services.add_person(organization_id=cast.acme.id, name="Erin", email="not an address", **WHO)


def test_erasure_leaves_no_trace_of_the_name_anywhere(cast: Cast) -> None:
    here: dict[str, Any] = {"organization_id": cast.acme.id, "by": actor(cast.alice_login), "at": NOON}
    erin = services.add_person(
        name="Erin Zanzibar",
        email="zanzibar@acme.example",
        team_id=cast.search.id,
        identities=[("github", "zanzibar-codes")],
        **here,
    )
    login = services.invite(email="zanzibar@acme.example", name="Erin Zanzibar", role="engineer", **here).user
    EmailAddress.objects.create(user=login, email=login.email, primary=True, verified=True)
    services.change_owner(kind="person", owner_id=erin.id, changes={"name": "Erin Q Zanzibar"}, **here)
    key = services.issue_key(name="Zanzibar's laptop", person_id=erin.id, **here)

    services.erase_person(person_id=erin.id, **here)
    services.erase_person(person_id=erin.id, **here)

    erin.refresh_from_db()
    assert (erin.name, erin.slug, erin.email, erin.user_id) == (
        f"Person {erin.id:04x}", f"person-{erin.id:04x}", "", None,
    )  # fmt: skip
    assert erin.team_id == cast.search.id  # a charge's team is not hers to take away
    assert AuditEvent.objects.filter(verb="person.erased").count() == 1
    with pytest.raises(selectors.KeyRefused):
        selectors.caller_for_key(key.secret, NOON)
    login.refresh_from_db()
    assert not login.is_active
    assert not login.has_usable_password()
    # Whatever is kept, in any table of ours or of the login's, the name is not in it: the trail included.
    for model in apps.get_models():
        if model._meta.app_label in {"orgs", "audit", "account", "jobs", "api"}:
            kept = dump.serialize("json", model._default_manager.all())
            assert "zanzibar" not in kept.lower(), model
    with pytest.raises(PersonErased):
        services.add_identity(person_id=erin.id, kind="github", value="again", **here)
    with pytest.raises(PersonErased):
        services.change_owner(kind="person", owner_id=erin.id, changes={"name": "Erin again"}, **here)


def test_answers_kept_for_repeated_requests_forget_an_erased_person(cast: Cast) -> None:
    kept: dict[str, Any] = {"caller": "user:1", "operation": "POST /x", "body_digest": "0", "status": 201}
    for key, organization, name in (("a", cast.acme, "Bob"), ("b", cast.acme, "Dana"), ("c", cast.globex, "Bob")):
        FirstAnswer.objects.create(
            organization_id=organization.id, key=key, answer={"people": [{"name": name}]}, created_at=NOON, **kept
        )
    services.erase_person(organization_id=cast.acme.id, person_id=cast.bob.id, **WHO)
    assert list(FirstAnswer.objects.filter(answer__isnull=True).values_list("key", flat=True)) == ["a"]


def test_a_login_of_two_organizations_outlives_erasure_in_one(cast: Cast) -> None:
    services.invite(organization_id=cast.globex.id, email=cast.bob.email, role="viewer", **WHO)
    login = cast.bob_login
    services.erase_person(organization_id=cast.acme.id, person_id=cast.bob.id, **WHO)
    login.refresh_from_db()
    assert login.is_active
    assert [each.slug for each in selectors.organizations_of(login)] == ["globex"]


def test_the_only_owner_cannot_be_erased_away(cast: Cast) -> None:
    with pytest.raises(LastOwner):
        services.erase_person(organization_id=cast.acme.id, person_id=cast.alice.id, **WHO)
    assert Person.objects.get(id=cast.alice.id).name == "Alice"
    assert Membership.objects.get(organization=cast.acme, user=cast.alice_login).archived_at is None


def test_the_trail_of_people_holds_ids_and_is_read_with_names(cast: Cast) -> None:
    services.change_owner(
        organization_id=cast.acme.id,
        kind="person",
        owner_id=cast.bob.id,
        changes={"name": "Robert"},
        by=actor(cast.alice_login),
        at=NOON,
    )
    event = AuditEvent.objects.get(verb="person.changed")
    assert json.dumps(event.details) == '{"fields": ["name"]}'
    assert (event.actor_label, event.subject_label) == ("", "")
    names = selectors.audit_names(cast.acme.id, [event])
    assert names == {event.actor: "Alice", f"person:{cast.bob.id}": "Robert"}
    # Globex has never heard of either.
    assert selectors.audit_names(cast.globex.id, [event]) == {}
    assert User.objects.filter(name="Alice").exists()
