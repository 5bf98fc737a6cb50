"""Upstreams and deployments are made, changed, archived and restored; what is secret stays so."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import pytest
from django.conf import settings as django
from django.db import IntegrityError, connection, transaction

from finops.audit.models import AuditEvent
from finops.connectors.addresses import AddressRefused
from finops.core.errors import NotFound
from finops.core.sealing import CannotOpen, Sealer
from routing.upstreams import selectors, services
from routing.upstreams.hot import sealer
from routing.upstreams.models import Deployment, Upstream, UpstreamsVersion
from routing.upstreams.rules import UpstreamInvalid
from routing.upstreams.types import DeploymentDraft
from tests.factories.orgs import HOUSE, NOON, Cast
from tests.factories.upstreams import CREDENTIAL, deployment, draft, upstream

WHO: dict[str, Any] = {"by": HOUSE, "at": NOON}
ANOTHER = "sk-live-another-credential-0000-n3w1"


def change(row: Upstream, credential: str = "", **said: Any) -> Upstream:
    return services.change_upstream(
        organization_id=row.organization_id,
        upstream_id=row.id,
        draft=replace(services.draft_of(row), **said),
        credential=credential,
        **WHO,
    )


def verbs() -> list[str]:
    return list(AuditEvent.objects.filter(subject_kind="upstream").order_by("id").values_list("verb", flat=True))


def test_an_upstream_from_its_making_to_its_return(cast: Cast) -> None:
    row = upstream(cast.acme.id, labels=("Local", "eu"), headers={"X-Team": "search"}, at=NOON)
    assert (row.labels, row.headers, row.hint) == (["eu", "local"], {"x-team": "search"}, "k3y9")
    row = change(row, base_url="https://api.openai.com/v1/", weight=3)
    assert (row.base_url, row.weight) == ("https://api.openai.com/v1", 3)
    one: dict[str, Any] = {"organization_id": cast.acme.id, "upstream_id": row.id, **WHO}
    services.rotate_credential(**one, credential=ANOTHER)
    assert services.archive_upstream(**one).archived_at == NOON
    for act in (
        lambda: change(row, weight=4),
        lambda: services.rotate_credential(**one, credential=ANOTHER),
        lambda: deployment(row, at=NOON),
    ):
        with pytest.raises(services.UpstreamArchived):
            act()
    services.archive_upstream(**one)
    back = services.restore_upstream(**one)
    services.restore_upstream(**one)
    assert (back.archived_at, back.hint) == (None, "n3w1")
    assert verbs() == [
        "upstream.added",
        "upstream.changed",
        "upstream.credential_rotated",
        "upstream.archived",
        "upstream.restored",
    ]
    said = AuditEvent.objects.get(verb="upstream.changed").details
    assert said == {"weight": [1, 3]}


def test_what_is_unchanged_is_not_told_as_a_change(cast: Cast) -> None:
    row = upstream(cast.acme.id, at=NOON)
    change(row)
    assert verbs() == ["upstream.added"]


def test_a_credential_is_sealed_and_in_no_trail_log_or_print(cast: Cast, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        row = upstream(cast.acme.id, at=NOON)
        services.rotate_credential(organization_id=cast.acme.id, upstream_id=row.id, credential=ANOTHER, **WHO)
        change(row, credential=CREDENTIAL, name="openai-eu")
    with connection.cursor() as cursor:
        cursor.execute("SELECT row_to_json(u)::text FROM upstreams_upstream AS u")
        kept = "".join(one for (one,) in cursor.fetchall())
    for secret in (CREDENTIAL, ANOTHER):
        for place in (kept, str(list(AuditEvent.objects.values())), caplog.text, repr(row), str(row.__dict__)):
            assert secret not in place
            assert secret[8:-4] not in place
    fresh = selectors.upstream(cast.acme.id, row.id)
    assert sealer([django.SECRET_KEY]).open(fresh.sealed) == CREDENTIAL
    for other in (Sealer([django.SECRET_KEY], purpose="capstan.sources.access.v1"), sealer(["another secret"])):
        with pytest.raises(CannotOpen):
            other.open(fresh.sealed)


def test_a_credential_is_not_sent_to_another_server_because_an_address_changed(cast: Cast) -> None:
    row = upstream(cast.acme.id, at=NOON)
    for elsewhere in ("https://api.openai.com.example/v1", "https://api.openai.com:8443/v1", "https://openai.com/v1"):
        with pytest.raises(services.CredentialNeeded) as refused:
            change(row, base_url=elsewhere)
        assert refused.value.field == "credential"
    assert selectors.upstream(cast.acme.id, row.id).base_url == "https://api.openai.com/v1"
    assert change(row, base_url="https://eu.api.openai.com/v1", credential=ANOTHER).hint == "n3w1"


def test_a_server_without_a_credential_and_one_that_gets_one(cast: Cast, settings: Any) -> None:
    settings.INTERNAL_HOSTS = {"localhost:11434"}
    local: dict[str, Any] = {"name": "ollama", "base_url": "http://localhost:11434/v1", "auth": "none"}
    row = upstream(cast.acme.id, provider="ollama", labels=("local",), at=NOON, **local)
    assert (bytes(row.sealed), row.hint, row.credential_at) == (b"", "", None)
    with pytest.raises(UpstreamInvalid, match="auth is none"):
        services.rotate_credential(organization_id=cast.acme.id, upstream_id=row.id, credential=ANOTHER, **WHO)
    with pytest.raises(UpstreamInvalid):
        change(row, credential=ANOTHER)
    with pytest.raises(UpstreamInvalid) as refused:
        change(row, auth="bearer")
    assert refused.value.field == "credential"
    row = change(row, auth="bearer", credential="short-one")
    assert (row.hint, bool(row.sealed)) == ("", True)
    row = change(row, auth="none")
    assert (bytes(row.sealed), row.credential_at) == (b"", None)


def test_an_address_inside_is_for_those_that_the_operator_named(cast: Cast, settings: Any) -> None:
    for inside in (
        "http://localhost:8000/v1",
        "https://localhost/v1",
        "https://127.0.0.1/v1",
        "https://10.0.0.7/v1",
        "https://2130706433/v1",
        "https://[::1]/v1",
        "https://169.254.169.254/latest",
        "http://vllm.internal:8000/v1",
    ):
        with pytest.raises(AddressRefused) as refused:
            upstream(cast.acme.id, base_url=inside, at=NOON)
        assert refused.value.field == "base_url"
    settings.INTERNAL_HOSTS = {"vllm.internal:8000", "10.0.0.7", "169.254.169.254"}
    upstream(cast.acme.id, name="vllm", base_url="http://vllm.internal:8000/v1/", at=NOON)
    upstream(cast.acme.id, name="ten", base_url="http://10.0.0.7/v1", at=NOON)
    with pytest.raises(AddressRefused):
        upstream(cast.acme.id, base_url="http://169.254.169.254/latest", at=NOON)


def test_names_are_an_organizations_own_and_taken_by_the_archived_too(cast: Cast) -> None:
    first = upstream(cast.acme.id, at=NOON)
    assert upstream(cast.globex.id, at=NOON).name == first.name
    services.archive_upstream(organization_id=cast.acme.id, upstream_id=first.id, **WHO)
    with pytest.raises(services.UpstreamNameTaken):
        upstream(cast.acme.id, at=NOON)
    second = upstream(cast.acme.id, name="openai-2", at=NOON)
    with pytest.raises(services.UpstreamNameTaken):
        change(second, name="openai")
    assert [one.name for one in selectors.upstreams(cast.acme.id)] == ["openai-2"]
    assert [one.name for one in selectors.upstreams(cast.acme.id, archived=True)] == ["openai", "openai-2"]


def test_a_model_is_deployed_once_at_an_upstream_and_again_elsewhere(cast: Cast) -> None:
    row, other = upstream(cast.acme.id, at=NOON), upstream(cast.acme.id, name="azure", at=NOON)
    first = deployment(row, "gpt", at=NOON)
    again = deployment(row, "gpt", upstream_model="gpt-2026-10-01", rank=2, weight=5, at=NOON)
    assert (first.id, first.upstream_model) == (again.id, "gpt")
    assert (again.upstream_model, again.rank, again.weight) == ("gpt-2026-10-01", 2, 5)
    deployment(other, "gpt", at=NOON)
    assert [one.upstream_id for one in selectors.deployments_in_use(cast.acme.id)] == [other.id, row.id]
    services.archive_upstream(organization_id=cast.acme.id, upstream_id=other.id, **WHO)
    assert [one.id for one in selectors.deployments_in_use(cast.acme.id)] == [again.id]
    where: dict[str, Any] = {"organization_id": cast.acme.id, "upstream_id": row.id, "deployment_id": again.id, **WHO}
    services.remove_deployment(**where)
    with pytest.raises(NotFound):
        services.remove_deployment(**where)
    assert verbs().count("deployment.set") == 3
    assert verbs()[-1] == "deployment.removed"


def test_nobody_reaches_into_another_organization(cast: Cast) -> None:
    theirs = upstream(cast.globex.id, at=NOON)
    model = deployment(theirs, at=NOON)
    there: dict[str, Any] = {"organization_id": cast.acme.id, "upstream_id": theirs.id, **WHO}
    for act in (
        lambda: services.change_upstream(draft=draft(), **there),
        lambda: services.rotate_credential(credential=ANOTHER, **there),
        lambda: services.archive_upstream(**there),
        lambda: services.restore_upstream(**there),
        lambda: services.set_deployment(draft=DeploymentDraft("gpt"), **there),
        lambda: services.remove_deployment(deployment_id=model.id, **there),
        lambda: selectors.upstream(cast.acme.id, theirs.id),
    ):
        with pytest.raises(NotFound), transaction.atomic():
            act()
    assert not UpstreamsVersion.objects.filter(organization=cast.acme).exists()


def test_there_are_so_many_and_no_more(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "MOST_UPSTREAMS", 1)
    monkeypatch.setattr(services, "MOST_DEPLOYMENTS", 1)
    row = upstream(cast.acme.id, at=NOON)
    with pytest.raises(services.TooManyUpstreams):
        upstream(cast.acme.id, name="another", at=NOON)
    deployment(row, "gpt", at=NOON)
    deployment(row, "gpt", rank=1, at=NOON)
    with pytest.raises(services.TooManyUpstreams):
        deployment(row, "mini", at=NOON)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "Open AI"},
        {"dialect": "cohere"},
        {"auth": "basic"},
        {"base_url": "ftp://api.openai.com"},
        {"base_url": "https://api.openai.com/"},
        {"base_url": "https://api.openai.com/?key=1"},
        {"sealed": b""},
        {"auth": "none"},
        {"weight": 0},
        {"connect_s": float("nan")},
        {"total_s": 1.0},
        {"total_s": float("inf")},
    ],
)
def test_the_database_refuses_what_cannot_be(cast: Cast, wrong: dict[str, Any]) -> None:
    row = upstream(cast.acme.id, at=NOON)
    with pytest.raises(IntegrityError), transaction.atomic():
        Upstream.objects.filter(id=row.id).update(**wrong)


@pytest.mark.parametrize("wrong", [{"model": ""}, {"upstream_model": ""}, {"rank": -1}, {"weight": 1_001}])
def test_the_database_refuses_deployments_that_cannot_be(cast: Cast, wrong: dict[str, Any]) -> None:
    row = deployment(upstream(cast.acme.id, at=NOON), at=NOON)
    with pytest.raises(IntegrityError), transaction.atomic():
        Deployment.objects.filter(id=row.id).update(**wrong)
    with pytest.raises(IntegrityError), transaction.atomic():
        Deployment.objects.create(
            organization=cast.acme, upstream=row.upstream, model="gpt", upstream_model="x", changed_at=NOON
        )


def test_the_database_refuses_a_model_at_anothers_upstream(cast: Cast) -> None:
    row = deployment(upstream(cast.acme.id, at=NOON), at=NOON)
    theirs = upstream(cast.globex.id, at=NOON)
    with pytest.raises(IntegrityError, match="deployment_same_organization"), transaction.atomic():
        Deployment.objects.filter(id=row.id).update(upstream=theirs)


def test_an_upstream_is_never_deleted(cast: Cast) -> None:
    row = upstream(cast.acme.id, at=NOON)
    with pytest.raises(Exception, match="Cannot delete"), transaction.atomic():
        row.delete()
