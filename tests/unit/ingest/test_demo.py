"""The demo company is invented, but it is the same invention every time, and shaped like a company."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.connectors.types import UsageEvent, content_hash
from finops.core.tokens import METER_INDEX
from finops.ingest.demo import incidents, shapes
from finops.ingest.demo.company import LOGINS, OFFICES, Company, company
from finops.ingest.demo.rhythm import OFFICE, WAKING, Pace, counts_by_day, moment, span, whole
from finops.ingest.demo.streams import CLAUDE_CODE, GATEWAY, LITELLM, STREAMS, Streams
from finops.ingest.demo.world import SERVICE_KEYS, World

UNTIL = datetime(2026, 11, 20, 15, tzinfo=UTC)
INSTANTS = st.integers(0, 8 * 365 * 24).map(lambda hours: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=hours))


def world(*, until: datetime = UNTIL, charges: int = 6_000) -> World:
    acme = company()
    keys = {name: f"cap_{place:08d}" for place, name in enumerate((*SERVICE_KEYS, *(a.slug for a in acme.agents)))}
    return World(acme, keys, span(until), charges)


def everything(of: World) -> list[tuple[str, UsageEvent]]:
    streams = Streams(of)
    return [
        told
        for number in range(len(of.span.days))
        for happenings in (streams.on(number), incidents.incidents(of, number))
        for told in happenings
    ]


@pytest.fixture(scope="module")
def acme() -> Company:
    return company()


@pytest.fixture(scope="module")
def told() -> list[tuple[str, UsageEvent]]:
    return everything(world())


# --- The company ------------------------------------------------------------------------------------------------------
def test_the_company_is_as_large_as_it_says(acme: Company) -> None:
    departments = [team for team in acme.teams if not team.parent]
    assert (len(departments), len(acme.teams) - len(departments)) == (8, 30)
    assert (len(acme.people), len(acme.projects), len(acme.agents)) == (300, 40, 60)
    assert all(team.cost_centre for team in acme.teams)


def test_nobody_shares_a_name_and_everything_belongs_somewhere(acme: Company) -> None:
    for slugs in ([p.slug for p in acme.people], [p.email for p in acme.people], [a.slug for a in acme.agents]):
        assert len(set(slugs)) == len(slugs)
    teams, projects = {team.slug for team in acme.teams}, {project.slug for project in acme.projects}
    assert {team.parent for team in acme.teams} <= teams | {""}
    assert {person.team for person in acme.people} <= teams
    assert {project.team for project in acme.projects} <= teams
    assert {agent.project for agent in acme.agents} <= projects
    assert set(SERVICE_KEYS.values()) <= projects | {""}


def test_whoever_can_log_in_is_somebody_of_the_company(acme: Company) -> None:
    roles = {person.email: (person.name.split()[0], person.team, person.role) for person in acme.people if person.role}
    assert roles.keys() == {email for email, _, _ in LOGINS}
    assert roles["engineer@acme.example"] == ("Bob", "search", "engineer")
    for email, _, sentence in LOGINS:
        assert sentence.startswith(roles[email][0])


def test_the_company_is_the_same_every_time(acme: Company) -> None:
    assert company() == acme


# --- Its calls --------------------------------------------------------------------------------------------------------
def test_the_same_day_gives_the_same_calls(told: list[tuple[str, UsageEvent]]) -> None:
    again = everything(world())
    assert [content_hash(event) for _, event in again] == [content_hash(event) for _, event in told]


def test_another_day_gives_other_calls(told: list[tuple[str, UsageEvent]]) -> None:
    later = {content_hash(event) for _, event in everything(world(until=UNTIL + timedelta(days=7)))}
    assert later != {content_hash(event) for _, event in told}


def test_every_call_has_an_id_of_its_own_and_lies_within_the_demo(told: list[tuple[str, UsageEvent]]) -> None:
    ids = Counter((source, event.external_id) for source, event in told)
    assert max(ids.values()) == 1
    first = datetime(2026, 8, 22, tzinfo=UTC)
    assert all(first <= event.occurred_at < UNTIL for _, event in told)


def test_there_are_about_as_many_as_were_asked_for() -> None:
    for charges in (500, 6_000):
        assert len(everything(world(charges=charges))) == pytest.approx(charges, rel=0.06)


def test_calls_say_only_what_a_source_may_say(told: list[tuple[str, UsageEvent]]) -> None:
    for _, event in told:
        assert list(event.tags) == sorted(event.tags)
        assert all(count >= 0 for count in event.counts)
        assert (event.category == "Usage") == (event.cost is None)


def test_working_days_are_busier_than_weekends(told: list[tuple[str, UsageEvent]]) -> None:
    days: Counter[date] = Counter(event.occurred_at.date() for source, event in told if source == CLAUDE_CODE)
    working = [days[day] for day in world().span.days[:-1] if day.weekday() < 5]
    free = [days[day] for day in world().span.days[:-1] if day.weekday() >= 5]
    assert sum(free) / len(free) < 0.3 * sum(working) / len(working)


def test_coding_agents_grow_by_about_six_percent_a_week() -> None:
    [agents] = [stream for stream in STREAMS if stream.name == "agent"]
    days = span(UNTIL).days[:-1]
    # From September on: August is on holiday.
    expected = counts_by_day(days, agents.pace, 1_000)[13:]
    weeks = [sum(expected[start : start + 7]) for start in range(0, len(expected) - 6, 7)]
    growth = (weeks[-1] / weeks[0]) ** (1 / (len(weeks) - 1))
    assert growth == pytest.approx(1.06, abs=0.01)


def test_an_older_model_gives_way_to_a_newer_one(told: list[tuple[str, UsageEvent]]) -> None:
    moved: defaultdict[int, Counter[bool]] = defaultdict(Counter)
    for _, event in told:
        if event.model.removeprefix("anthropic/") in (shapes.OPUS.old, shapes.OPUS.new) and event.task_type == "code":
            week = (event.occurred_at.date() - date(2026, 8, 22)).days // 7
            moved[week][event.model.endswith(shapes.OPUS.new)] += 1
    shares = [moved[week][True] / moved[week].total() for week in sorted(moved)]
    assert shares[0] < 0.05
    assert shares[-1] > 0.95
    assert any(0.2 < share < 0.8 for share in shares)


def test_coding_people_work_in_the_office_hours_of_where_they_are(told: list[tuple[str, UsageEvent]]) -> None:
    offices = {person.email: person.office for person in company().people}
    hours: defaultdict[str, Counter[int]] = defaultdict(Counter)
    for source, event in told:
        if source == CLAUDE_CODE:
            hours[offices[event.identities[0][1]]][event.occurred_at.hour] += 1
    busiest = {office: count.most_common(1)[0][0] for office, count in hours.items()}
    assert 4 <= busiest["bangalore"] <= 11
    assert 7 <= busiest["berlin"] <= 15
    assert 16 <= busiest["san-francisco"] <= 23


# --- What there is to find --------------------------------------------------------------------------------------------
def test_one_night_an_agent_asks_the_same_question_again_and_again() -> None:
    acme = world(charges=250_000)
    day = incidents.runaway_day(acme)
    number = acme.span.days.index(day)
    night = [event for source, event in incidents.incidents(acme, number) if source == LITELLM]
    assert len(night) > 4_000
    assert {(event.session, event.key_prefix, event.counts) for event in night} == {
        (night[0].session, acme.keys[incidents.RUNAWAY_AGENT], night[0].counts)
    }
    assert night[0].occurred_at.strftime("%H:%M") == "02:00"
    assert "06:39" <= night[-1].occurred_at.strftime("%H:%M") < "06:40"
    assert day.weekday() < 5


def test_the_new_model_is_tried_in_the_last_days_only(told: list[tuple[str, UsageEvent]]) -> None:
    tried = {event.occurred_at.date() for _, event in told if event.model == incidents.NEW_MODEL}
    assert tried
    assert min(tried) >= UNTIL.date() - timedelta(days=incidents.NEW_MODEL_DAYS)


def test_invoices_come_on_the_first_of_a_month_and_shrink_with_the_demo() -> None:
    def monthly(charges: int) -> dict[str, int]:
        bills = [event for _, event in everything(world(charges=charges)) if event.category != "Usage"]
        assert {event.occurred_at.day for event in bills} == {1}
        return {event.external_id: event.cost.pico for event in bills if event.cost}

    small, large = monthly(500), monthly(5_000)
    assert len(small) == 3 * 4
    assert {name: pico * 10 for name, pico in small.items()} == large


def test_damaged_records_are_damaged_in_ways_the_parser_names() -> None:
    acme = world()
    found = [told for number in range(len(acme.span.days)) for told in incidents.damaged(acme, number)]
    assert len({record.external_id for _, record in found}) == len(found) >= 6
    codes = {record.problem.code for _, record in found if record.problem}
    assert {"connectors.field_unknown", "connectors.subset_exceeds_total", "connectors.field_missing"} <= codes
    # The others are well-formed, and stopped later: by their time, or for want of an exchange rate.
    assert sum(record.event is not None for _, record in found) == 3


def test_the_gateway_sees_some_calls_a_second_time(told: list[tuple[str, UsageEvent]]) -> None:
    twice = incidents.seen_twice([event for source, event in told if source == LITELLM])
    charged = {event.provider_request_id for source, event in told if source == LITELLM}
    assert twice
    assert {event.provider_request_id for event in twice} <= charged
    assert not {event.external_id for event in twice} & {event.external_id for _, event in told}


def test_what_is_resent_says_the_same() -> None:
    events = [event for source, event in everything(world(charges=500)) if source == GATEWAY]
    assert set(map(id, incidents.resent(events))) <= set(map(id, events))


# --- Rules of time and chance -----------------------------------------------------------------------------------------
@given(
    growth=st.floats(-0.2, 0.3),
    weekend=st.floats(0.01, 1.5),
    total=st.floats(1, 1e6),
    until=INSTANTS,
)
def test_a_total_is_spread_over_the_days_and_nothing_is_lost(
    growth: float, weekend: float, total: float, until: datetime
) -> None:
    days = span(until).days
    spread = counts_by_day(days, Pace(growth, weekend), total)
    assert len(spread) == 91
    assert days[-1] == until.date()
    assert sum(spread) == pytest.approx(total)
    assert min(spread) > 0


@given(expected=st.floats(0, 1e6), seed=st.integers())
def test_a_whole_number_is_next_to_what_was_expected(expected: float, seed: int) -> None:
    assert abs(whole(expected, Random(seed)) - expected) <= 1


@given(
    office=st.sampled_from(["", *OFFICES]),
    day=st.dates(date(2024, 1, 1), date(2032, 1, 1)),
    hours=st.sampled_from([OFFICE, WAKING]),
    seed=st.integers(),
)
def test_a_moment_is_on_the_day_it_was_drawn_for(office: str, day: date, hours: tuple[int, ...], seed: int) -> None:
    drawn = moment(office, day, hours, Random(seed))
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    # No office is more than eight hours from UTC.
    assert drawn.tzinfo is UTC
    assert abs(drawn - noon) <= timedelta(hours=20)


def test_counts_stand_in_the_order_of_meters() -> None:
    made: dict[str, Any] = {"fresh": 1.9, "read": 2, "write": 3, "out": 4, "think": 5, "calls": 6, "web": 7}
    counts = shapes.counts(**made)
    assert counts[METER_INDEX["input_uncached"]] == 1
    assert counts[METER_INDEX["cache_write_5m"]] == 3
    assert counts[METER_INDEX["requests"]] == 6
    assert sum(counts) == 1 + 2 + 3 + 4 + 5 + 6 + 7
