"""The trail is appended to and never touched again, whoever asks."""

from __future__ import annotations

import pytest
from django.db import Error, connection, transaction

from finops.audit.models import AuditEvent
from finops.orgs import selectors, services
from finops.orgs.services.checks import SlugTaken
from tests.factories.orgs import HOUSE, NOON, Cast


@pytest.mark.parametrize(
    "statement", ["UPDATE audit_auditevent SET verb = 'nothing.happened'", "DELETE FROM audit_auditevent"]
)
def test_the_database_refuses_to_rewrite_history(cast: Cast, statement: str) -> None:
    before = AuditEvent.objects.count()
    with pytest.raises(Error, match="Cannot"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert AuditEvent.objects.count() == before > 0


def test_a_refused_write_leaves_no_trail(cast: Cast) -> None:
    before = AuditEvent.objects.count()
    with pytest.raises(SlugTaken):
        services.add_team(organization_id=cast.acme.id, name="Search", slug="search", by=HOUSE, at=NOON)
    assert AuditEvent.objects.count() == before


def test_the_trail_is_read_newest_first_and_of_one_organization(cast: Cast) -> None:
    verbs = [event.verb for event in selectors.audit_events(cast.acme.id)]
    assert verbs[-1] == "organization.created"
    assert "team.added" in verbs
    subjects = {event.organization_id for event in selectors.audit_events(cast.globex.id)}
    assert subjects == {cast.globex.id}
    about = selectors.audit_events(cast.acme.id, subject_kind="team", subject_id=str(cast.chat.id))
    assert [event.subject_label for event in about] == ["Chat"]
