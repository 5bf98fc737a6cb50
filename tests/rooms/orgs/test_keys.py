"""A virtual key's life: shown once, kept as a hash, used, rotated, revoked, expired."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from finops.audit.models import AuditEvent
from finops.orgs import secrets, selectors, services
from finops.orgs.models import VirtualKey
from finops.orgs.selectors import KeyRefused
from finops.orgs.services.keys import (
    KeyExpired,
    KeyExpiryInvalid,
    KeyGraceInvalid,
    KeyPermissionInvalid,
    KeyRevoked,
    note_use,
)
from tests.factories.orgs import HOUSE, NOON, Cast

WHO: dict[str, Any] = {"by": HOUSE, "at": NOON}


def test_the_secret_is_shown_once_and_only_its_hash_stays(cast: Cast) -> None:
    issued = services.issue_key(
        organization_id=cast.acme.id, name="CI", permissions=["usage.write", "spend.read"], **WHO
    )
    assert secrets.prefix_of(issued.secret) == issued.key.prefix
    assert issued.secret not in repr(issued)
    random_part = issued.secret.removeprefix(issued.key.prefix + "_")
    assert len(random_part) == 43
    row = VirtualKey.objects.values().get(id=issued.key.id)
    assert random_part not in str(row)
    assert random_part not in str(list(AuditEvent.objects.values()))
    caller = selectors.caller_for_key(issued.secret, NOON)
    assert caller.permissions == {"usage.write", "spend.read"}
    assert caller.actor.reference == f"key:{issued.key.prefix}"
    assert (caller.organization_id, caller.user_id, caller.reach) == (cast.acme.id, None, {})


def test_every_wrong_key_gets_one_answer(cast: Cast) -> None:
    good = services.issue_key(organization_id=cast.acme.id, name="CI", **WHO).secret
    other = "A" if good[-1] != "A" else "B"
    wrong = ["", "cap_", "Bearer", good[:-1], good[:-1] + other, good + "A", good.upper(), "cap_00000000_" + "a" * 43]
    answers = set()
    for secret in [*wrong, "cap_\x00", "é" * 56]:
        with pytest.raises(KeyRefused) as refused:
            selectors.caller_for_key(secret, NOON)
        answers.add((refused.value.message, refused.value.status))
    assert len(answers) == 1


def test_a_revoked_key_stops_at_once_and_for_good(cast: Cast) -> None:
    issued = services.issue_key(organization_id=cast.acme.id, name="CI", **WHO)
    for _ in range(2):
        services.revoke_key(organization_id=cast.acme.id, key_id=issued.key.id, **WHO)
    with pytest.raises(KeyRefused):
        selectors.caller_for_key(issued.secret, NOON)
    assert AuditEvent.objects.filter(verb="key.revoked").count() == 1
    with pytest.raises(KeyRevoked):
        services.rotate_key(organization_id=cast.acme.id, key_id=issued.key.id, **WHO)


def test_a_key_expires_on_the_instant(cast: Cast) -> None:
    end = NOON + timedelta(hours=1)
    issued = services.issue_key(organization_id=cast.acme.id, name="CI", expires_at=end, **WHO)
    selectors.caller_for_key(issued.secret, end - timedelta(microseconds=1))
    with pytest.raises(KeyRefused):
        selectors.caller_for_key(issued.secret, end)
    with pytest.raises(KeyExpiryInvalid):
        services.issue_key(organization_id=cast.acme.id, name="CI", expires_at=NOON, **WHO)


def test_a_key_that_is_rotated_is_the_same_key(cast: Cast) -> None:
    where: dict[str, Any] = {"organization_id": cast.acme.id, **WHO}
    old = services.issue_key(name="CI", **where)
    new = services.rotate_key(key_id=old.key.id, **where)
    assert (new.key.id, new.key.prefix) == (old.key.id, old.key.prefix)
    assert new.secret != old.secret
    last = NOON + timedelta(hours=24) - timedelta(microseconds=1)
    for secret in (old.secret, new.secret):
        assert selectors.key_for_secret(secret, last).key_id == old.key.id
    with pytest.raises(KeyRefused):
        selectors.caller_for_key(old.secret, NOON + timedelta(hours=24))
    # Rotated again, one of the two before is good, and with no overlap none is.
    third = services.rotate_key(key_id=old.key.id, **where)
    with pytest.raises(KeyRefused):
        selectors.caller_for_key(old.secret, NOON)
    selectors.caller_for_key(new.secret, NOON)
    fourth = services.rotate_key(key_id=old.key.id, grace=timedelta(0), **where)
    for secret in (new.secret, third.secret):
        with pytest.raises(KeyRefused):
            selectors.caller_for_key(secret, NOON)
    selectors.caller_for_key(fourth.secret, NOON)
    services.revoke_key(key_id=old.key.id, **where)
    with pytest.raises(KeyRefused):
        selectors.caller_for_key(fourth.secret, NOON)


def test_what_has_expired_or_overlaps_for_too_long_is_not_rotated(cast: Cast) -> None:
    where: dict[str, Any] = {"organization_id": cast.acme.id, "by": HOUSE}
    issued = services.issue_key(name="CI", expires_at=NOON + timedelta(hours=1), at=NOON, **where)
    for grace in (timedelta(days=31), timedelta(seconds=-1)):
        with pytest.raises(KeyGraceInvalid):
            services.rotate_key(key_id=issued.key.id, grace=grace, at=NOON, **where)
    with pytest.raises(KeyExpired):
        services.rotate_key(key_id=issued.key.id, at=NOON + timedelta(hours=1), **where)


def test_rotation_overlaps_for_the_grace_and_never_outlives_the_old_limit(cast: Cast) -> None:
    end = NOON + timedelta(days=1)
    old = services.issue_key(organization_id=cast.acme.id, name="CI", team_id=cast.search.id, expires_at=end, **WHO)
    new = services.rotate_key(
        organization_id=cast.acme.id, key_id=old.key.id, grace=timedelta(minutes=5), by=HOUSE, at=NOON
    )
    assert (new.key.team_id, new.key.expires_at, new.key.permissions) == (cast.search.id, end, ["usage.write"])
    soon, later = NOON + timedelta(minutes=4), NOON + timedelta(minutes=5)
    for secret in (old.secret, new.secret):
        selectors.caller_for_key(secret, soon)
    with pytest.raises(KeyRefused):
        selectors.caller_for_key(old.secret, later)
    selectors.caller_for_key(new.secret, later)


def test_a_key_reads_no_further_than_what_it_is_bound_to(cast: Cast) -> None:
    here: dict[str, Any] = {"organization_id": cast.acme.id, **WHO}
    ranking = services.add_team(name="Ranking", parent_id=cast.search.id, **here)
    apollo = services.add_project(name="Apollo", **here)
    issued = services.issue_key(
        name="CI", permissions=["spend.read"], team_id=cast.search.id, project_id=apollo.id, **here
    )
    caller = selectors.caller_for_key(issued.secret, NOON)
    assert caller.reach == {"team": {cast.search.id, ranking.id}, "project": {apollo.id}}


@pytest.mark.parametrize("permissions", [[], ["keys.manage"], ["usage.write", "members.manage"], ["everything"]])
def test_a_key_cannot_carry_what_makes_callers(cast: Cast, permissions: list[str]) -> None:
    with pytest.raises(KeyPermissionInvalid):
        services.issue_key(organization_id=cast.acme.id, name="CI", permissions=permissions, **WHO)


def test_a_permission_written_around_the_service_is_not_honoured(cast: Cast) -> None:
    issued = services.issue_key(organization_id=cast.acme.id, name="CI", **WHO)
    VirtualKey.objects.filter(id=issued.key.id).update(permissions=["keys.manage", "nonsense", "spend.read"])
    assert selectors.caller_for_key(issued.secret, NOON).permissions == {"spend.read"}


def test_use_is_noted_once_a_minute_and_reading_is_one_query(cast: Cast) -> None:
    issued = services.issue_key(organization_id=cast.acme.id, name="CI", **WHO)

    def use(at_s: int) -> int:
        at = NOON + timedelta(seconds=at_s)
        with CaptureQueriesContext(
            connection,
        ) as asked:
            found = selectors.key_for_secret(issued.secret, at)
            note_use(key_id=found.key_id, last_used_at=found.last_used_at, at=at)
        return len(asked)

    assert [use(at_s) for at_s in (0, 1, 59, 60, 61)] == [2, 1, 1, 2, 1]
    assert VirtualKey.objects.get(id=issued.key.id).last_used_at == NOON + timedelta(seconds=60)
