"""The models that somebody may ask for, as clients list them: what is deployed, what the key's wishes leave of that,
and what the lists of models that hold for its calls have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import NamedTuple

from finops.budgets.types import Call
from routing.configuration.wire import Key
from routing.gateway.asked import event_of
from routing.gateway.attributed import Attribution
from routing.gateway.house import House
from routing.gateway.proxy.ask import asking
from routing.gateway.proxy.candidates import Candidate, NoDeployment, Wishes, left_of
from routing.gateway.requests import Input


class Lists(NamedTuple):
    """Of one who asks: whose the calls would be, and whether their model is `allowed`."""

    house: House
    key: Key
    whose: Attribution
    family: str
    now: datetime
    allowed: Callable[[int, Call], bool]

    def all(self) -> list[str]:
        return [name for name in self.house.models(self.family, self.now.date()) if self._left(name)]

    def one(self, name: str) -> str:
        """Raises NoDeployment."""
        if not self._left(name):
            raise NoDeployment(f"this key may not ask for {name[:200]!r}", field="model")
        return name

    def _left(self, name: str) -> bool:
        found: Iterable[Candidate] = self.house.deployments.of(self.family, name, self.now.date())
        if self.key.wishes is not None:
            bound: Wishes = self.house.wishes[self.key.prefix]
            found = left_of(found, bound, lambda one: self.house.price(one, self.now.date()))
        return any(self._allows(one) for one in found)

    def _allows(self, candidate: Candidate) -> bool:
        if not self.house.limits_models:
            return True
        request = asking(candidate.upstream, candidate.model, self.whose, id="", input=Input())
        # Not as `whose` does: what it remembers is for calls that are made.
        return self.allowed(self.house.id, self.house.call(event_of(request, self.key, self.now)))
