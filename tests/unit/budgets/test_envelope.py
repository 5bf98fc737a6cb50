"""What a team lead may cap by themselves."""

from __future__ import annotations

from decimal import Decimal

import pytest

from finops.budgets.rules.envelope import (
    BeyondEnvelope,
    Envelope,
    NoEnvelope,
    OutsideTeam,
    Wish,
    check_envelope,
)
from finops.budgets.types import Period
from finops.core.errors import FinopsError

# Product is above Search; Sales stands alone. The lead leads Search and Sales.
PRODUCT, SEARCH, SALES, CHAT = 1, 2, 3, 4
ABOVE = {team: frozenset({team}) for team in (PRODUCT, SALES, CHAT)} | {SEARCH: frozenset({SEARCH, PRODUCT})}
MONTHLY = Envelope(frozenset({str(PRODUCT)}), Period.MONTH, Decimal(100))


def check(
    *teams: int, most: str = "100", period: Period = Period.MONTH, envelopes: tuple[Envelope, ...] = (MONTHLY,)
) -> None:
    wish = Wish({"team": [str(team) for team in teams]} if teams else {"model": ["gpt"]}, period, Decimal(most))
    check_envelope(wish, led=[SEARCH, SALES], envelopes=envelopes, above=ABOVE)


def test_up_to_the_limit_of_a_team_above_for_as_long_or_shorter() -> None:
    for period in (Period.SESSION, Period.DAY, Period.WEEK, Period.MONTH):
        check(SEARCH, period=period)


@pytest.mark.parametrize(
    ("teams", "most", "period", "refusal", "field"),
    [
        ((), "1", Period.MONTH, OutsideTeam, "scope.team"),
        ((0,), "1", Period.MONTH, OutsideTeam, "scope.team"),
        ((CHAT,), "1", Period.MONTH, OutsideTeam, "scope.team"),
        ((PRODUCT,), "1", Period.MONTH, OutsideTeam, "scope.team"),
        ((SEARCH, CHAT), "1", Period.MONTH, OutsideTeam, "scope.team"),
        ((SALES,), "1", Period.MONTH, NoEnvelope, "scope.team"),
        ((SEARCH, SALES), "1", Period.MONTH, NoEnvelope, "scope.team"),
        ((SEARCH,), "1", Period.QUARTER, NoEnvelope, "scope.team"),
        ((SEARCH,), "1", Period.TOTAL, NoEnvelope, "scope.team"),
        ((SEARCH,), "100.01", Period.DAY, BeyondEnvelope, "limit"),
    ],
)
def test_nothing_else(
    teams: tuple[int, ...], most: str, period: Period, refusal: type[FinopsError], field: str
) -> None:
    with pytest.raises(refusal) as refused:
        check(*teams, most=most, period=period)
    assert refused.value.field == field


def test_the_widest_of_several_envelopes_counts_for_each_team() -> None:
    wide = Envelope(frozenset({str(SEARCH)}), Period.YEAR, Decimal(500))
    sales = Envelope(frozenset({str(SALES)}), Period.MONTH, Decimal(300))
    check(SEARCH, most="500", envelopes=(MONTHLY, wide))
    check(SEARCH, SALES, most="300", envelopes=(MONTHLY, wide, sales))
    with pytest.raises(BeyondEnvelope):
        check(SEARCH, SALES, most="301", envelopes=(MONTHLY, wide, sales))
