"""Whether a batch may be made, and where: upstreams that serve its models, stops, allowed models, and hard budgets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from finops.budgets.guard import Refusal
from finops.budgets.rules.worst import Unbounded
from finops.budgets.types import Call
from finops.connectors.types import UsageEvent
from routing.configuration.wire import Key, Upstream
from routing.gateway.asked import event_of
from routing.gateway.attributed import Attribution
from routing.gateway.dialects.types import OPENAI
from routing.gateway.house import House
from routing.gateway.proxy.ask import asking
from routing.gateway.proxy.candidates import Candidate, NoDeployment, Price, met, ordered, wishes_of, within
from routing.gateway.proxy.errors import UpstreamAway
from routing.gateway.proxy.health import Health
from routing.gateway.refusals import guarded
from routing.gateway.requests import Input
from routing.gateway.routes import left

_TIER: Final = "batch"
# Whether a call may be at all, whatever it costs: the organization and the call.
Forbids = Callable[[int, Call], Refusal | None]


class Admitting:
    def __init__(self, forbids: Forbids, health: Health, now: Callable[[], datetime]) -> None:
        self._forbids = forbids
        self._health = health
        self._now = now

    def place(self, house: House, key: Key, models: Sequence[str], headers: Mapping[str, str]) -> Upstream:
        """Where a file of requests goes. A batch is run where its file is. Raises NoDeployment and
        WishInvalid.
        """
        _, wishes = wishes_of("", headers)
        price = self._dearest(house, models)
        first, *_ = ordered(
            # A file is many calls, and whose they will be is not known yet.
            self._left(house, key, self._serving(house, models), models),
            met(wishes, house.wishes.get(key.prefix)),
            key=key.prefix,
            usable=lambda one: self._health.usable(one.name),
            price=price,
            pace=lambda one: self._health.first_byte_s(one.name),
        )
        return first.upstream

    def upstream(self, house: House, upstream_id: int) -> Upstream:
        """One that is in use. Raises UpstreamAway."""
        for one in house.deployments.upstreams:
            if one.upstream_id == upstream_id:
                return one
        raise UpstreamAway("the upstream that has it is not in use any more")

    def admitted(
        self, house: House, key: Key, whose: Attribution, call_id: str, upstream: Upstream, models: Sequence[str]
    ) -> UsageEvent:
        """The batch's calls as they will be charged, but for what they use. Raises NoDeployment, Refused, and Unbounded
        where a hard budget concerns them: what a batch costs is known when it has been run.
        """
        here = [one for one in self._serving(house, models) if one.upstream.upstream_id == upstream.upstream_id]
        if not here:
            raise NoDeployment("the upstream that has the file does not serve its models any more", field="model")
        self._left(house, key, here, models)
        if key.wishes is not None:
            # The file may be another key's.
            within(house.wishes[key.prefix], here, self._dearest(house, models))
        events = [self._event(key, whose, call_id, upstream, model) for model in models]
        for event in events:
            concerned = house.whose(event)
            refused = self._forbids(house.id, concerned.call)
            if refused is not None:
                raise guarded(refused)
            if concerned.concerns:
                names = ", ".join(sorted({house.names[one.terms.budget_id] for one in concerned.concerns})[:5])
                raise Unbounded(
                    f"Nobody knows what a batch costs before it has been run, and this one would be charged to what is "
                    f"capped: {names}. Make the calls one by one, or with a key that no such budget concerns.",
                    field="input_file_id",
                )
        # Answers say which model they are of; where one does not, it is the only one there is.
        return events[0] if len(events) == 1 else self._event(key, whose, call_id, upstream, "")

    def _event(self, key: Key, whose: Attribution, call_id: str, upstream: Upstream, model: str) -> UsageEvent:
        request = asking(upstream, model, whose, id=call_id, service_tier=_TIER, input=Input())
        return event_of(request, key, self._now())

    def _dearest(self, house: House, models: Sequence[str]) -> Callable[[Candidate], Price | None]:
        """What an upstream asks for a token of the dearest of these models; None where one's price is not known."""
        day = self._now().date()

        def price(one: Candidate) -> Price | None:
            each = [house.price(one._replace(model=model), day) for model in models]
            known = [cost for cost in each if cost is not None]
            return max(known, key=lambda cost: cost.dearest) if len(known) == len(each) else None

        return price

    def _left(self, house: House, key: Key, every: Sequence[Candidate], models: Sequence[str]) -> Sequence[Candidate]:
        """Those of these upstreams that limits leave for each of the models. Raises Excluded."""
        limits, price = house.rules.unread(models, key.prefix), self._dearest(house, models)
        for model in models:
            of_it = left([one._replace(model=model) for one in every], limits, price, house.known)
            ids = {one.upstream.upstream_id for one in of_it}
            every = [one for one in every if one.upstream.upstream_id in ids]
        return every

    def _serving(self, house: House, models: Sequence[str]) -> list[Candidate]:
        """Upstreams that have every model under the very name that the file says: its lines pass as they are."""
        found: dict[int, Candidate] | None = None
        for model in models:
            every = house.deployments.of(OPENAI, model, self._now().date())
            here = {one.upstream.upstream_id: one for one in every if one.model == model}
            found = here if found is None else {at: one for at, one in found.items() if at in here}
        if not found:
            raise NoDeployment("no upstream serves all models of the file under these names", field="file")
        return list(found.values())
