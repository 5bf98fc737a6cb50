"""What gateways are told of upstreams: all that is in use, sealed, and at once."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings as django

from routing.configuration import wire
from routing.configuration.models import Published
from routing.configuration.services import publish_changes
from routing.upstreams import services
from routing.upstreams.hot import sealer
from routing.upstreams.rules import UpstreamInvalid
from tests.factories.orgs import HOUSE, NOON, Cast
from tests.factories.upstreams import CREDENTIAL, deployment, upstream

WHO: dict[str, Any] = {"by": HOUSE, "at": NOON}


def told(organization_id: int) -> wire.Organization:
    return wire.decode_organization(bytes(Published.objects.get(organization_id=organization_id).body))


def settled() -> None:
    """The first publication makes the source of the gateways' charges, which is a change of its own."""
    publish_changes(NOON)
    publish_changes(NOON)
    assert publish_changes(NOON) == []


def test_a_changed_upstream_arrives_in_the_published_organization(cast: Cast) -> None:
    settled()
    assert (told(cast.acme.id).upstreams, told(cast.acme.id).deployments) == ((), ())
    row = upstream(cast.acme.id, labels=("local",), headers={"x-team": "search"}, region="eu", any_model=True, at=NOON)
    model = deployment(row, "gpt", upstream_model="gpt-2026", rank=1, weight=2, at=NOON)
    assert publish_changes(NOON) == [cast.acme.id]
    [found] = told(cast.acme.id).upstreams
    assert sealer([django.SECRET_KEY]).open(found.sealed) == CREDENTIAL
    assert found == wire.Upstream(
        upstream_id=row.id,
        name="openai",
        dialect="openai",
        base_url="https://api.openai.com/v1",
        provider="openai",
        sealed=found.sealed,
        headers={"x-team": "search"},
        region="eu",
        labels=frozenset({"local"}),
        any_model=True,
    )
    assert told(cast.acme.id).deployments == (
        wire.Deployment(
            deployment_id=model.id, upstream_id=row.id, model="gpt", upstream_model="gpt-2026", rank=1, weight=2
        ),
    )
    assert told(cast.globex.id).upstreams == ()


def test_every_write_is_published_and_a_refused_one_is_not(cast: Cast) -> None:
    row = upstream(cast.acme.id, at=NOON)
    one: dict[str, Any] = {"organization_id": cast.acme.id, "upstream_id": row.id, **WHO}
    settled()
    before = told(cast.acme.id).upstreams[0].sealed
    services.rotate_credential(**one, credential="sk-live-another-credential-0000")
    assert publish_changes(NOON) == [cast.acme.id]
    assert told(cast.acme.id).upstreams[0].sealed != before
    model = deployment(row, at=NOON)
    assert publish_changes(NOON) == [cast.acme.id]
    services.archive_upstream(**one)
    assert publish_changes(NOON) == [cast.acme.id]
    assert (told(cast.acme.id).upstreams, told(cast.acme.id).deployments) == ((), ())
    services.restore_upstream(**one)
    assert publish_changes(NOON) == [cast.acme.id]
    assert len(told(cast.acme.id).deployments) == 1
    with pytest.raises(UpstreamInvalid):
        services.rotate_credential(**one, credential="two words")
    assert publish_changes(NOON) == []
    services.remove_deployment(**one, deployment_id=model.id)
    assert publish_changes(NOON) == [cast.acme.id]
    assert told(cast.acme.id).deployments == ()


def test_nothing_that_is_published_holds_a_credential_that_can_be_read(cast: Cast) -> None:
    upstream(cast.acme.id, at=NOON)
    publish_changes(NOON)
    body = bytes(Published.objects.get(organization_id=cast.acme.id).body)
    assert CREDENTIAL.encode() not in body
    assert CREDENTIAL not in repr(told(cast.acme.id))
