"""When a batch is looked at again, when it happened, and what of its results is booked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.structs import replace

from finops.connectors.capstan.parse import parse
from finops.connectors.openai.batches import Result
from finops.connectors.types import UsageEvent
from finops.connectors.wording import problem
from routing.batches import rules
from routing.batches.hot import decode_event, encode_event
from tests.factories.pricing import counts

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
EVENT = UsageEvent(
    external_id="cap_x:call-1",
    occurred_at=NOON,
    provider="openai",
    model="gpt",
    counts=counts(),
    session="night-run",
    identities=(("email", "bob@acme.example"),),
    tags=(("env", "prod"),),
)
LATER = NOON + timedelta(hours=3)
COMMON = rules.event_of(EVENT, "call-1", "batch_1", LATER)


def test_the_older_a_batch_the_later_it_is_looked_at() -> None:
    waits = [rules.next_look(NOON, NOON + timedelta(seconds=age)) for age in (0, 600, 86_400)]
    assert [at - NOON for at in waits] == [
        timedelta(seconds=20),
        timedelta(seconds=660),
        timedelta(seconds=86_700),
    ]


def test_after_failures_it_waits_longer_and_in_all_two_days() -> None:
    waits = [rules.next_try(failures, NOON) - NOON for failures in range(1, rules.MOST_FAILURES)]
    assert waits[:3] == [timedelta(seconds=40), timedelta(seconds=80), timedelta(seconds=160)]
    assert max(waits) == timedelta(hours=1)
    assert timedelta(days=1.5) < sum(waits, timedelta()) < timedelta(days=2.5)


def test_it_happened_when_the_provider_says_where_that_can_be() -> None:
    told = int((NOON + timedelta(hours=1)).timestamp())
    assert rules.ended_at(told, NOON, LATER) == NOON + timedelta(hours=1)
    for odd in (None, 0, -(10**20), 10**20, int((LATER + timedelta(days=9)).timestamp())):
        assert rules.ended_at(odd, NOON, LATER) == LATER


def test_an_answer_is_charged_as_the_one_who_made_the_batch() -> None:
    result = Result("one", True, "gpt-2026", "chatcmpl-1", {"input_uncached": 10, "requests": 1})
    found = rules.received(COMMON, result, 1)
    assert found is not None
    assert found.event is not None
    said: Any = found.event
    assert (said.external_id, said.model, said.service_tier) == ("batch:call-1:one", "gpt-2026", "batch")
    assert (said.session, said.occurred_at, said.identities) == ("night-run", LATER, EVENT.identities)
    assert said.tags == (("batch", "batch_1"), ("env", "prod"))
    assert said.counts == counts(input_uncached=10, requests=1)
    # Replayed from quarantine it is the same.
    assert parse(found.raw).event == said


def test_what_was_not_answered_is_nothing() -> None:
    assert rules.received(COMMON, Result("one"), 1) is None


def test_what_cannot_be_read_is_held_and_stays_held_when_it_is_read_again() -> None:
    wrong = problem("connectors.usage_unreadable", "usage", "the answer says no usage")
    found = rules.received(COMMON, Result("", True, problem=wrong), 7)
    assert found is not None
    assert (found.event, found.external_id, found.problem) == (None, "batch:call-1:line 7", wrong)
    again = parse(found.raw)
    assert again.event is None
    assert again.problem is not None


def test_an_answer_without_a_model_is_of_the_only_one_there_is() -> None:
    result = Result("one", True, "", "", {"requests": 1})
    found = rules.received(COMMON, result, 1)
    assert found is not None
    assert found.event is not None
    assert found.event.model == "gpt"
    several = rules.received(replace(COMMON, model=""), result, 1)
    assert several is not None
    assert several.problem is not None
    assert (several.event, several.problem.field) == (None, "model")


def test_one_whose_id_nobody_knows_has_no_tag_of_it() -> None:
    assert rules.event_of(EVENT, "call-1", "", LATER).tags == EVENT.tags


def test_an_event_is_kept_as_it_is() -> None:
    assert decode_event(encode_event(EVENT)) == EVENT
