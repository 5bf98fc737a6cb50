"""Rules and channels are made, changed and archived; what is secret stays so."""

from __future__ import annotations

from datetime import time
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from finops.alerts import sealing, selectors
from finops.alerts.models import AlertRule, Channel, Incident
from finops.alerts.rules.addresses import AddressInvalid
from finops.alerts.rules.kinds import RuleInvalid
from finops.alerts.services import channels, rules
from finops.alerts.services.incidents import Resolved, acknowledge, resolve
from finops.alerts.services.signals import take_signals
from finops.alerts.types import SIGNALLED, ChannelDraft, RuleDraft
from finops.audit.models import AuditEvent
from finops.core.errors import NotFound
from tests.factories.alerts import ADDRESSES, channel, channel_and_secret, rule, signal
from tests.factories.budgets import budget
from tests.factories.orgs import HOUSE, NOON, Cast

WHO: dict[str, Any] = {"by": HOUSE, "at": NOON}


def test_an_organization_has_its_first_rules_when_it_is_made(cast: Cast) -> None:
    for organization in (cast.acme, cast.globex):
        found = selectors.rules(organization.id)
        assert {one.kind for one in found} == {"budget.threshold", "budget.forecast", "month.changed", *SIGNALLED}
        assert all(one.every_channel and one.enabled for one in found)


def test_a_rule_is_made_changed_and_archived_and_the_trail_tells(cast: Cast) -> None:
    row = rule(cast.acme.id, "spend.unpriced", params={"days": 3}, at=NOON)
    row = rules.change_rule(organization_id=cast.acme.id, rule_id=row.id, changes={"params": {"days": 5}}, **WHO)
    assert (row.params, row.kind, row.name) == ({"days": 5}, "spend.unpriced", "On spend.unpriced")
    rules.archive_rule(organization_id=cast.acme.id, rule_id=row.id, **WHO)
    with pytest.raises(rules.RuleArchived):
        rules.change_rule(organization_id=cast.acme.id, rule_id=row.id, changes={"enabled": False}, **WHO)
    told = AuditEvent.objects.filter(subject_kind="alert_rule").order_by("id").values_list("verb", "details")
    assert [verb for verb, _ in told] == ["alert_rule.added", "alert_rule.changed", "alert_rule.archived"]
    assert told[1][1] == {"params": [{"days": 3}, {"days": 5}]}


def test_a_rule_names_nothing_of_another_organization(cast: Cast) -> None:
    theirs = channel(cast.globex.id, at=NOON)
    cap = budget(cast.globex.id, at=NOON)
    for said, field in (
        ({"channel_ids": (theirs.id,)}, "channel_ids"),
        ({"params": {"budgets": [cap.id]}}, "params.budgets"),
    ):
        with pytest.raises(RuleInvalid) as refused:
            rule(cast.acme.id, "budget.threshold", at=NOON, **said)
        assert refused.value.field == field
    own = AlertRule.objects.filter(organization=cast.globex).earliest("id")
    with pytest.raises(NotFound):
        rules.change_rule(organization_id=cast.acme.id, rule_id=own.id, changes={"enabled": False}, **WHO)


def test_addresses_and_secrets_are_sealed_and_in_no_trail(cast: Cast) -> None:
    row, secret = channel_and_secret(cast.acme.id, at=NOON)
    mail = channel(cast.acme.id, "email", at=NOON)
    assert secret.startswith("whsec_")
    with connection.cursor() as cursor:
        cursor.execute("SELECT row_to_json(c)::text FROM alerts_channel AS c")
        kept = "".join(one for (one,) in cursor.fetchall())
    for hidden in (secret, ADDRESSES["webhook"], "alice@"):
        assert hidden not in kept
        assert hidden not in str(list(AuditEvent.objects.values()))
    assert sealing.unseal(row.secret) == secret
    assert sealing.unseal(mail.address) == "alice@acme.example"
    assert (row.hint, mail.hint) == ("hooks.acme.example", "a…@acme.example")


def test_what_was_sealed_under_a_former_key_opens_while_that_is_named(settings: Any) -> None:
    before, sealed = settings.SECRET_KEY, sealing.seal("alice@acme.example")
    settings.SECRET_KEY = "another-secret-key-of-fifty-characters-and-some-more"
    with pytest.raises(sealing.CannotOpen):
        sealing.unseal(sealed)
    settings.SECRET_KEY_FALLBACKS = [before]
    assert sealing.unseal(sealed) == "alice@acme.example"


