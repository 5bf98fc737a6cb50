"""Whether a team lead's budget stays inside the envelope that managers gave the team. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final, NamedTuple

from finops.budgets.rules.matching import Above
from finops.budgets.types import Period
from finops.core.errors import Forbidden, Invalid

# Shortest first; a session ends before any day does.
_LENGTH: Final = {
    period: place
    for place, period in enumerate(
        (Period.SESSION, Period.DAY, Period.WEEK, Period.MONTH, Period.QUARTER, Period.YEAR, Period.TOTAL)
    )
}


class NotYours(Forbidden):
    """Somebody else's to change: a manager's budget, another's request."""

    code = "budgets.not_yours"


class OutsideTeam(Forbidden):
    """A lead's budget names the teams it is about, and all of them are the lead's."""

    code = "budgets.outside_team"


class NoEnvelope(Invalid):
    """No manager's budget says what the team may spend over such a period."""

    code = "budgets.no_envelope"


class BeyondEnvelope(Invalid):
    code = "budgets.beyond_envelope"


class Wish(NamedTuple):
    """A lead's budget: about what, and the most it can let through in a period, what is carried over included."""

    scope: Mapping[str, Iterable[str]]
    period: Period
    most: Decimal


class Envelope(NamedTuple):
    """A manager's budget about teams and nothing else."""

    teams: frozenset[str]
    period: Period
    limit: Decimal


def check_envelope(wish: Wish, *, led: Iterable[int], envelopes: Iterable[Envelope], above: Above) -> None:
    """Every team of the wish is led by the caller, and has an envelope (its own, or one of a team above it) that lasts
    as long or longer and holds as much. Raises OutsideTeam, NoEnvelope, BeyondEnvelope.
    """
    named = check_teams(wish.scope, led=led)
    long_enough = [one for one in envelopes if _LENGTH[one.period] >= _LENGTH[wish.period]]
    for team in named:
        chain = {str(each) for each in above.get(team, frozenset({team}))}
        limits = [one.limit for one in long_enough if one.teams & chain]
        if not limits:
            raise NoEnvelope("no manager's budget holds for this team and as long a period", field="scope.team")
        if wish.most > max(limits):
            raise BeyondEnvelope(f"the team's envelope is {max(limits).normalize():f}", field="limit")


def check_teams(scope: Mapping[str, Iterable[str]], *, led: Iterable[int]) -> list[int]:
    """The teams a scope names. Raises OutsideTeam unless there are some, and all are led by the caller."""
    named = sorted(int(team) for team in scope.get("team", ()))
    if not named:
        raise OutsideTeam("say in the scope which of your teams the budget is about", field="scope.team")
    if not set(named) <= set(led):
        raise OutsideTeam("a team lead's budgets are about their own teams", field="scope.team")
    return named
