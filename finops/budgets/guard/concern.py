"""Which limits and breakers a call meets: worked out once for all calls of the same owners."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from finops.budgets.guard.answers import ModelNotAllowed, RateKey
from finops.budgets.guard.terms import LIMITED, WATCHED, BreakerTerms, GuardRules, LimitTerms
from finops.budgets.guard.tracks import subject_of
from finops.budgets.types import Call

# Combinations of owners that are remembered; forgotten all at once, which costs a moment.
_REMEMBERED: Final = 20_000

Owners = tuple[int, int, int, int, int, int]
Breakers = Mapping[str, BreakerTerms]


class _Models(NamedTuple):
    dimension: str
    subject: str
    allowed: tuple[str, ...]
    pattern: re.Pattern[str]


@dataclass(slots=True)
class Concern:
    """What calls of the same owners meet."""

    # All that may be stopped, but for the session.
    subjects: tuple[tuple[str, str], ...]
    models: tuple[_Models, ...]
    rates: tuple[tuple[RateKey, int], ...]
    # Whose calls under way are counted, by the number they go by, and how many there may be.
    concurrent: tuple[tuple[LimitTerms, int, int], ...]
    # Of the session, agent and key, as far as the call says them.
    breakers: tuple[tuple[str, str, Breakers], ...]
    _judged: dict[tuple[str, str], ModelNotAllowed | None] = field(default_factory=dict)

    def refuses_model(self, provider: str, model: str) -> ModelNotAllowed | None:
        """The first list that does not have the model; every list must."""
        if not self.models:
            return None
        asked = (provider, model)
        if asked not in self._judged:
            if len(self._judged) >= _REMEMBERED:
                self._judged.clear()
            self._judged[asked] = self._judge(provider, model)
        return self._judged[asked]

    def _judge(self, provider: str, model: str) -> ModelNotAllowed | None:
        names = (model.casefold(), f"{provider}/{model}".casefold())
        for one in self.models:
            if not any(one.pattern.fullmatch(name) for name in names):
                return ModelNotAllowed(one.dimension, one.subject, model, one.allowed)
        return None


class Concerns:
    """Finds what calls of one organization meet. What is said of one goes before what is said of each."""

    def __init__(self, rules: GuardRules) -> None:
        self.rules = rules
        self._limits = {(one.dimension, one.subject): one for one in rules.limits}
        self._breakers: dict[tuple[str, str], dict[str, BreakerTerms]] = {}
        for one in rules.breakers:
            self._breakers.setdefault((one.dimension, one.subject), {})[one.measure] = one
        self._patterns = {one.models: _pattern(one.models) for one in rules.limits if one.models is not None}
        self._known: dict[Owners, Concern] = {}

    def of(self, call: Call) -> Concern:
        owners = call[:6]
        found = self._known.get(owners)
        if found is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            found = self._known[owners] = self._find(call)
        return found

    def _find(self, call: Call) -> Concern:
        teams = self.rules.above.get(call.team, (call.team,))
        owners = ((name, getattr(call, name)) for name in ("person", "project", "agent", "customer", "key"))
        every = (*(("team", team) for team in teams), *owners)
        subjects = [("organization", ""), *((name, str(value)) for name, value in every if value)]
        limits = [one for name in LIMITED for one in self._limits_of(name, call, teams)]
        return Concern(
            tuple(subjects), self._models(limits), self._rates(limits), self._concurrent(limits), self._watched(call)
        )

    def _limits_of(self, dimension: str, call: Call, teams: Iterable[int]) -> Iterable[LimitTerms]:
        """As they hold: for the call's own value, and for every team above."""
        own = str(getattr(call, dimension))
        one, each = self._limits.get((dimension, own)), self._limits.get((dimension, ""))
        if one is None and each is not None:
            yield each._replace(subject=own)
        elif one is not None:
            yield one if each is None else _filled(one, each)
        if dimension == "team":
            for team in teams:
                above = self._limits.get((dimension, str(team)))
                if above is not None and str(team) != own:
                    yield above

    def _models(self, limits: list[LimitTerms]) -> tuple[_Models, ...]:
        return tuple(
            _Models(one.dimension, one.subject, one.models, self._patterns[one.models])
            for one in limits
            if one.models is not None
        )

    def _rates(self, limits: list[LimitTerms]) -> tuple[tuple[RateKey, int], ...]:
        found = []
        for one in limits:
            for measure, limit in (("requests", one.requests_per_minute), ("tokens", one.tokens_per_minute)):
                if limit is not None:
                    found.append((RateKey(self.rules.organization_id, one.dimension, one.subject, measure), limit))
        return tuple(found)

    def _concurrent(self, limits: list[LimitTerms]) -> tuple[tuple[LimitTerms, int, int], ...]:
        return tuple(
            (one, subject_of(self.rules.organization_id, one.dimension, one.subject), one.max_concurrent)
            for one in limits
            if one.max_concurrent is not None
        )

    def _watched(self, call: Call) -> tuple[tuple[str, str, Breakers], ...]:
        found = []
        for name in WATCHED:
            own = str(call.agent if name == "session" else getattr(call, name))
            if name == "session" or own != "0":
                merged = {**self._breakers.get((name, ""), {}), **self._breakers.get((name, own), {})}
                live = {measure: one for measure, one in merged.items() if one.threshold is not None}
                if live:
                    found.append((name, "" if name == "session" else own, live))
        return tuple(found)


def _filled(one: LimitTerms, each: LimitTerms) -> LimitTerms:
    """What one's own limit leaves unsaid is as for each."""
    return one._replace(
        models=each.models if one.models is None else one.models,
        requests_per_minute=each.requests_per_minute if one.requests_per_minute is None else one.requests_per_minute,
        tokens_per_minute=each.tokens_per_minute if one.tokens_per_minute is None else one.tokens_per_minute,
        max_concurrent=each.max_concurrent if one.max_concurrent is None else one.max_concurrent,
    )


def _pattern(models: tuple[str, ...]) -> re.Pattern[str]:
    """One expression for all of a list; an empty list has no model."""
    words = (".*".join(re.escape(part) for part in one.casefold().split("*")) for one in models)
    return re.compile("|".join(f"(?:{word})" for word in words) or r"(?!)", re.DOTALL)
