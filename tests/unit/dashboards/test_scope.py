"""The question in the address: read, refused, written back, and kept within a caller's reach."""

from __future__ import annotations

from datetime import date

import pytest
from django.http import QueryDict
from hypothesis import given
from hypothesis import strategies as st

from dashboards.periods import PeriodUnclear
from dashboards.scope import Scope, ScopeUnclear, parse
from finops.core.actors import Actor
from finops.core.periods import DayRange
from finops.ledger.rules.questions import Dimensions
from finops.ledger.types import Grain
from finops.orgs.rules import ROLE_PERMISSIONS, Caller, OutOfReach, Role

TODAY = date(2026, 11, 22)
NAMES = Dimensions([("env", 3)])


def scope(query: str) -> Scope:
    return parse(QueryDict(query), today=TODAY, dimensions=NAMES)


def caller(role: Role, **fields: object) -> Caller:
    given_fields = {"organization_id": 7, "organization_slug": "acme", "actor": Actor("user:1")}
    return Caller(**given_fields, permissions=ROLE_PERMISSIONS[role], role=role, **fields)  # type: ignore[arg-type]


def test_an_empty_address_asks_about_this_month_compared_with_the_one_before() -> None:
    found = scope("")
    assert found.period.token == "mtd"
    assert (found.group, dict(found.filters), found.compare, found.grain) == ((), {}, True, Grain.DAY)


def test_an_address_is_read_whole() -> None:
    found = scope("period=2026-10&group=team,model&team=12&team=4&model=33&tag:env=5&compare=none&grain=week")
    assert found.group == ("team", "model")
    assert found.filters == {"team": frozenset({4, 12}), "model": frozenset({33}), "tag:env": frozenset({5})}
    assert not found.compare
    assert found.grain is Grain.WEEK


def test_two_group_fields_of_the_form_are_one_grouping() -> None:
    assert scope("group=team&group=").group == ("team",)
    assert scope("group=team&group=model").group == ("team", "model")


def test_dates_of_the_form_become_a_period() -> None:
    assert scope("period=custom&from=2026-10-01&to=2026-10-15").period.token == "2026-10-01..2026-10-15"


@pytest.mark.parametrize(
    "query",
    [
        f"team={'9' * 5000}",
        "team=abc", "team=-1", "team=1.5", "team=99999999999", "team=١", "team=1%00", "group=team,model,project",
        "group=nonsense", "compare=sideways", "grain=hour", "colour=red", "tag:unknown=1",
        "period=custom&from=2026-10-01",
    ],
)  # fmt: skip
def test_a_bad_value_is_refused_by_name(query: str) -> None:
    with pytest.raises(ScopeUnclear) as refused:
        scope(query)
    assert (refused.value.status, refused.value.code) == (400, "dashboards.scope_unclear")
    assert refused.value.field


def test_too_many_values_are_refused_before_any_query() -> None:
    with pytest.raises(ScopeUnclear, match="At most 100"):
        scope("&".join(f"team={number}" for number in range(101)))


scopes = st.builds(
    lambda period, group, filters, compare, grain: (
        f"period={period}"
        + "".join(f"&group={name}" for name in group)
        + "".join(f"&{name}={value}" for name, value in filters)
        + ("&compare=none" if compare else "")
        + (f"&grain={grain}" if grain else "")
    ),
    st.sampled_from(["mtd", "2026-10", "2026-Q3", "last-30d", "2026-10-01..2026-10-15", "2025"]),
    st.lists(st.sampled_from(["team", "model", "tag:env"]), max_size=2, unique=True),
    st.lists(st.tuples(st.sampled_from(["team", "model", "tag:env"]), st.integers(0, 2**31 - 1)), max_size=8),
    st.booleans(),
    st.sampled_from(["", "day", "week", "month"]),
)


@given(scopes)
def test_a_scope_written_and_read_is_the_same_question(query: str) -> None:
    first = scope(query)
    again = scope(first.query())
    assert again == first
    assert again.query() == first.query()


@given(st.text(max_size=60))
def test_whatever_stands_in_the_address_there_is_an_answer_or_a_refusal(text: str) -> None:
    for query in (text, f"period={text}", f"team={text}", f"group={text}", f"grain={text}"):
        try:
            scope(query)
        except (ScopeUnclear, PeriodUnclear):
            continue


def test_links_narrow_and_widen_without_touching_the_rest() -> None:
    found = scope("period=2026-10&team=4&team=5&group=model")
    assert found.narrowed_to({"team": 9}).filters["team"] == frozenset({9})
    assert found.widened_by("team", 9).filters["team"] == frozenset({4, 5, 9})
    assert found.without("team", 4).filters["team"] == frozenset({5})
    assert found.without("team").filters == {}
    assert found.without("team").group == ("model",)


def test_the_question_speaks_the_ledgers_names() -> None:
    question = scope("tag:env=5").question(caller(Role.FINANCE), group_by=("tag:env",))
    assert question.group_by == ("tag3",)
    assert question.filters == {"tag3": frozenset({5})}
    assert question.period == DayRange(date(2026, 11, 1), date(2026, 11, 23))


def test_a_team_leads_question_stays_within_their_teams() -> None:
    lead = caller(Role.TEAM_LEAD, reach={"team": frozenset({4, 5})}, team_ids=frozenset({4, 5}))
    assert scope("").question(lead).filters == {"team": frozenset({4, 5})}
    assert scope("team=4&team=9").question(lead).filters == {"team": frozenset({4})}
    with pytest.raises(OutOfReach):
        scope("team=9").question(lead)


def test_narrowing_to_the_largest_groups_never_widens_the_reach() -> None:
    lead = caller(Role.TEAM_LEAD, reach={"team": frozenset({4})}, team_ids=frozenset({4}))
    assert scope("").question(lead, only={"team": frozenset({4, 9})}).filters == {"team": frozenset({4})}


def test_a_viewer_groups_by_no_person() -> None:
    viewer = caller(Role.VIEWER)
    assert "person" not in NAMES.offered(viewer)
    with pytest.raises(OutOfReach):
        scope("").question(viewer, group_by=("person",))
    with pytest.raises(OutOfReach):
        scope("person=3").question(viewer)
