"""Connected accounts and their feeds over REST: who may what, and what never comes out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from finops.api.models import FirstAnswer
from finops.audit.models import AuditEvent
from finops.connectors.feeds import ACCOUNTS
from finops.orgs.models import User
from finops.polling import services, tasks
from finops.polling.models import PolledFeed
from tests.factories.orgs import Cast
from tests.factories.polling import AT, calling, put
from tests.fakes.reports.anthropic import AnthropicReports
from tests.interfaces.conftest import Api, refused, told


@pytest.fixture
def fake() -> Iterator[AnthropicReports]:
    one = AnthropicReports(until=AT)
    with calling(one):
        yield one


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Feeds that a worker was told of."""
    found: list[int] = []
    monkeypatch.setattr(tasks, "send", found.extend)
    return found


def said(fake: AnthropicReports, **other: Any) -> dict[str, Any]:
    return {"account": "anthropic", "credential": fake.credential, "address": fake.address} | other


def test_an_account_from_its_connecting_to_its_end(alice: Api, fake: AnthropicReports, sent: list[int]) -> None:
    made = told(alice.post("accounts", said(fake, label="Ours"), Idempotency_Key="a1"), 201)
    assert told(alice.post("accounts", said(fake, label="Ours"), Idempotency_Key="a1"), 201) == made
    assert (made["label"], made["feeds"]) == ("Ours", ["anthropic-cost", "anthropic-usage"])
    assert refused(alice.post("accounts", said(fake)))[:2] == (409, "polling.already_connected")
    path = f"accounts/{made['id']}"
    assert told(alice.get(path)) == made
    assert told(alice.get("accounts"))["items"] == [made]
    more = told(alice.post(f"{path}/feeds", {"feed": "anthropic-claude-code"}))
    assert (more["feed"], more["source"], more["state"]) == ("anthropic-claude-code", "anthropic-claude-code", "active")
    assert refused(alice.post(f"{path}/credential", {"credential": "wrong"})) == (
        422,
        "polling.credential_refused",
        "credential",
    )
    fake.credential = "another-secret"
    told(alice.post(f"{path}/credential", {"credential": "another-secret"}))
    assert told(alice.post(f"{path}/disconnect"))["disconnected_at"]
    assert {one["connected"] for one in told(alice.get("feeds"))["items"]} == {False}
    assert sorted(set(sent)) == sorted(PolledFeed.objects.values_list("id", flat=True))


def test_a_feed_is_paused_resumed_polled_and_read_back(alice: Api, fake: AnthropicReports, sent: list[int]) -> None:
    told(alice.post("accounts", said(fake)), 201)
    (first, *_) = told(alice.get("feeds"))["items"]
    path = f"feeds/{first['id']}"
    assert told(alice.post(f"{path}/pause"))["state"] == "paused"
    assert refused(alice.post(f"{path}/poll"))[:2] == (409, "polling.feed_stopped")
    assert told(alice.post(f"{path}/resume"))["state"] == "active"
    assert told(alice.post(f"{path}/poll"))["id"] == first["id"]
    since = "2026-06-01T00:00:00Z"
    job = told(alice.post(f"{path}/backfill", {"since": since}), 202)
    assert (job["kind"], job["state"], job["parameters"]["source"]) == ("backfill", "queued", "anthropic-usage")
    assert told(alice.get(f"jobs/{job['id']}")) == job
    assert told(alice.post(f"{path}/backfill", {"since": since}), 202)["id"] == job["id"]
    assert refused(alice.post(f"{path}/backfill", {"since": "2026-07-01T00:00:00Z"}))[:2] == (
        409,
        "polling.backfill_under_way",
    )
    assert refused(alice.post(f"{path}/backfill", {"since": "1970-01-01T00:00:00Z"})) == (
        422,
        "polling.invalid",
        "since",
    )


def test_the_catalogue_says_all_there_is_to_know_before_connecting(alice: Api) -> None:
    items = {one["account"]: one for one in told(alice.get("accounts/catalogue"))["items"]}
    assert items.keys() == ACCOUNTS.keys()
    anthropic = items["anthropic"]
    assert "Admin key" in anthropic["credential_help"]
    cost = next(one for one in anthropic["feeds"] if one["name"] == "anthropic-cost")
    assert cost == {
        "name": "anthropic-cost", "title": "Cost by the day", "says": "money", "optional": False, "every_s": 3_600,
        "delay_s": 86_400, "revised_s": 2_592_000, "history_s": 31_536_000,
        "dedupe": "the day, every group and the currency", "convention": "none",
        "money": "cents, as decimal text", "evidence": ["billed"], "needs": [],
    }  # fmt: skip


def test_a_credential_never_comes_out(
    alice: Api, fake: AnthropicReports, sent: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    told(alice.post("accounts", said(fake), Idempotency_Key="a1"), 201)
    shown = [alice.get(path).content.decode() for path in ("accounts", "feeds", "sources", "accounts/catalogue")]
    kept = [str(one.__dict__) for one in (*FirstAnswer.objects.all(), *AuditEvent.objects.all())]
    assert kept
    assert fake.credential not in "\n".join([*shown, *kept, caplog.text])


def test_who_may_read_and_who_may_write(
    cast: Cast, login: Callable[[User], Api], by_key: Callable[..., Api], fake: AnthropicReports
) -> None:
    put(cast.acme, at=AT)
    row = PolledFeed.objects.earliest("id")
    bob = login(cast.bob_login)
    assert len(told(bob.get("feeds"))["items"]) == 2
    writes = [("accounts", said(fake)), (f"accounts/{row.account_id}/credential", {"credential": "x"})]
    writes += [(f"accounts/{row.account_id}/{act}", {}) for act in ("disconnect", "feeds")]
    writes += [(f"feeds/{row.id}/{act}", {}) for act in ("pause", "resume", "poll", "backfill")]
    for path, body in writes:
        assert refused(bob.post(path, body))[0] == 403, path
    script = by_key("sources.manage", "org.read")
    assert told(script.post(f"feeds/{row.id}/pause"))["state"] == "paused"
    assert refused(by_key("spend.read").get("accounts"))[0] == 403
    charlie = login(cast.charlie_login)
    assert told(charlie.get("accounts"))["items"] == []
    assert refused(charlie.post(f"feeds/{row.id}/pause"))[0] == 404
    assert not fake.asked


def test_lists_cost_the_same_however_long_they_are(
    alice: Api, cast: Cast, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for n in range(5):
        put(cast.acme, label=f"Account {n}", credential=f"secret-{n}", at=AT)
    alice.get("accounts")
    for path in ("accounts", "feeds"):
        with django_assert_max_num_queries(8):
            assert told(alice.get(path))["items"]


def test_a_worker_is_told_once_it_is_committed(
    alice: Api, fake: AnthropicReports, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    handed: list[dict[str, int]] = []
    for task in (tasks.poll_feed, tasks.backfill):
        monkeypatch.setattr(task, "apply_async", lambda kwargs, **_: handed.append(kwargs))
    with django_capture_on_commit_callbacks(execute=True):
        told(alice.post("accounts", said(fake)), 201)
    feeds = list(PolledFeed.objects.order_by("id").values_list("id", flat=True))
    assert handed == [{"feed_id": one} for one in feeds]
    with django_capture_on_commit_callbacks(execute=True):
        job = told(alice.post(f"feeds/{feeds[0]}/backfill", {"since": "2026-06-01T00:00:00Z"}), 202)
    assert handed[-1] == {"job_id": job["id"]}
    assert job["kind"] == services.BACKFILL