def test_a_channel_keeps_its_address_until_another_is_said(cast: Cast) -> None:
    row = channel(cast.acme.id, "email", at=NOON)
    change: dict[str, Any] = {"organization_id": cast.acme.id, "channel_id": row.id, **WHO}
    said = ChannelDraft(name="Nights", kind="email", quiet_from=time(22), quiet_until=time(7), timezone="Europe/Berlin")
    row = channels.change_channel(draft=said, **change)
    assert (row.name, row.hint, row.quiet_from) == ("Nights", "a…@acme.example", time(22))
    row = channels.change_channel(draft=ChannelDraft(name="Nights", kind="email", address="b@acme.example"), **change)
    assert (row.hint, row.quiet_from) == ("b…@acme.example", None)
    channels.archive_channel(organization_id=cast.acme.id, channel_id=row.id, **WHO)
    row.refresh_from_db()
    # Forgotten: an archived channel needs no address.
    assert sealing.unseal(row.address) == ""


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"kind": "pigeon"}, "kind"),
        ({"address": "http://x"}, "address"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"quiet_from": time(22)}, "quiet_until"),
        ({"quiet_from": time(7), "quiet_until": time(7)}, "quiet_until"),
        ({"digest_minutes": 0}, "digest_minutes"),
        ({"name": " "}, "name"),
    ],
)
def test_a_channel_that_cannot_be_names_its_field(cast: Cast, said: dict[str, Any], field: str) -> None:
    draft = {"name": "Hook", "kind": "webhook", "address": ADDRESSES["webhook"], **said}
    with pytest.raises((channels.ChannelInvalid, AddressInvalid, RuleInvalid)) as refused:
        channels.add_channel(organization_id=cast.acme.id, draft=ChannelDraft(**draft), **WHO)
    assert refused.value.field == field


def test_there_is_an_end_to_rules_and_channels(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "MOST_CHANNELS", 1)
    monkeypatch.setattr(rules, "MOST_RULES", AlertRule.objects.filter(organization=cast.acme).count() + 1)
    channel(cast.acme.id, at=NOON)
    with pytest.raises(channels.TooManyChannels):
        channel(cast.acme.id, at=NOON)
    rule(cast.acme.id, "spend.unpriced", at=NOON)
    with pytest.raises(rules.TooManyRules):
        rules.add_rule(organization_id=cast.acme.id, draft=RuleDraft(name="x", kind="spend.unpriced"), **WHO)


def test_a_webhook_can_be_given_another_secret(cast: Cast) -> None:
    row, secret = channel_and_secret(cast.acme.id, at=NOON)
    made = channels.renew_secret(organization_id=cast.acme.id, channel_id=row.id, **WHO)
    assert sealing.unseal(made.channel.secret) == made.secret != secret
    mail = channel(cast.acme.id, "email", at=NOON)
    with pytest.raises(channels.ChannelInvalid):
        channels.renew_secret(organization_id=cast.acme.id, channel_id=mail.id, **WHO)


def test_somebody_looks_after_an_incident_and_says_that_it_is_over(cast: Cast) -> None:
    signal(cast.acme.id, at=NOON)
    take_signals(at=NOON)
    mine: dict[str, Any] = {"organization_id": cast.acme.id, "incident_id": Incident.objects.get().id, **WHO}
    acknowledge(**mine)
    row = resolve(note="It was a test", **mine)
    assert (row.resolved_by, row.resolution) == ("system:tests", "It was a test")
    for act in (acknowledge, resolve):
        with pytest.raises(Resolved):
            act(**mine)
        with pytest.raises(NotFound):
            act(**mine | {"organization_id": cast.globex.id})


def test_the_database_keeps_one_open_incident_of_a_kind_and_key(cast: Cast) -> None:
    def opened() -> Incident:
        return Incident.objects.create(
            organization=cast.acme,
            kind="stop.made",
            key="team:1",
            severity="warning",
            opened_at=NOON,
            last_seen_at=NOON,
        )

    first = opened()
    with pytest.raises(IntegrityError, match="incident_open_once"), transaction.atomic():
        opened()
    with pytest.raises(IntegrityError, match="incident_resolved_by"), transaction.atomic():
        Incident.objects.filter(id=first.id).update(resolved_at=NOON)
    Incident.objects.filter(id=first.id).update(resolved_at=NOON, resolved_by="user:1")
    assert opened().id != first.id


def test_the_database_refuses_half_of_quiet_hours(cast: Cast) -> None:
    row = channel(cast.acme.id, at=NOON)
    with pytest.raises(IntegrityError, match="alert_channel_quiet_hours"), transaction.atomic():
        Channel.objects.filter(id=row.id).update(quiet_from=time(22))
