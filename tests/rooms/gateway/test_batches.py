"""Batches through the gateway are charged as the upstream billed them: each answer once, whatever happens meanwhile."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError

from finops.budgets.services import fold_observed
from finops.budgets.types import Enforcement
from finops.connectors.addresses import Unreachable
from finops.connectors.openai import batches as wire
from finops.ingest.services import take
from routing.batches import rules, services
from routing.batches.models import Batch
from routing.gateway.proxy.plain import Said
from tests.factories.batching import (
    asked,
    batch_book,
    billed,
    charged,
    create,
    followed,
    held,
    line,
    made,
    states,
    upload,
)
from tests.factories.budgets import budget, standing
from tests.factories.gateway import Gateway, key
from tests.factories.ledger import rows
from tests.factories.orgs import Cast
from tests.factories.relaying import deployed
from tests.fakes.upstream.running import Upstream
from tests.fakes.upstream.script import Plan
from tests.rooms.gateway.conftest import Opens


@pytest.fixture
def secret(cast: Cast, now: datetime) -> str:
    """The key of Bob, who has no cap."""
    return key(cast.acme.id, "calls.make", at=now, person_id=cast.bob.id)


@pytest.fixture
def gateway(cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime) -> Gateway:
    batch_book()
    deployed(cast.acme.id, provider, at=now)
    return gateways()


def test_a_batch_of_successes_and_failures_is_charged_as_billed_and_once(
    gateway: Gateway, secret: str, provider: Upstream
) -> None:
    batch = made(gateway, secret, *(line(f"call-{n}", model="gpt" if n % 2 else "gpt-mini") for n in range(6)))
    assert followed() == 1
    assert states() == ["open"]
    provider.then(Plan(cached_tokens=1), Plan(status=429), Plan(), Plan(status=500), Plan(reasoning_tokens=7))
    provider.finish()
    event = Batch.objects.get().event
    assert followed(timedelta(hours=1)) == 1
    assert states() == ["booked"]
    assert len(billed(provider)) == 4
    assert charged() == billed(provider)
    assert followed(timedelta(hours=2)) == 0
    # And once more, as though nobody had noted that it is done.
    Batch.objects.update(state="ended", booked_at=None, event=event)
    assert followed(timedelta(hours=3)) == 1
    assert charged() == billed(provider)

    said = asked(gateway, secret, f"/v1/batches/{batch['id']}").body
    assert said["request_counts"] == {"total": 6, "completed": 4, "failed": 2}
    results = asked(gateway, secret, f"/v1/files/{said['output_file_id']}/content")
    assert (results.status, results.raw) == (200, provider.files[said["output_file_id"]])
    errors = asked(gateway, secret, f"/v1/files/{said['error_file_id']}/content")
    assert [json.loads(one)["custom_id"] for one in errors.raw.splitlines()] == ["call-1", "call-3"]


def test_its_calls_are_charged_to_whoever_made_it(
    cast: Cast, gateway: Gateway, secret: str, provider: Upstream
) -> None:
    headers = {"x-capstan-session": "night-run", "x-capstan-task": "classify", "x-capstan-tags": "env=prod"}
    batch = made(gateway, secret, line("one"), line("two"), headers=headers, metadata={"job": "nightly"})
    assert set(batch["metadata"]) == {"job", "capstan_call"}
    provider.finish()
    followed()
    ((call_id, person, session, task, tier, model),) = rows(
        "SELECT DISTINCT split_part(external_id, ':', 2), person_id, session, task.value, tier.value, model.value"
        " FROM ledger_charge AS c JOIN ledger_term AS task ON task.id = c.task_type_id"
        " JOIN ledger_term AS tier ON tier.id = c.service_tier_id JOIN ledger_term AS model ON model.id = c.model_id"
    )
    assert call_id == batch["metadata"]["capstan_call"]
    assert (person, session, task, tier, model) == (cast.bob.id, "night-run", "classify", "batch", "gpt")
    assert {one for (one,) in rows("SELECT external_id FROM ledger_charge")} == {
        f"batch:{call_id}:one",
        f"batch:{call_id}:two",
    }
    # Who it was is forgotten once it is in the books.
    assert bytes(Batch.objects.get().event) == b""


@pytest.mark.parametrize("status", ["expired", "cancelled", "failed"])
def test_one_that_did_not_complete_is_charged_for_what_was_answered(
    gateway: Gateway, secret: str, provider: Upstream, status: str
) -> None:
    batch = made(gateway, secret, *(line(f"call-{n}") for n in range(4)))
    if status == "cancelled":
        assert asked(gateway, secret, f"/v1/batches/{batch['id']}/cancel", {}).body["status"] == "cancelled"
    else:
        provider.finish(status)
    followed()
    assert len(billed(provider)) == 2
    assert charged() == billed(provider)


@pytest.mark.parametrize(
    ("url", "body"),
    [
        ("/v1/embeddings", {"model": "embed", "input": ["one", "three"]}),
        ("/v1/responses", {"model": "gpt", "input": "Hello"}),
    ],
)
def test_each_endpoint_says_its_usage_in_its_own_way(
    gateway: Gateway, secret: str, provider: Upstream, url: str, body: dict[str, Any]
) -> None:
    asks = {"custom_id": "one", "method": "POST", "url": url, "body": body}
    made(gateway, secret, asks, endpoint=url)
    provider.finish()
    followed()
    assert charged() == billed(provider) != {}


def test_whoever_dies_in_the_middle_is_followed_by_the_next_and_nothing_is_charged_twice(
    gateway: Gateway, secret: str, provider: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(gateway, secret, *(line(f"call-{n}") for n in range(10)))
    provider.finish()
    monkeypatch.setattr(services, "RESULTS_AT_ONCE", 3)
    tries = iter([0, 0, 1])

    def dies(**given: Any) -> Any:
        if next(tries):
            raise OperationalError("the connection is gone")
        return take(**given)

    with monkeypatch.context() as patched, pytest.raises(OperationalError):
        patched.setattr(services, "take", dies)
        followed()
    assert sum(charged().values()) == 6
    assert states() == ["ended"]
    # Nobody else takes it meanwhile.
    assert followed() == 0
    assert followed(timedelta(minutes=20)) == 1
    assert states() == ["booked"]
    assert charged() == billed(provider)


def test_results_that_break_off_are_fetched_again(
    gateway: Gateway, secret: str, provider: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(gateway, secret, *(line(f"call-{n}") for n in range(4)))
    provider.finish()
    whole = wire.BatchServer.results

    def breaks(self: wire.BatchServer, file_id: str) -> Any:
        lines = whole(self, file_id)
        yield next(lines)
        yield next(lines)
        raise Unreachable("127.0.0.1 cannot be reached (ReadError)")

    def cut(self: wire.BatchServer, file_id: str) -> Any:
        yield next(whole(self, file_id))

    for hour, bad in enumerate((breaks, cut)):
        with monkeypatch.context() as patched:
            patched.setattr(wire.BatchServer, "results", bad)
            assert followed(timedelta(hours=hour + 1)) == 1
        assert states() == ["ended"]
    assert "of 4 answers only 1" in Batch.objects.get().problem
    followed(timedelta(hours=4))
    assert states() == ["booked"]
    assert charged() == billed(provider)


def test_what_cannot_be_read_is_held_in_quarantine_without_what_was_written(
    gateway: Gateway, secret: str, provider: Upstream
) -> None:
    batch = made(gateway, secret, *(line(f"call-{n}") for n in range(3)))
    provider.then(Plan(), Plan(no_usage=True, text="the launch is on Friday"), Plan(usage={"prompt_tokens": "many"}))
    provider.finish()
    followed()
    assert states() == ["booked"]
    call_id = batch["metadata"]["capstan_call"]
    assert sorted(held()) == [(f"batch:{call_id}:call-{n}", "connectors.usage_unreadable") for n in (1, 2)]
    assert not any(b"Friday" in bytes(raw) for (raw,) in rows("SELECT raw FROM ingest_quarantinedrecord"))
    assert sum(charged().values()) == 1


def test_a_batch_whose_results_are_gone_is_held_in_quarantine_in_the_end(
    gateway: Gateway, secret: str, provider: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    batch = made(gateway, secret, line("one"))
    provider.finish()
    provider.files.pop(provider.batches[batch["id"]]["output_file_id"])
    followed()
    assert "127.0.0.1 answered 404" in caplog.text
    Batch.objects.update(failures=rules.MOST_FAILURES - 1)
    followed(timedelta(hours=1))
    assert states() == ["lost"]
    assert held() == [(f"batch:{batch['metadata']['capstan_call']}", "batches.results_lost")]
    assert followed(timedelta(days=3)) == 0


def test_a_batch_whose_answer_was_lost_is_found_by_our_id(gateway: Gateway, secret: str, provider: Upstream) -> None:
    file_id = upload(gateway, secret, line("one")).body["id"]
    provider.loses(500)
    assert create(gateway, secret, file_id).status == 500
    assert states() == ["pending"]
    provider.finish()
    # Others' batches are in the same account.
    for _ in range(3):
        create(gateway, secret, file_id)
    followed()
    assert states() == ["booked", "open", "open", "open"]
    assert charged() == billed(provider)


def test_a_batch_that_an_upstream_shows_again_is_one(
    gateway: Gateway, secret: str, provider: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by an idempotency key, which is passed on."""
    batch = made(gateway, secret, line("one"))
    passing = gateway.process.relay._batches._passing

    async def again(*_: Any) -> Said:
        return Said(200, [], json.dumps(provider.batches[batch["id"]]).encode())

    monkeypatch.setattr(passing, "ask_once", again)
    assert create(gateway, secret, batch["input_file_id"]).body["id"] == batch["id"]
    assert states() == ["open", "void"]
    provider.finish()
    followed()
    assert charged() == billed(provider)


def test_a_batch_that_was_never_made_is_given_up(gateway: Gateway, secret: str, provider: Upstream) -> None:
    file_id = upload(gateway, secret, line("one")).body["id"]
    provider.loses(500)
    create(gateway, secret, file_id)
    provider.batches.clear()
    followed()
    assert states() == ["pending"]
    followed(timedelta(days=2))
    assert states() == ["void"]
    assert (charged(), held()) == ({}, [])


def test_a_batch_that_the_upstream_refuses_is_none(gateway: Gateway, secret: str, provider: Upstream) -> None:
    file_id = upload(gateway, secret, line("one")).body["id"]
    provider.loses(400)
    assert create(gateway, secret, file_id).status == 400
    assert states() == ["void"]


def test_an_alerting_budget_observes_what_a_batch_came_to(
    cast: Cast, gateway: Gateway, secret: str, provider: Upstream, now: datetime
) -> None:
    cap = budget(cast.acme.id, "1", at=now, enforcement=Enforcement.ALERT)
    made(gateway, secret, line("one"))
    provider.finish()
    followed()
    fold_observed()
    assert standing(cap, now).observed * 10**12 == provider.bill.pico
