"""Files and batches that are refused: capped, somebody else's, of another purpose, or with nobody to keep them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from finops.budgets.rules.limits import LimitDraft
from finops.budgets.services.limits import set_limit
from finops.budgets.services.stops import stop_now
from tests.factories.batching import asked, batch_book, create, followed, line, made, states, upload
from tests.factories.budgets import budget, impatient_address, in_the_way
from tests.factories.gateway import Gateway, key
from tests.factories.orgs import HOUSE, Cast
from tests.factories.relaying import deployed
from tests.fakes.upstream.running import Upstream, upstream
from tests.rooms.gateway.conftest import Opens

AWAY = "host=127.0.0.1 port=1 dbname=nowhere"


@pytest.fixture
def secret(cast: Cast, now: datetime) -> str:
    return key(cast.acme.id, "calls.make", at=now, person_id=cast.bob.id)


@pytest.fixture
def opened(cast: Cast, gateways: Opens, provider: Upstream, now: datetime) -> Callable[[], Gateway]:
    """A gateway, once all is published."""
    batch_book()
    deployed(cast.acme.id, provider, at=now)
    return gateways


def code(said: Any) -> tuple[int, str]:
    return said.status, said.body["error"]["code"]


def test_a_hard_budget_refuses_what_it_cannot_know_and_says_what_to_do(
    cast: Cast, opened: Callable[[], Gateway], secret: str, provider: Upstream, now: datetime
) -> None:
    budget(cast.acme.id, "1000", name="Bob a month", scope={"person": (str(cast.bob.id),)}, at=now)
    free = key(cast.acme.id, "calls.make", at=now, person_id=cast.alice.id)
    gateway = opened()
    file_id = upload(gateway, secret, line("one")).body["id"]
    said = create(gateway, secret, file_id)
    assert code(said) == (422, "budgets.unbounded_request")
    assert said.body["error"]["type"] == "invalid_request_error"
    assert "Bob a month" in said.body["error"]["message"]
    assert "one by one" in said.body["error"]["message"]
    assert provider.batches == {}
    assert states() == []
    assert create(gateway, free, file_id).status == 200


def test_a_hard_budget_of_one_model_concerns_any_file_that_names_it(
    cast: Cast, opened: Callable[[], Gateway], secret: str, now: datetime
) -> None:
    budget(cast.acme.id, "1000", scope={"model": ("gpt",)}, at=now)
    gateway = opened()
    small = upload(gateway, secret, line("one", model="gpt-mini")).body["id"]
    mixed = upload(gateway, secret, line("one", model="gpt-mini"), line("two")).body["id"]
    assert create(gateway, secret, small).status == 200
    assert code(create(gateway, secret, mixed)) == (422, "budgets.unbounded_request")


def test_stops_and_lists_of_models_hold_for_batches(
    cast: Cast, opened: Callable[[], Gateway], secret: str, now: datetime
) -> None:
    draft = LimitDraft(dimension="person", subject=str(cast.bob.id), allowed_models=("gpt-mini",))
    set_limit(organization_id=cast.acme.id, draft=draft, by=HOUSE, at=now)
    stop_now(organization_id=cast.acme.id, dimension="session", subject="loop-1", reason="It loops", by=HOUSE, at=now)
    gateway = opened()
    dear = upload(gateway, secret, line("one"))
    assert code(create(gateway, secret, dear.body["id"])) == (403, "budgets.model_not_allowed")
    file_id = upload(gateway, secret, line("one", model="gpt-mini")).body["id"]
    headers = {"x-capstan-session": "loop-1"}
    assert code(create(gateway, secret, file_id, headers=headers)) == (429, "budgets.stopped")
    assert create(gateway, secret, file_id).status == 200


def test_what_another_organization_made_is_not_there(
    cast: Cast, opened: Callable[[], Gateway], secret: str, provider: Upstream, now: datetime
) -> None:
    deployed(cast.globex.id, provider, at=now)
    other = key(cast.globex.id, "calls.make", at=now)
    gateway = opened()
    batch = made(gateway, secret, line("one"))
    provider.finish()
    done = asked(gateway, secret, f"/v1/batches/{batch['id']}").body
    seen = len(provider.seen)
    for file_id in (batch["input_file_id"], done["output_file_id"], "file-nobodys"):
        for path, method in ((f"/v1/files/{file_id}", "GET"), (f"/v1/files/{file_id}/content", "GET"),
                             (f"/v1/files/{file_id}", "DELETE")):  # fmt: skip
            assert code(asked(gateway, other, path, method=method)) == (404, "gateway.file_not_found")
        assert code(create(gateway, other, file_id)) == (404, "gateway.file_not_found")
    for path, body in ((f"/v1/batches/{batch['id']}", None), (f"/v1/batches/{batch['id']}/cancel", {}),
                       (f"/v1/batches?after={batch['id']}", None)):  # fmt: skip
        assert code(asked(gateway, other, path, body)) == (404, "gateway.batch_not_found")
    assert asked(gateway, other, "/v1/batches").body["data"] == []
    assert len(provider.seen) == seen


def test_a_list_has_ones_own_the_newest_first_page_by_page(
    opened: Callable[[], Gateway], secret: str, provider: Upstream
) -> None:
    gateway = opened()
    ids = [made(gateway, secret, line("one"))["id"] for _ in range(3)]
    provider.finish()
    first = asked(gateway, secret, "/v1/batches?limit=2").body
    assert [one["id"] for one in first["data"]] == ids[:0:-1]
    # As they are now, though nobody has followed them yet.
    assert {one["status"] for one in first["data"]} == {"completed"}
    assert (first["has_more"], first["last_id"]) == (True, ids[1])
    rest = asked(gateway, secret, f"/v1/batches?limit=2&after={ids[1]}").body
    assert ([one["id"] for one in rest["data"]], rest["has_more"]) == (ids[:1], False)
    followed()
    seen = len(provider.seen)
    assert asked(gateway, secret, "/v1/batches").body["data"][2]["status"] == "completed"
    assert len(provider.seen) == seen
    for query in ("limit=0", "limit=many", "after=a%20b"):
        assert code(asked(gateway, secret, f"/v1/batches?{query}")) == (422, "gateway.field_invalid")


def test_results_are_deleted_only_once_they_are_booked(
    opened: Callable[[], Gateway], secret: str, provider: Upstream
) -> None:
    gateway = opened()
    batch = made(gateway, secret, line("one"))
    provider.finish()
    output = asked(gateway, secret, f"/v1/batches/{batch['id']}").body["output_file_id"]
    said = asked(gateway, secret, f"/v1/files/{output}", method="DELETE")
    assert code(said) == (409, "gateway.batch_not_booked")
    assert said.headers["retry-after"] == "60"
    followed()
    assert asked(gateway, secret, f"/v1/files/{output}", method="DELETE").body["deleted"] is True
    assert asked(gateway, secret, f"/v1/files/{batch['input_file_id']}", method="DELETE").body["deleted"] is True
    assert list(provider.files) == []


def test_a_file_that_cannot_be_metered_is_refused_before_an_upstream_has_it(
    opened: Callable[[], Gateway], secret: str, provider: Upstream
) -> None:
    gateway = opened()
    assert code(upload(gateway, secret, line("one"), purpose="assistants")) == (400, "gateway.purpose_refused")
    assert code(upload(gateway, secret, b"not JSON")) == (422, "gateway.field_invalid")
    assert code(upload(gateway, secret, line("one", model="nobodys"))) == (404, "gateway.model_not_found")
    headers = {"x-capstan-only": "elsewhere"}
    assert code(upload(gateway, secret, line("one"), headers=headers)) == (404, "gateway.model_not_found")
    assert provider.seen == []


def test_a_form_reaches_the_upstream_as_it_was_read(
    opened: Callable[[], Gateway], secret: str, provider: Upstream
) -> None:
    gateway = opened()
    more: dict[str, Any] = {"expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"}
    told = upload(gateway, secret, line("one"), b"", line("two"), **more).body
    assert (told["filename"], told["purpose"]) == ("mine.jsonl", "batch")
    (seen,) = provider.seen
    assert b"3600" in seen.body
    assert provider.files[told["id"]].count(b"\n") == 2
    said = asked(gateway, secret, f"/v1/files/{told['id']}/content")
    assert said.raw == provider.files[told["id"]]
    assert asked(gateway, secret, f"/v1/files/{told['id']}").body["filename"] == "mine.jsonl"


def test_a_batch_of_another_endpoint_than_its_file_is_refused(
    opened: Callable[[], Gateway], secret: str, provider: Upstream
) -> None:
    gateway = opened()
    file_id = upload(gateway, secret, line("one")).body["id"]
    said = create(gateway, secret, file_id, endpoint="/v1/embeddings")
    assert (*code(said), said.body["error"]["param"]) == (422, "gateway.field_invalid", "endpoint")
    assert provider.batches == {}


def test_with_the_database_away_nothing_is_made(
    opened: Callable[[], Gateway], secret: str, provider: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = opened()
    file_id = upload(gateway, secret, line("one")).body["id"]
    seen = len(provider.seen)
    kept = gateway.process.relay._batches._kept
    with monkeypatch.context() as patched:
        patched.setattr(kept, "_address", AWAY)
        for said in (upload(gateway, secret, line("one")), create(gateway, secret, file_id)):
            assert code(said) == (503, "gateway.database_away")
            assert said.headers["retry-after"] == "5"
    assert len(provider.seen) == seen
    assert create(gateway, secret, file_id).status == 200


@pytest.mark.parametrize("table", ["batches_batchfile", "batches_batch"])
def test_with_others_in_the_way_nothing_is_made_and_the_database_is_not_away(
    opened: Callable[[], Gateway], secret: str, provider: Upstream, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    gateway = opened()
    file_id = upload(gateway, secret, line("one")).body["id"]
    with monkeypatch.context() as patched, in_the_way(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"):
        patched.setattr(gateway.process.relay._batches._kept, "_address", impatient_address())
        said = create(gateway, secret, file_id)
    assert (code(said), said.headers["retry-after"]) == ((503, "budgets.busy"), "1")
    assert provider.batches == {}
    assert create(gateway, secret, file_id).status == 200


def test_a_batch_made_while_the_database_went_away_is_found(
    opened: Callable[[], Gateway], secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = opened()
    file_id = upload(gateway, secret, line("one")).body["id"]
    kept = gateway.process.relay._batches._kept
    begin = kept.begin

    async def last_one(*given: Any) -> None:
        await begin(*given)
        kept._address = AWAY

    monkeypatch.setattr(kept, "_address", kept._address)
    monkeypatch.setattr(kept, "begin", last_one)
    assert create(gateway, secret, file_id).status == 200
    assert states() == ["pending"]
    followed()
    assert states() == ["open"]


def test_an_upstream_that_is_away_made_nothing(cast: Cast, secret: str, gateways: Opens, now: datetime) -> None:
    with upstream() as provider:
        deployed(cast.acme.id, provider, at=now)
        gateway = gateways()
        file_id = upload(gateway, secret, line("one")).body["id"]
    assert code(create(gateway, secret, file_id)) == (502, "gateway.upstream_away")
    assert code(asked(gateway, secret, f"/v1/files/{file_id}")) == (502, "gateway.upstream_away")
    assert states() == ["void"]


def test_no_other_path_is_passed_on(opened: Callable[[], Gateway], secret: str, provider: Upstream) -> None:
    gateway = opened()
    for method, path in (
        ("GET", "/v1/files"),
        ("POST", "/v1/files/file-1"),
        ("DELETE", "/v1/batches/batch_1"),
        ("GET", "/v1/batches/batch_1/content"),
        ("POST", "/v1/files/file-1/cancel"),
        ("GET", "/v1/files/../models"),
        ("POST", "/v1/uploads"),
        ("POST", "/v1/messages/batches"),
    ):
        assert code(asked(gateway, secret, path, {}, method=method)) == (404, "gateway.path_refused")
    anthropic = {"anthropic-version": "2023-06-01"}
    said = asked(gateway, secret, "/v1/batches", {}, **anthropic)
    assert (said.status, said.body["type"], said.body["error"]["code"]) == (404, "error", "gateway.path_refused")
    assert provider.seen == []
