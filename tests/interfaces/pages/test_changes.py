"""Changing things from pages: said before it is done, refused in words, audited."""

from __future__ import annotations

import re
from datetime import timedelta

from django.test import Client

from finops.attribution.models import AttributionRule
from finops.audit.models import AuditEvent
from finops.ingest.models import QuarantinedRecord
from finops.orgs.models import Person, VirtualKey
from finops.pricing.models import Contract
from tests.factories.company import Company
from tests.interfaces.pages.conftest import at, text_of


def test_a_key_is_shown_once(company: Company, alice: Client) -> None:
    form = {"name": "Gateway", "permissions": ["usage.write"], "team": "search"}
    answer = alice.post(at("key_issue"), form)
    secret = re.search(r"cap_[A-Za-z0-9]+_[A-Za-z0-9_-]{20,}", text_of(answer))
    assert secret
    assert answer["Cache-Control"] == "no-store"
    key = VirtualKey.objects.get(name="Gateway")
    assert key.team_id == company.cast.search.id
    assert secret[0] not in text_of(alice.get(at("keys")))
    renewed = alice.post(at("key_rotate", key_id=key.id))
    assert renewed["Cache-Control"] == "no-store"
    assert key.prefix in text_of(renewed)
    assert secret[0] not in text_of(renewed)
    assert "The secret before works until" in text_of(renewed)
    assert "secret before until" in text_of(alice.get(at("keys")))
    alice.post(at("key_revoke", key_id=key.id))
    assert "revoked" in text_of(alice.get(at("keys")))
    assert AuditEvent.objects.filter(verb="key.revoked").exists()


def test_a_refused_form_keeps_what_was_typed_and_names_the_field(alice: Client) -> None:
    answer = alice.post(at("key_issue"), {"name": "Gateway", "permissions": ["usage.write"], "team": "nobody"})
    assert answer.status_code == 422
    assert 'value="Gateway"' in text_of(answer)
    assert "There is no team with the short name" in text_of(answer)
    answer = alice.post(at("settings"), {
        "name": "Acme", "reporting_currency": "usd!", "timezone": "UTC", "fiscal_calendar": "months",
        "fiscal_start_month": "1",
    })  # fmt: skip
    assert answer.status_code == 422


def test_a_rule_is_told_before_it_is_saved(company: Company, alice: Client) -> None:
    month = f"{company.at - timedelta(days=company.at.day):%Y-%m}"
    draft = {
        "name": "Region is Chat",
        "field0": "region",
        "operator0": "is",
        "values0": "eu-west-1",
        "team": "chat",
        "month": month,
    }
    told = text_of(alice.post(at("rule_add"), {**draft, "act": "preview"}))
    assert re.search(r"This would move <b[^>]*>\$[\d.]+</b> of", told)
    assert not AttributionRule.objects.exists()
    saved = alice.post(at("rule_add"), {**draft, "act": "save"})
    assert saved.status_code == 302
    rule = AttributionRule.objects.get()
    listed = text_of(alice.get(at("rules")))
    assert "Region is Chat" in listed
    assert "eu-west-1" in listed
    edited = text_of(alice.get(at("rule_edit", rule_id=rule.id)))
    assert 'value="chat"' in edited
    alice.post(at("rule_retire", rule_id=rule.id))
    assert "Region is Chat" not in text_of(alice.get(at("rules")))
    assert "Region is Chat" in text_of(alice.get(at("rules"), {"retired": "1"}))


def test_a_bad_condition_is_said_beside_the_form(alice: Client) -> None:
    draft = {"name": "Bad", "field0": "nonsense", "operator0": "is", "values0": "x", "team": "chat", "act": "preview"}
    answer = alice.post(at("rule_add"), draft)
    assert answer.status_code == 422
    assert "nonsense" in text_of(answer)


def test_what_is_held_can_be_read_replayed_and_given_up(company: Company, alice: Client) -> None:
    record = QuarantinedRecord.objects.create(
        organization=company.cast.acme, source=company.source, digest=b"x" * 16, external_id="bad-1",
        code="ingest.unreadable", field="model", message="the record could not be read",
        raw=b'{"id": "bad-1", "\xff": "<script>"}', parser="capstan", received_at=company.at,
    )  # fmt: skip
    assert "bad-1" in text_of(alice.get(at("sources")))
    page = text_of(alice.get(at("record", record_id=record.id)))
    assert "&lt;script&gt;" in page
    assert "<script>&quot;" not in page
    again = text_of(alice.post(at("record_replay", record_id=record.id), follow=True))
    assert "Still not bookable" in again
    alice.post(at("record_discard", record_id=record.id))
    record.refresh_from_db()
    assert record.state == "discarded"


def test_a_person_is_erased_only_by_typing_the_name(company: Company, alice: Client) -> None:
    url = at("person_erase", person=company.cast.bob.slug)
    assert alice.post(url, {"confirm": "bob"}).status_code == 422
    assert alice.post(url, {"confirm": "Bob"}).status_code == 302
    person = Person.objects.get(id=company.cast.bob.id)
    assert person.erased_at is not None
    assert "Bob" not in text_of(alice.get(at("spend"), {"group": "person", "period": "last-30d"}))


def test_people_teams_and_things_are_added_and_changed(company: Company, alice: Client) -> None:
    acme = company.cast.acme
    assert alice.post(at("team_add"), {"name": "Ranking", "parent": "search"}).status_code == 302
    assert (
        alice.post(at("person_add"), {"name": "Zoe", "email": "zoe@acme.example", "team": "ranking"}).status_code == 302
    )
    assert alice.post(at("thing_add", kind="agent"), {"name": "Crawler", "owner": "zoe"}).status_code == 302
    assert alice.post(at("identity_add", person="zoe"), {"kind": "github", "value": "zoe-codes"}).status_code == 302
    page = text_of(alice.get(at("people")))
    assert "Ranking" in page
    assert "CC-100" in page  # inherited from Search
    assert "zoe-codes" in text_of(alice.get(at("person", person="zoe")))
    assert "Crawler" in text_of(alice.get(at("things", kind="agent")))
    assert alice.post(at("team", team="search"), {"name": "Search", "parent": "ranking"}).status_code == 422
    assert acme.team_set.get(slug="search").parent is None


def test_a_discount_out_of_bounds_and_an_overlap_are_said_in_the_form(alice: Client) -> None:
    about = {"provider": "openai", "effective_from": "2026-01-01"}
    assert alice.post(at("contract_discount"), {**about, "percent": "101"}).status_code == 422
    assert alice.post(at("contract_discount"), {**about, "percent": "5"}).status_code == 302
    assert alice.post(at("contract_discount"), {**about, "percent": "6"}).status_code == 422
    contract = Contract.objects.get()
    assert alice.post(at("contract_close", contract_id=contract.id), {"effective_to": "2026-06-01"}).status_code == 302
