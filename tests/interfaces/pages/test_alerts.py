"""Alerts as pages: incidents looked after and over, rules made and switched, channels made, tested and forgotten."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from finops.alerts import sealing
from finops.alerts.models import AlertRule, Channel, Delivery, Incident
from finops.alerts.services.signals import take_signals
from finops.orgs.models import User
from tests.factories.alerts import ADDRESSES, channel, signal
from tests.factories.company import Company, empty_company
from tests.fakes.sinks import WebSink, web_sink
from tests.interfaces.pages.conftest import at, text_of


@pytest.fixture
def company(db: None) -> Company:
    return empty_company(datetime.now(UTC).replace(microsecond=0))


@pytest.fixture
def web(settings: Any) -> Iterator[WebSink]:
    settings.ALERTS_LOOPBACK = True
    with web_sink() as sink:
        yield sink


@pytest.fixture
def tripped(company: Company) -> Callable[..., Incident]:
    def made(kind: str = "breaker.tripped", key: str = "session:8f3a", **details: Any) -> Incident:
        signal(company.cast.acme.id, kind, key, at=company.at, **details)
        take_signals(at=company.at)
        return Incident.objects.latest("id")

    return made


def test_an_incident_is_looked_after_and_over(
    company: Company, alice: Client, tripped: Callable[..., Incident]
) -> None:
    channel(company.cast.acme.id, name="On call", at=company.at)
    row = tripped(reason="50 identical calls in a row")
    listed = text_of(alice.get(at("incidents")))
    assert "A breaker stopped session 8f3a" in listed
    # It waits, and every page says so.
    assert '<span class="count">1<span' in text_of(alice.get(at("caps")))
    one = at("incident", incident_id=row.id)
    assert "On call" in text_of(alice.get(one))
    said = text_of(alice.post(at("incident_acknowledge", incident_id=row.id), follow=True))
    assert "by Alice" in said
    assert '<span class="count">' not in said
    said = text_of(alice.post(at("incident_resolve", incident_id=row.id), {"note": "Mended"}, follow=True))
    assert "Mended" in said
    assert "Nothing is wrong" in text_of(alice.get(at("incidents")))
    assert "session 8f3a" in text_of(alice.get(at("incidents"), {"state": "resolved"}))
    # Twice is said, not done.
    assert "over already" in text_of(alice.post(at("incident_resolve", incident_id=row.id), follow=True))


def test_an_engineer_sees_what_is_theirs_and_handles_nothing(
    company: Company, browser: Callable[[User], Client], tripped: Callable[..., Incident]
) -> None:
    bob = browser(company.cast.bob_login)
    theirs = tripped("stop.made", f"team:{company.cast.search.id}")
    others = tripped("stop.made", f"team:{company.cast.chat.id}")
    listed = text_of(bob.get(at("incidents")))
    assert ("Stopped: Search" in listed, "Stopped: Chat" in listed) == (True, False)
    assert bob.get(at("incident", incident_id=others.id)).status_code == 404
    assert "I look after it" not in text_of(bob.get(at("incident", incident_id=theirs.id)))
    assert bob.post(at("incident_resolve", incident_id=theirs.id)).status_code == 403
    for name in ("channels", "channel_add", "alert_rule_add"):
        assert bob.get(at(name)).status_code == 403
    assert "Switch off" not in text_of(bob.get(at("alert_rules")))


def test_a_rule_is_made_changed_and_switched_off(company: Company, alice: Client) -> None:
    path = f"{at('alert_rule_add')}?kind=spend.unattributed"
    said = {"name": "Nobody’s spend", "percent": "0", "days": "7", "least_amount": "5", "told": "all", "enabled": "on"}
    refused = alice.post(path, said)
    assert (refused.status_code, "percent" in refused.context["form"].errors) == (422, True)
    alice.post(path, said | {"percent": "15"})
    row = AlertRule.objects.latest("id")
    assert (row.kind, row.params, row.every_channel) == (
        "spend.unattributed", {"percent": 15, "days": 7, "least_amount": "5"}, True,
    )  # fmt: skip
    edit = at("alert_rule_edit", alert_rule_id=row.id)
    assert 'value="15"' in text_of(alice.get(edit))
    alice.post(edit, said | {"percent": "20", "told": "none"})
    row.refresh_from_db()
    assert (row.params["percent"], row.every_channel) == (20, False)
    alice.post(at("alert_rule_switch", alert_rule_id=row.id), {"enabled": "off"})
    row.refresh_from_db()
    assert row.enabled is False
    alice.post(at("alert_rule_archive", alert_rule_id=row.id))
    assert "Nobody’s spend" not in text_of(alice.get(at("alert_rules")))


@pytest.mark.parametrize("kind", sorted(AlertRule._meta.get_field("kind").choices or ()))
def test_every_kind_of_rule_has_its_form(company: Company, alice: Client, kind: tuple[str, str]) -> None:
    channel(company.cast.acme.id, at=company.at)
    assert alice.get(f"{at('alert_rule_add')}?kind={kind[0]}").status_code == 200
    assert alice.get(f"{at('alert_rule_add')}?kind=x").status_code == 404


def test_a_webhook_shows_its_secret_once_and_is_tested(company: Company, alice: Client, web: WebSink) -> None:
    path = f"{at('channel_add')}?kind=webhook"
    said = {"name": "Ours", "address": "http://10.0.0.1/", "digest_minutes": "60"}
    assert "begins with https" in text_of(alice.post(path, said))
    made = alice.post(path, said | {"address": web.address})
    row = Channel.objects.get()
    assert (made.status_code, made["Cache-Control"]) == (201, "no-store")
    assert sealing.unseal(row.secret) in text_of(made)
    one = at("channel", channel_id=row.id)
    assert "whsec_" not in text_of(alice.get(one))
    assert "The test arrived." in text_of(alice.post(at("channel_test", channel_id=row.id), follow=True))
    web.answers = [404]
    failed = text_of(alice.post(at("channel_test", channel_id=row.id), follow=True))
    assert "The test did not arrive. It answered 404." in failed
    renewed = text_of(alice.post(at("channel_secret", channel_id=row.id)))
    row.refresh_from_db()
    assert sealing.unseal(row.secret) in renewed
    assert Delivery.objects.count() == 2
    alice.post(at("channel_archive", channel_id=row.id))
    assert "No channel yet" in text_of(alice.get(at("channels")))


@pytest.mark.parametrize("kind", sorted(ADDRESSES))
def test_every_kind_of_channel_is_made_and_changed(company: Company, alice: Client, kind: str) -> None:
    said = {"name": "Ours", "address": ADDRESSES[kind], "digest_minutes": "60", "timezone": "Europe/Berlin"}
    alice.post(f"{at('channel_add')}?kind={kind}", said)
    row = Channel.objects.get()
    change = at("channel_change", channel_id=row.id)
    assert ADDRESSES[kind] not in text_of(alice.get(change))
    alice.post(change, said | {"address": "", "quiet_from": "22:00", "quiet_until": "07:00"})
    row.refresh_from_db()
    assert (str(row.quiet_from), sealing.unseal(row.address)) == ("22:00:00", ADDRESSES[kind])
    refused = alice.post(change, said | {"address": "", "quiet_from": "22:00"})
    assert (refused.status_code, "quiet_until" in refused.context["form"].errors) == (422, True)


def test_more_rows_ask_no_more_questions(company: Company, alice: Client, tripped: Callable[..., Incident]) -> None:
    def asked(name: str, **kwargs: Any) -> int:
        alice.get(at(name, **kwargs))
        with CaptureQueriesContext(connection) as queries:
            alice.get(at(name, **kwargs))
        return len(queries)

    row = channel(company.cast.acme.id, at=company.at)
    pages: list[tuple[str, dict[str, Any]]] = [
        ("incidents", {}), ("alert_rules", {}), ("channels", {}), ("overview", {}), ("channel", {"channel_id": row.id}),
    ]  # fmt: skip
    tripped("stop.made", f"team:{company.cast.search.id}")
    before = {name: asked(name, **kwargs) for name, kwargs in pages}
    for n in range(6):
        tripped("breaker.tripped", f"session:{n}")
        tripped("breaker.tripped", f"team:{company.cast.chat.id}")
        channel(company.cast.acme.id, at=company.at)
    for name, kwargs in pages:
        assert asked(name, **kwargs) <= before[name], name
    assert before["incidents"] <= 12
