"""What periods will have come to, budgets that end early, and unusual spend: from the ledger to an incident."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from pytest_django import DjangoAssertNumQueries

from finops.alerts.models import Incident
from finops.alerts.services.forecasts import account_forecasts, spend_forecasts
from finops.alerts.services.foreseeing import FORESEEN
from finops.alerts.services.watching import watch, watched
from finops.budgets import selectors as budgets
from finops.budgets.services.budgets import change_budget
from finops.core.money import from_pico
from finops.ledger import services as ledger
from finops.ledger.types import Posting
from tests.factories.alerts import incidents, rule
from tests.factories.budgets import budget, standing
from tests.factories.orgs import HOUSE, Cast
from tests.factories.postings import ownership, post_all, posting

NOON = datetime(2026, 11, 19, 12, tzinfo=UTC)
CENT = 10**10


def days(
    count: int, *, dollars: int = 10, who: str = "", until: datetime = NOON, team: int = 0, person: int = 0
) -> list[Posting]:
    """So many dollars a day, a little more or less, in one call at six in the morning; the last is of that day."""
    first = until.replace(hour=6) - timedelta(days=count - 1)
    return [
        posting(
            f"{who}-{team}-{person}-{first + timedelta(days=n)}",
            first + timedelta(days=n),
            pico=dollars * (96 + n * 37 % 9) * CENT,
            owner=ownership(team=team, person=person),
        )
        for n in range(count)
    ]


def test_a_budget_is_told_by_when_it_ends(cast: Cast) -> None:
    acme = cast.acme.id
    post_all(acme, days(60))
    row = budget(acme, "245", at=NOON)
    (found,) = account_forecasts(acme, [standing(row, NOON)], {row.id: budgets.terms_of(row)}, at=NOON)
    assert found.account.spent == sum((Decimal(10 * (96 + n * 37 % 9)) / 100 for n in range(41, 60)), Decimal(0))
    # Eleven days to come of about ten dollars each, and today's are spent.
    assert 285 < from_pico(found.forecast.point) < 305
    assert found.crossing.at is not None
    assert found.crossing.at.date().isoformat() == "2026-11-25"
    assert found.crossing.earliest is not None
    assert found.crossing.earliest <= found.crossing.at


def test_an_incident_while_it_is_so(cast: Cast) -> None:
    acme = cast.acme.id
    post_all(acme, days(60))
    row = budget(acme, "245", at=NOON)
    budget(acme, "2000", name="Wide", at=NOON)
    assert acme not in watched(FORESEEN)
    rule(acme, "budget.forecast", at=NOON)
    assert watched(FORESEEN) == [acme]
    assert watch(organization_id=acme, at=NOON, finders=FORESEEN) == 1
    told = Incident.objects.get(kind="budget.forecast")
    assert (told.budget_id, told.details["day"], told.ends_at) == (row.id, "25 November", standing(row, NOON).ends_at)
    watch(organization_id=acme, at=NOON, finders=FORESEEN)
    assert [one[2] for one in incidents(acme)] == ["open"]
    change_budget(organization_id=acme, budget_id=row.id, limit_amount=Decimal(5_000), by=HOUSE, at=NOON)
    assert watch(organization_id=acme, at=NOON, finders=FORESEEN) == 0
    assert [one[2] for one in incidents(acme)] == ["over"]


def test_accounts_of_each_person_of_a_team_and_the_teams_below(
    cast: Cast, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    acme, search = cast.acme.id, cast.search.id
    post_all(acme, days(40, dollars=10, team=search, person=cast.alice.id))
    post_all(acme, days(40, dollars=20, team=search, person=cast.bob.id))
    # What Bob does for another team is not this budget's.
    post_all(acme, days(40, dollars=50, team=cast.chat.id, person=cast.bob.id))
    post_all(cast.globex.id, days(40, dollars=90, team=search, person=cast.bob.id))
    ledger.fold_all()
    row = budget(acme, "500", scope={"team": (str(search),)}, each="person", at=NOON)
    accounts = budgets.open_accounts_of(acme, row.id, NOON)
    terms = {row.id: budgets.terms_of(row)}
    with django_assert_num_queries(3):
        found = account_forecasts(acme, accounts, terms, at=NOON)
    ends = {one.account.subject: from_pico(one.forecast.point) for one in found}
    assert 290 < ends[str(cast.alice.id)] < 310
    assert 580 < ends[str(cast.bob.id)] < 620


def test_a_month_by_team_and_all_together(cast: Cast) -> None:
    acme = cast.acme.id
    post_all(acme, [*days(40, team=cast.search.id), *days(40, dollars=30, team=cast.chat.id)])
    by_team = spend_forecasts(acme, by="team", at=NOON)
    assert list(by_team) == [cast.chat.id, cast.search.id]
    assert 285 < from_pico(by_team[cast.search.id].point) < 315
    (whole,) = spend_forecasts(acme, at=NOON).values()
    assert whole.spent == sum(one.spent for one in by_team.values())
    post_all(acme, [posting("credit", NOON - timedelta(days=2), pico=-50 * 10**12, owner=ownership(team=cast.chat.id))])
    assert spend_forecasts(acme, at=NOON)[0].spent == whole.spent - 50 * 10**12
    assert spend_forecasts(acme, by="team", limit=1, at=NOON).keys() == {cast.chat.id}
    assert spend_forecasts(acme, filters={"team": frozenset()}, at=NOON) == {}
    assert spend_forecasts(cast.globex.id, at=NOON) == {}


def test_a_runaway_day_is_one_incident_by_what_it_is_in(cast: Cast) -> None:
    acme = cast.acme.id
    post_all(acme, days(60, dollars=40, team=cast.search.id) + days(60, dollars=40, team=cast.chat.id))
    rule(acme, "spend.anomaly", params={"dimensions": ["team", "model"]}, at=NOON)
    assert watch(organization_id=acme, at=NOON, finders=FORESEEN) == 0
    runaway = [posting("runaway", NOON - timedelta(hours=1), pico=900 * 10**12, owner=ownership(team=cast.chat.id))]
    post_all(acme, runaway)
    assert watch(organization_id=acme, at=NOON, finders=FORESEEN) == 2
    by_dimension = {one.dimension: one for one in Incident.objects.all()}
    assert by_dimension["team"].subject == str(cast.chat.id)
    assert by_dimension["model"].subject == "gpt-5"
    assert by_dimension["team"].details["partial"] is True
    assert "today so far" in by_dimension["team"].details["why"]
    # A fortnight later the usual has gone on, and nothing is unusual about it.
    later = NOON + timedelta(days=14)
    more = [*days(14, dollars=40, until=later, who="l", team=cast.search.id)]
    post_all(acme, [*more, *days(14, dollars=40, until=later, who="l", team=cast.chat.id)])
    assert watch(organization_id=acme, at=later, finders=FORESEEN) == 0
    assert {one[2] for one in incidents(acme)} == {"over"}
