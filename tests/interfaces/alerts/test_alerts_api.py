"""Rules, channels, incidents and deliveries over REST: who may what, and what comes out."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pytest_django import DjangoAssertNumQueries

from finops.alerts.models import AlertRule
from finops.orgs import services as orgs
from tests.factories.alerts import ADDRESSES, channel
from tests.factories.budgets import budget
from tests.factories.orgs import HOUSE, NOON, Cast
from tests.fakes.sinks import WebSink
from tests.interfaces.conftest import Api, refused, told

HOOK = {"name": "Hook", "kind": "webhook", "address": ADDRESSES["webhook"]}


def test_a_rule_from_its_making_to_its_end(alice: Api) -> None:
    first = told(alice.get("alert-rules"))["items"]
    assert {one["kind"] for one in first} >= {"budget.threshold", "breaker.tripped"}
    said = {"name": "Nobody's", "kind": "spend.unattributed", "params": {"percent": 20}}
    made = told(alice.post("alert-rules", said, Idempotency_Key="r1"), 201)
    assert told(alice.post("alert-rules", said, Idempotency_Key="r1"), 201)["id"] == made["id"]
    path = f"alert-rules/{made['id']}"
    assert told(alice.patch(path, {"enabled": False, "params": {"percent": 30}}))["params"] == {"percent": 30}
    assert told(alice.get(path))["enabled"] is False
    assert told(alice.post(f"{path}/archive"))["archived_at"]
    assert refused(alice.patch(path, {"enabled": True}))[:2] == (409, "alerts.rule_archived")
    assert refused(alice.post("alert-rules", said | {"params": {"percent": 0}})) == (
        422, "alerts.rule_invalid", "params.percent",
    )  # fmt: skip
    assert refused(alice.post("alert-rules", said | {"channel_ids": [999]}))[2] == "channel_ids"


def test_a_channel_shows_its_secret_once_and_its_address_never(alice: Api) -> None:
    made = told(alice.post("channels", HOOK, Idempotency_Key="c1"), 201)
    assert made["secret"].startswith("whsec_")
    again = told(alice.post("channels", HOOK, Idempotency_Key="c1"), 201)
    assert (again["id"], again["secret"]) == (made["id"], None)
    path = f"channels/{made['id']}"
    for answer in (
        alice.get("channels"),
        alice.get(path),
        alice.patch(path, {"quiet_from": "22:00", "quiet_until": "07:00"}),
    ):
        assert b"whsec_" not in answer.content
        assert b"/capstan" not in answer.content
    assert told(alice.get(path))["quiet_from"] == "22:00:00"
    renewed = told(alice.post(f"{path}/secret"))
    assert renewed["secret"] != made["secret"]
    assert refused(alice.post("channels", HOOK | {"address": "https://169.254.169.254/latest"})) == (
        422, "alerts.address_invalid", "address",
    )  # fmt: skip
    told(alice.post(f"{path}/archive"))
    assert refused(alice.post(f"{path}/test"))[:2] == (409, "alerts.channel_archived")


def test_the_test_button_says_what_became_of_it(alice: Api, web: WebSink) -> None:
    made = told(alice.post("channels", HOOK | {"address": web.address}), 201)
    tried = told(alice.post(f"channels/{made['id']}/test"))
    assert (tried["state"], tried["error"]) == ("delivered", "")
    web.answers = [500]
    tried = told(alice.post(f"channels/{made['id']}/test"))
    assert (tried["state"], tried["error"]) == ("failed", "It answered 500.")
    rows = told(alice.get(f"deliveries?channel_id={made['id']}"))["items"]
    assert [(one["event"], one["state"]) for one in rows] == [("test", "failed"), ("test", "delivered")]


def test_an_incident_is_looked_after_and_over(alice: Api, cast: Cast, tripped: Callable[..., int]) -> None:
    channel(cast.acme.id, at=NOON)
    number = tripped(reason="50 identical calls in a row")
    [row] = told(alice.get("incidents?state=open"))["items"]
    assert (row["title"], row["text"]) == ("A breaker stopped session 8f3a", "Why: 50 identical calls in a row.")
    assert told(alice.post(f"incidents/{number}/acknowledge"))["state"] == "acknowledged"
    done = told(alice.post(f"incidents/{number}/resolve", {"note": "Agent mended"}))
    assert (done["state"], done["resolution"], done["resolved_by"]) == (
        "resolved", "Agent mended", f"user:{cast.alice.user_id}",
    )  # fmt: skip
    assert refused(alice.post(f"incidents/{number}/resolve"))[:2] == (409, "alerts.resolved")
    rows = told(alice.get(f"deliveries?incident_id={number}"))["items"]
    assert [one["event"] for one in rows] == ["resolved", "opened"]


def test_who_may_what(
    alice: Api, bob: Api, viewer: Api, by_key: Callable[..., Api], tripped: Callable[..., int]
) -> None:
    number = tripped()
    missing = (403, "orgs.permission_missing", None)
    for path in ("incidents", "alert-rules"):
        assert refused(viewer.get(path)) == missing
        told(bob.get(path))
    for answer in (
        bob.get("channels"), bob.get("deliveries"), bob.post("alert-rules", {}),
        bob.post(f"incidents/{number}/resolve"),
        by_key("alerts.read").post("channels", HOOK), by_key("alerts.handle").get("incidents"),
    ):  # fmt: skip
        assert refused(answer) == missing
    told(by_key("alerts.read", "alerts.handle").post(f"incidents/{number}/acknowledge"), 404)
    told(by_key("alerts.read", "alerts.handle", "spend.read_people").post(f"incidents/{number}/acknowledge"))
    told(by_key("alerts.manage").post("channels", HOOK), 201)


def test_an_engineer_sees_what_concerns_their_team_and_nobody_else(
    cast: Cast, alice: Api, bob: Api, tripped: Callable[..., int]
) -> None:
    cap = budget(cast.acme.id, each="person", at=NOON)
    agent = orgs.add_agent(organization_id=cast.acme.id, name="Crawler", owner_id=cast.bob.id, by=HOUSE, at=NOON)
    theirs = [
        tripped("cap.tripped", f"account:{one.id}", budget_id=cap.id, dimension="person", subject=str(one.id))
        for one in (cast.bob, cast.alice)
    ]
    theirs += [tripped("stop.made", f"team:{one.id}") for one in (cast.search, cast.chat)]
    theirs += [tripped("breaker.tripped", f"agent:{agent.id}"), tripped("breaker.tripped", "session:8f3a")]
    theirs += [tripped("authorization.expired", "call:1")]
    seen = [one["id"] for one in told(bob.get("incidents"))["items"]]
    assert seen == [theirs[4], theirs[2], theirs[0]]
    assert [one["id"] for one in told(alice.get("incidents"))["items"]] == theirs[::-1]
    assert refused(bob.get(f"incidents/{theirs[1]}"))[0] == 404


def test_lists_are_paged_with_a_bounded_number_of_queries(
    alice: Api, cast: Cast, tripped: Callable[..., int], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    cap = budget(cast.acme.id, each="team", at=NOON)
    numbers = [
        tripped("cap.tripped", f"account:{n}", budget_id=cap.id, dimension="team", subject=str(cast.search.id))
        for n in range(7)
    ]
    page = told(alice.get("incidents?limit=5"))
    assert [one["id"] for one in page["items"]] == numbers[:1:-1]
    rest = told(alice.get(f"incidents?limit=5&cursor={page['next']}"))
    assert ([one["id"] for one in rest["items"]], rest["next"]) == (numbers[1::-1], None)
    assert page["items"][0]["title"] == "The cap, Search refuses calls"
    # Who asks (5), what they see, the incidents; then the organization, budgets and teams by name.
    with django_assert_num_queries(9):
        alice.get("incidents")
    with django_assert_num_queries(6):
        alice.get("alert-rules")
    with django_assert_num_queries(6):
        alice.get("channels")
    with django_assert_num_queries(6):
        alice.get("deliveries")


@pytest.mark.parametrize(
    "path", ["incidents?state=asleep", "incidents?kind=x", "deliveries?state=x", "deliveries?channel_id=0"]
)
def test_a_filter_that_cannot_be_is_refused(alice: Api, path: str) -> None:
    assert refused(alice.get(path))[:2] == (400, "api.invalid")
    assert AlertRule.objects.exists()
