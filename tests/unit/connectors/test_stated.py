"""What a connector states of itself is what it can do."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import timedelta

import pytest

from finops.connectors.enforcement import CONNECTORS, EnforcementError, Power
from finops.connectors.enforcers import enforcer
from finops.connectors.feeds import ACCOUNTS, FEEDS
from finops.connectors.fetching import Access, Evidence, Window
from finops.connectors.registry import PARSERS
from finops.connectors.sent import SENT, of_kind
from finops.sources.services import KINDS
from tests.factories.polling import AT
from tests.fakes.reports.registry import FAKES
from tests.unit.connectors.test_bent_tools import WAYS


def test_every_parser_is_stated_once() -> None:
    """By the feeds that have it, or by what is known of those who send it."""
    of_feeds = {feed.parser for feed in FEEDS.values()}
    assert of_feeds | set(SENT) == set(PARSERS)
    assert not of_feeds & set(SENT)


def test_what_is_sent_comes_to_sources_that_there_are() -> None:
    assert {one.parser for kind in KINDS for one in of_kind(kind)} == set(SENT)


@pytest.mark.parametrize("name", sorted(FAKES))
def test_a_feeds_evidence_is_that_of_its_rows(name: str) -> None:
    fake = FAKES[name](until=AT)
    asked = Access(fake.address, fake.credential, dict(fake.settings), (fake.host,))
    midnight = AT.replace(hour=0, minute=0)
    try:
        for feed in ACCOUNTS[name].feeds:
            found: set[str] = set()
            since = midnight - max(timedelta(days=2), feed.width)
            while since < midnight:
                window = Window(since, min(since + feed.longest, midnight))
                for page in feed.pages(asked, window):
                    found |= evidence_of(feed.parser, page)
                since = window.until
            assert found, feed.name
            assert found <= {one.value for one in feed.evidence}, feed.name
    finally:
        fake.close()


@pytest.mark.parametrize("name", [name for name in WAYS if WAYS[name][1] in SENT and name != "openmeter"])
def test_what_is_sent_has_the_evidence_that_is_stated(name: str) -> None:
    cut, parser, body, sample = WAYS[name]
    found = evidence_of(parser, cut(json.dumps(body(sample)).encode()).rows)
    assert found
    assert found <= {one.value for one in SENT[parser].evidence}


def evidence_of(parser: str, rows: Iterable[bytes]) -> set[str]:
    events = [PARSERS[parser](raw).event for raw in rows]
    return {event.evidence for event in events if event is not None}


def test_evidence_is_of_four_levels() -> None:
    assert {one.value for one in Evidence} == {"billed", "metered", "reported", "estimated"}


@pytest.mark.parametrize("name", sorted(ACCOUNTS))
def test_an_account_states_to_block_keys_exactly_where_a_client_can_be_made(name: str) -> None:
    stated = Power.BLOCK_KEY in ACCOUNTS[name].enforces

    assert stated == _can_be_made(name)
    assert stated == (name in CONNECTORS)


def test_every_connector_that_blocks_keys_is_an_account_that_states_it() -> None:
    assert set(CONNECTORS) == {name for name, one in ACCOUNTS.items() if Power.BLOCK_KEY in one.enforces}


def _can_be_made(name: str) -> bool:
    try:
        enforcer(name, address="https://api.anthropic.com", credential="not a key", internal=())
    except EnforcementError:
        return False
    return True
