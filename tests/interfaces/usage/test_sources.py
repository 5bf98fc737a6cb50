"""Whose usage a door takes, and for which source."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from finops.audit.models import AuditEvent
from finops.orgs import services
from finops.sources import services as sources
from finops.sources.models import Source
from tests.factories.orgs import HOUSE, NOON, Cast
from tests.interfaces.conftest import Api
from tests.interfaces.usage.conftest import Send, call, charged, is_problem, said


def test_the_doors_own_source_is_made_on_first_use_and_audited(send: Send, cast: Cast) -> None:
    send("usage", call(1))
    send("usage", call(2))
    source = Source.objects.get(organization=cast.acme, slug="api")
    assert (source.kind, source.last_received_at is not None) == ("api", True)
    noted = AuditEvent.objects.get(organization_id=cast.acme.id, verb="source.added")
    assert noted.actor.startswith("key:cap_")


@pytest.mark.parametrize("slug", ["nobody", "%00", "x" * 500, "%f0%9f%9a%80"])
def test_a_source_there_is_not(send: Send, slug: str) -> None:
    assert send(f"usage?source={slug}", call()).status_code == 404


def test_anothers_source_is_not_there(send: Send, cast: Cast) -> None:
    sources.add_source(organization_id=cast.globex.id, slug="theirs", by=HOUSE, at=NOON)
    assert send("usage?source=theirs", call()).status_code == 404


def test_an_archived_source_takes_nothing(send: Send, cast: Cast) -> None:
    row = sources.add_source(organization_id=cast.acme.id, slug="old", by=HOUSE, at=NOON)
    sources.archive_source(organization_id=cast.acme.id, source_id=row.id, by=HOUSE, at=NOON)
    is_problem(send("usage?source=old", call()), 409, "sources.archived", "source")


def test_a_key_without_the_permission_may_not_write(by_key: Callable[..., Api], cast: Cast) -> None:
    answer = by_key("spend.read").post("usage", call())
    is_problem(answer, 403, "orgs.permission_missing")
    assert charged(cast.acme) == 0


def test_nobody_may_not_write(cast: Cast) -> None:
    is_problem(Api(Client()).post("usage", call()), 401, "api.unauthenticated")


def test_two_organizations_may_use_the_same_id(send: Send, cast: Cast) -> None:
    issued = services.issue_key(
        organization_id=cast.globex.id, name="Theirs", permissions=["usage.write"], by=HOUSE, at=NOON
    )
    theirs = Api(Client(), Authorization=f"Bearer {issued.secret}")
    assert said(send("usage", call()))["outcome"] == "charged"
    assert said(theirs.post("usage", call()))["outcome"] == "charged"
    assert (charged(cast.acme), charged(cast.globex)) == (1, 1)
