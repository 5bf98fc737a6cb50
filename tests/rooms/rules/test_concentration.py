"""What makers of models have of the spend, where a rule says how much one may have: looked at, kept, and published."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from finops.alerts.models import Incident
from finops.alerts.services.signals import take_signals
from finops.audit.models import Signal
from finops.config.celery import app
from finops.connectors.types import UsageEvent
from finops.ledger.services import fold
from routing.configuration import wire
from routing.configuration.models import Published
from routing.configuration.services import publish_changes
from routing.rules import services, tasks
from routing.rules.models import Concentration
from routing.rules.rollout import Stage
from routing.rules.services import concentrating
from routing.rules.types import Rule, Use, Within
from routing.tiers.services import set_entry
from routing.tiers.types import Entry
from tests.factories.ledger import AT, Book, event
from tests.factories.orgs import HOUSE, Cast
from tests.factories.pricing import counts
from tests.factories.rules import saved

LIMIT = Rule(name="not-all-with-one", within=Within(most_share=0.4))


def calls(book: Book, number: int, model: str, **given: Any) -> None:
    provider = "anthropic" if model == "claude" else "openai"
    at: datetime = given.get("occurred_at", AT)
    ids = [f"{model}-{at:%m%d%H%M}-{place}" for place in range(number)]
    book.take(*[event(one, model=model, provider=provider, **given) for one in ids])


def told(cast: Cast) -> dict[str, int]:
    """What gateways are told."""
    body = Published.objects.get(organization_id=cast.acme.id).body
    return wire.decode_organization(bytes(body)).shares


def kept() -> dict[int, dict[str, int]]:
    return {row.organization_id: row.shares for row in Concentration.objects.order_by("organization_id")}


def test_shares_of_makers_are_of_all_that_was_spent(cast: Cast, book: Book) -> None:
    saved(cast.acme.id, LIMIT, at=AT)
    # 0.018 of Anthropic's, 0.006 of OpenAI's, 0.012 of a model that nobody knows the maker of.
    calls(book, 4, "claude")
    calls(book, 5, "gpt-mini")
    fold()
    calls(book, 1, "gpt")
    assert services.follow_concentration(at=AT) == [cast.acme.id]
    assert kept() == {cast.acme.id: {"anthropic": 50, "openai": 17}}
    # What the organization says of a model goes before what anybody knows.
    said = Entry(model="gpt", vendor="our-lab")
    set_entry(organization_id=cast.acme.id, entry=said, by=HOUSE, at=AT)
    services.follow_concentration(at=AT)
    assert kept() == {cast.acme.id: {"anthropic": 50, "openai": 17, "our-lab": 33}}


def test_full_days_count_and_thirty_of_them(cast: Cast, book: Book) -> None:
    saved(cast.acme.id, LIMIT, at=AT)
    for outside in (datetime(2026, 10, 1, 23, 59, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)):
        calls(book, 3, "claude", occurred_at=outside)
    for inside in (datetime(2026, 10, 2, tzinfo=UTC), datetime(2026, 10, 31, 23, 59, tzinfo=UTC)):
        calls(book, 1, "gpt-mini", occurred_at=inside)
    services.follow_concentration(at=AT)
    assert kept() == {cast.acme.id: {"openai": 100}}
    # A day later the first of them is over, and another has come.
    services.follow_concentration(at=AT + timedelta(days=1))
    assert kept() == {cast.acme.id: {"anthropic": 92, "openai": 8}}


def test_gateways_are_told_when_a_percent_changes_and_not_before(cast: Cast, book: Book) -> None:
    saved(cast.acme.id, LIMIT, at=AT)
    calls(book, 4, "claude")
    # The first time makes the gateways' own source, which is published too.
    publish_changes(AT)
    publish_changes(AT)
    assert told(cast) == {}
    assert services.follow_concentration(at=AT) == [cast.acme.id]
    assert publish_changes(AT) == [cast.acme.id]
    assert told(cast) == {"anthropic": 100}
    since = Concentration.objects.get().changed_at
    little: UsageEvent = event("little", model="gpt-mini", counts=counts(input_uncached=10, requests=1))
    book.take(little)
    assert services.follow_concentration(at=AT + timedelta(hours=1)) == []
    assert (publish_changes(AT), Concentration.objects.get().changed_at) == ([], since)
    calls(book, 5, "gpt-mini")
    assert services.follow_concentration(at=AT + timedelta(hours=2)) == [cast.acme.id]
    assert publish_changes(AT) == [cast.acme.id]
    assert told(cast) == {"anthropic": 75, "openai": 25}


def test_it_is_looked_at_where_a_rule_asks_it_and_forgotten_where_none_does(cast: Cast, book: Book) -> None:
    calls(book, 1, "claude")
    plain = Rule(name="makers", within=Within(vendors=("anthropic",)))
    saved(cast.acme.id, plain, at=AT)
    assert services.follow_concentration(at=AT) == []
    own = Rule(name="choice", use=(Use(model="gpt"),), within=Within(most_share=0.4))
    row = saved(cast.acme.id, own, at=AT).row
    # Another organization's rule does not look at acme's spend, nor at what is not there.
    saved(cast.globex.id, LIMIT, at=AT)
    assert services.follow_concentration(at=AT) == [cast.acme.id]
    assert kept() == {cast.acme.id: {"anthropic": 100}}
    of: dict[str, Any] = {"organization_id": cast.acme.id, "rule_id": row.id, "by": HOUSE, "at": AT}
    services.switch_off(**of)
    assert services.follow_concentration(at=AT) == []
    assert kept() == {}
    services.switch_on(**of)
    assert services.follow_concentration(at=AT) == [cast.acme.id]
    services.roll_back(**of)
    services.follow_concentration(at=AT)
    assert kept() == {}
    services.start_rollout(stage=Stage.CANARY, **of)
    services.follow_concentration(at=AT)
    assert kept() == {cast.acme.id: {"anthropic": 100}}


def test_what_fails_for_one_stays_as_it_was_and_holds_up_nobody(
    cast: Cast, book: Book, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for one in (cast.acme, cast.globex):
        saved(one.id, LIMIT, at=AT)
    calls(book, 1, "claude")
    services.follow_concentration(at=AT)
    spend = concentrating._spend

    def broken(organization_id: int, at: datetime) -> Any:
        if organization_id == cast.acme.id:
            raise OSError("away")
        return spend(organization_id, at)

    monkeypatch.setattr(concentrating, "_spend", broken)
    calls(Book(cast.globex), 1, "gpt-mini")
    assert services.follow_concentration(at=AT) == [cast.globex.id]
    assert kept() == {cast.acme.id: {"anthropic": 100}, cast.globex.id: {"openai": 100}}
    assert "could not be told" in caplog.text


def test_the_house_looks_by_itself(cast: Cast) -> None:
    saved(cast.acme.id, LIMIT, at=AT)
    tasks.follow_concentration()
    assert kept() == {}
    scheduled = {entry["task"]: entry["schedule"] for entry in app.conf.beat_schedule.values()}
    assert scheduled[tasks.follow_concentration.name] == 3600.0


def test_a_maker_with_too_much_is_told_of_once_until_it_has_less_or_no_rule_asks(cast: Cast, book: Book) -> None:
    def heard() -> list[tuple[str, str]]:
        return list(Signal.objects.order_by("id").values_list("kind", "key"))

    def incidents() -> list[bool]:
        take_signals(at=AT)
        rows = Incident.objects.filter(organization_id=cast.acme.id, kind="concentration.exceeded").order_by("id")
        return [row.resolved_at is None for row in rows]

    row = saved(cast.acme.id, LIMIT, at=AT).row
    calls(book, 4, "claude")
    for _ in range(2):
        services.follow_concentration(at=AT)
    assert heard() == [("concentration.exceeded", "maker:anthropic")]
    assert incidents() == [True]
    # Another maker comes to have most of it.
    calls(book, 40, "gpt-mini")
    services.follow_concentration(at=AT + timedelta(hours=1))
    assert heard()[1:] == [("concentration.ended", "maker:anthropic"), ("concentration.exceeded", "maker:openai")]
    assert incidents() == [False, True]
    services.switch_off(organization_id=cast.acme.id, rule_id=row.id, by=HOUSE, at=AT)
    services.follow_concentration(at=AT + timedelta(hours=2))
    assert heard()[3:] == [("concentration.ended", "maker:openai")]
    assert incidents() == [False, False]


def test_a_stricter_rule_says_it_though_no_share_changed(cast: Cast, book: Book) -> None:
    saved(cast.acme.id, Rule(name="hardly", within=Within(most_share=0.9)), at=AT)
    calls(book, 4, "claude")
    calls(book, 5, "gpt-mini")
    assert services.follow_concentration(at=AT) == [cast.acme.id]
    assert not Signal.objects.exists()
    saved(cast.acme.id, LIMIT, at=AT)
    assert services.follow_concentration(at=AT + timedelta(hours=1)) == []
    [signal] = Signal.objects.all()
    assert signal.details["reason"].startswith("75 % of what was spent in 30 days is for its models")
