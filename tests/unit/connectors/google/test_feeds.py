"""What is fetched of Google: the billing export, out of a BigQuery that is made up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from finops.connectors.feeds import FEEDS
from finops.connectors.fetching import Away, Limited, Refused, RequestRefused, Window
from finops.connectors.google import feeds
from finops.connectors.google.feeds import ACCOUNT
from finops.connectors.google.service_account import key_of
from finops.connectors.google.skus import meter_of
from finops.connectors.pages import BodyUnreadable
from finops.connectors.paging import PagesBroken
from finops.connectors.types import content_hash
from tests.factories.feeds import (
    PROMISES,
    Promise,
    a_probe_asks_once_and_finds_a_revoked_key,
    a_revision_keeps_its_id,
    access,
    fetched,
    first,
    several_pages_are_followed,
    told,
)
from tests.fakes.reports.google import TABLE, GoogleReports
from tests.fakes.reports.shared import DAY

UNTIL = datetime(2026, 11, 20, tzinfo=UTC)
COSTS = "google-billing"
# A token is asked for first; and rows are never changed.
_OTHERWISE = (a_probe_asks_once_and_finds_a_revoked_key, a_revision_keeps_its_id)


@pytest.fixture
def fake() -> Iterator[GoogleReports]:
    made = GoogleReports(until=UNTIL)
    yield made
    made.close()


@pytest.mark.parametrize(
    "promise", [*(one for one in PROMISES if one not in _OTHERWISE), several_pages_are_followed]
)  # fmt: skip
def test_a_feed_keeps_its_promises(fake: GoogleReports, promise: Promise) -> None:
    promise(fake, COSTS)


def test_what_is_known_later_is_a_row_of_its_own(fake: GoogleReports) -> None:
    before = fetched(fake, COSTS)
    fake.revise()
    after = fetched(fake, COSTS)
    assert told(after) == fake.truth(COSTS)
    assert len(after) == len(before) + 1
    assert all(content_hash(after[key]) == content_hash(event) for key, event in before.items())


def test_a_probe_looks_at_the_table_and_makes_no_query(fake: GoogleReports) -> None:
    ACCOUNT.probe(access(fake))
    assert [one.path for one in fake.asked] == ["/token", "/bigquery/v2/projects/acme-billing/queries"]
    assert fake.asked[1].body["dryRun"] is True
    assert fake.jobs == {}
    with pytest.raises(RequestRefused):
        ACCOUNT.probe(access(fake, settings={"table": f"{TABLE}_another"}))
    fake.revoke()
    with pytest.raises(Refused):
        ACCOUNT.probe(access(fake))


def test_a_window_is_of_when_rows_were_exported(fake: GoogleReports) -> None:
    """What was used in the evening is exported on the next day."""
    begin = UNTIL - 3 * DAY
    found = []
    for number in range(4):
        window = Window(begin + number * DAY, begin + (number + 1) * DAY)
        found.append(sum(len(page) for page in FEEDS[COSTS].pages(access(fake), window)))
    assert found == [10, 9, 9, 0]


def test_only_what_is_read_is_asked_for(fake: GoogleReports) -> None:
    first(fake, COSTS)
    asked = next(one.body["query"] for one in fake.asked if one.method == "POST" and one.path != "/token")
    assert "*" not in asked
    assert "price" not in asked
    assert "resource" not in asked


def test_a_query_that_takes_its_time_is_waited_for(fake: GoogleReports, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "_PAUSE_S", 0.0)
    fake.waits = 3
    assert told(fetched(fake, COSTS)) == fake.truth(COSTS)
    fake.waits = 100
    with pytest.raises(Away):
        first(fake, COSTS)


def test_pages_that_lead_back_are_given_up(fake: GoogleReports, monkeypatch: pytest.MonkeyPatch) -> None:
    results = fake._results
    monkeypatch.setattr(
        fake, "_results", lambda name, asked: results(name, asked._replace(query={})) | {"pageToken": "again"}
    )
    with pytest.raises(PagesBroken):
        first(fake, COSTS)


@pytest.mark.parametrize("reason", ["rateLimitExceeded", "quotaExceeded"])
def test_too_many_queries_are_no_refusal(fake: GoogleReports, monkeypatch: pytest.MonkeyPatch, reason: str) -> None:
    said = {"error": {"code": 403, "errors": [{"reason": reason}]}}
    monkeypatch.setattr(fake, "page", lambda _: (403, said))
    with pytest.raises(Limited):
        first(fake, COSTS)
    monkeypatch.setattr(fake, "page", lambda _: (403, {"error": {"errors": [{"reason": "accessDenied"}]}}))
    with pytest.raises(Refused):
        first(fake, COSTS)


@pytest.mark.parametrize("said", [{}, {"jobComplete": "yes"}, {"jobComplete": True, "rows": {}}, [],
                                  {"jobComplete": True, "rows": [{"f": []}]},
                                  {"jobComplete": True, "rows": [{"f": [{"v": None}]}]}])  # fmt: skip
def test_another_answer_is_no_empty_report(fake: GoogleReports, monkeypatch: pytest.MonkeyPatch, said: Any) -> None:
    monkeypatch.setattr(fake, "page", lambda _: (200, said))
    with pytest.raises(BodyUnreadable):
        first(fake, COSTS)


@pytest.mark.parametrize(
    "credential", ["", "a-secret", "[]", "{}", '{"type": "service_account", "private_key": "x"}', "9" * 20_000]
)
def test_what_is_no_key_is_asked_with_of_nobody(fake: GoogleReports, credential: str) -> None:
    with pytest.raises(Refused, match="JSON file"):
        ACCOUNT.probe(access(fake, credential=credential))
    assert fake.asked == []


def test_a_key_leads_nowhere_but_to_google(fake: GoogleReports) -> None:
    said = json.loads(fake.credential) | {"token_uri": "https://elsewhere.example/token"}
    found = key_of(access(fake, credential=json.dumps(said)))
    assert found.tokens == "https://oauth2.googleapis.com/token"


@pytest.mark.parametrize(
    ("setting", "value"),
    [("table", ""), ("table", "a.b"), ("table", "acme.b.c` JOIN x"), ("project", "../x"), ("project", "a b")],
)
def test_settings_that_are_missing_or_odd_are_named(fake: GoogleReports, setting: str, value: str) -> None:
    with pytest.raises(RequestRefused, match=setting):
        ACCOUNT.probe(access(fake, settings={"table": TABLE, setting: value}))
    assert fake.asked == []


@pytest.mark.parametrize(
    ("description", "meter"),
    [
        ("Gemini 3.7 Flash Global Text Input - Predictions", "input_uncached"),
        ("Gemini 2.5 Flash GA Thinking Text Output - Predictions", "output"),
        ("Gemini 2.5 Flash GA Input Text Caching", "cache_read"),
        ("Gemini 3 Flash Text Input Caching Storage", ""),
        ("Gemini 3 Flash Audio Input - Predictions", "input_audio"),
        ("Gemini 3 Flash Audio Input Caching", "cache_read_audio"),
        ("Gemini 3 Flash Image Input - Predictions", "input_image"),
        ("Gemini 3 Flash Image Input Caching", ""),
        ("Gemini 3 Flash Image Output - Predictions", "output_image"),
        ("Gemini 3 Flash Video Input - Predictions", ""),
        ("Generate content input token count gemini 2.5 flash short input text", "input_uncached"),
        ("Claude Sonnet 4.5 - Cache Read Tokens", "cache_read"),
        ("Claude Sonnet 4.5 - 5m Cache Write Tokens", "cache_write_5m"),
        ("Claude Sonnet 4.5 - 1h Cache Write Tokens", "cache_write_1h"),
        ("LLM Grounding with Google Search tool - Predictions", "web_searches"),
        ("Gemini 2.5 Flash Tuning Input", ""),
        ("Vertex AI: Provisioned Throughput 1 month", ""),
        ("Input and Output", ""),
        ("", ""),
    ],
)
def test_which_meter_a_sku_says(description: str, meter: str) -> None:
    assert meter_of(description) == meter
