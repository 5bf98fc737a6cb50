"""A proxy asks where its calls should go: answered by any gateway process, and kept once for each call."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from finops.core.money import from_pico
from finops.orgs.hot import prefix_of
from routing.configuration.services import publish_changes
from routing.rollouts.selectors import sums_of_day
from routing.rules import services
from routing.rules.models import Decision
from routing.rules.types import Rule, Use, When
from tests.factories.gateway import call, key, used
from tests.factories.orgs import HOUSE, Cast
from tests.factories.rules import saved
from tests.rooms.gateway.conftest import Opens
from tests.waiting import until

CHEAPER = Rule(name="cheaper", when=When(models=("gpt",)), use=(Use(model="gpt-mini"),))
OFFERS = [
    {"name": "smart", "places": [{"model": "gpt", "provider": "openai"}]},
    {"name": "fast", "places": [{"model": "gpt-mini", "provider": "openai"}]},
]


def question(name: str = "call-1", **given: Any) -> dict[str, Any]:
    return {"id": name, "model": "smart", "offers": OFFERS, "session": "s-1", "input": {"tokens": 1_000}} | given


def test_where_a_call_goes_is_kept_once_and_meets_its_charge(
    cast: Cast, secret: str, gateways: Opens, now: datetime
) -> None:
    row = saved(cast.acme.id, CHEAPER, at=now).row
    gateway = gateways()
    said = gateway.ask(secret, "/route", question()).body
    assert (said["models"], said["rule"], said["version"], said["arm"]) == (["fast", "smart"], "cheaper", 1, "treated")
    # Asked again, it is the same call.
    assert gateway.ask(secret, "/route", question()).body == said
    gateway.ask(secret, "/route", question("call-2", session="s-2"))
    until(lambda: Decision.objects.count() == 2)
    kept = Decision.objects.get(call_id="call-1")
    assert (kept.rule_id, kept.arm, kept.asked, kept.chosen, kept.session, kept.tokens) == (
        row.id, "treated", "gpt", "gpt-mini", "s-1", 1_000,
    )  # fmt: skip
    # The authorization has the same id, and so has the charge: what the rule's calls cost is known.
    allowed = gateway.ask(secret, body=call("call-1", model="gpt-mini"))
    gateway.settles(secret, allowed.body["id"], used(500, 10))
    assert gateway.comes_home() == 1
    sums = sums_of_day(cast.acme.id, kept.at.date())[row.id]
    assert (sums.treated_calls, sums.treated_cost) == (1, from_pico(520_000_000))


def test_only_who_may_authorise_calls_may_ask_and_each_for_its_own_house(
    cast: Cast, secret: str, gateways: Opens, now: datetime
) -> None:
    saved(cast.acme.id, CHEAPER, at=now)
    reader = key(cast.acme.id, "routing.read", at=now)
    theirs = key(cast.globex.id, at=now)
    gateway = gateways()
    assert gateway.ask(reader, "/route", question()).body["code"] == "orgs.permission_missing"
    assert gateway.ask(theirs, "/route", question()).body["rule"] is None
    assert gateway.ask(secret, "/route", question(), method="GET").status == 405
    assert gateway.ask(secret, "/route", {"id": "x"}).body["field"] == "model"
    assert gateway.ask(secret, "/route", question("of-acme")).body["rule"] == "cheaper"
    until(lambda: Decision.objects.count() == 1)


def test_a_rule_that_names_a_key_holds_for_what_that_key_asks(
    cast: Cast, secret: str, gateways: Opens, now: datetime
) -> None:
    saved(cast.acme.id, Rule(name="mine", when=When(keys=(prefix_of(secret) or "",)), use=CHEAPER.use), at=now)
    other = key(cast.acme.id, at=now)
    gateway = gateways()
    assert gateway.ask(secret, "/route", question()).body["rule"] == "mine"
    assert gateway.ask(other, "/route", question("call-2")).body["rule"] is None


def test_the_switch_holds_for_the_next_question(cast: Cast, secret: str, gateways: Opens, now: datetime) -> None:
    saved(cast.acme.id, CHEAPER, at=now)
    gateway = gateways()
    assert gateway.ask(secret, "/route", question()).body["models"] == ["fast", "smart"]
    services.switch_off(organization_id=cast.acme.id, by=HOUSE, at=now)
    publish_changes(now)
    until(lambda: gateway.ask(secret, "/route", question("after")).body["models"] == ["smart"])
