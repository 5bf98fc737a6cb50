"""Where a captured call may be made again, and at which models: by the very configuration, rules and functions that
gateways decide with. What the call was kept from, its replay and whoever judges it are kept from.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

from finops.core.money import to_ledger
from routing.captures.hot import Exchange
from routing.classify.sensitivity import LABEL
from routing.configuration import wire
from routing.configuration.models import CATALOGUE, Published
from routing.experiments import reading
from routing.experiments.reading import NotAgain
from routing.experiments.types import ExperimentDraft, Plan, Scoring, Way
from routing.gateway.attributed import Attribution
from routing.gateway.dialects.registry import DIALECTS
from routing.gateway.dialects.types import ANTHROPIC, OPENAI, ModelCall
from routing.gateway.house import House, public_of
from routing.gateway.proxy.candidates import (
    Candidate,
    NoDeployment,
    Price,
    WishInvalid,
    is_called,
    left_of,
    wishes_of,
)
from routing.gateway.requests import Dimensions
from routing.gateway.routes import left, route
from routing.rules.types import Within
from routing.upstreams.rules import MOST_NAMED

USD: Final = "USD"
_OWNERS: Final = Dimensions.__struct_fields__


class NotPublished(Exception):
    """Gateways know nothing of this organization yet."""


class _Limits:
    """Within what one call stayed: by the rules, by what it wished itself, and by its key."""

    def __init__(self, house: House, exchange: Exchange, call: ModelCall) -> None:
        """Raises NotAgain where nobody can tell any more."""
        if exchange.tags is None:
            raise NotAgain("tags_not_kept")
        prefix = exchange.charge.partition(":")[0]
        key = house.keys.get(prefix)
        if key is None:
            raise NotAgain("key_gone")
        whose = Attribution(
            dimensions=Dimensions(**{name: str(exchange.owners.get(name) or "") for name in _OWNERS}),
            identities=None, tags=dict(exchange.tags), session=exchange.session, task_type=exchange.task_type,
            depth=int("agent_id" in exchange.tags), agent=exchange.tags.get("agent_id", ""),
            parent=exchange.tags.get("parent_agent_id", ""),
        )  # fmt: skip
        try:
            asked, self._wishes = wishes_of(exchange.model, exchange.headers)
        except WishInvalid:
            raise NotAgain("unreadable") from None

        def within(model: str) -> Sequence[Within]:
            return route(house, key, call, whose, model, exchange.call_id, exchange.at).decided.limits

        self._within, self._asked = within, within(asked)
        self._bound = house.wishes.get(prefix)
        self._house = house
        self._tier = call.service_tier or ""

    def left(self, candidates: Sequence[Candidate], model: str, at: datetime) -> list[Candidate]:
        """Those that they leave: by the model that was asked for, and by this one, had it been that. Raises
        NoDeployment where that is none.
        """

        def price(one: Candidate) -> Price | None:
            return self._house.price(one, at.date(), self._tier)

        found = left_of(
            left(candidates, [*self._asked, *self._within(model)], price, self._house.known), self._wishes, price
        )
        found = found if self._bound is None else left_of(found, self._bound, price)
        if not found:
            raise NoDeployment("nothing is left", field="model")
        return found


class Places:
    """As gateways have it at one moment."""

    def __init__(self, organization_id: int) -> None:
        """Raises NotPublished."""
        bodies = dict(
            Published.objects.filter(organization_id__in=(CATALOGUE, organization_id)).values_list(
                "organization_id", "body"
            )
        )
        if len(bodies) < 2:
            raise NotPublished
        public = public_of(wire.decode_catalogue(bytes(bodies[CATALOGUE])))
        self.house = House(wire.decode_organization(bytes(bodies[organization_id])), public)

    def plan(self, exchange: Exchange, draft: ExperimentDraft, at: datetime) -> Plan:
        """What is to be asked for one call. Raises NotAgain where nothing may."""
        call = reading.call_of(exchange)
        answer = reading.answer_of(exchange)
        asked = reading.asked_of(exchange) if draft.scoring is Scoring.JUDGE else ""
        family = DIALECTS[exchange.dialect].family
        if not self._is_of(exchange, family, draft.incumbent, at):
            raise NotAgain("not_the_incumbent")
        limits = _Limits(self.house, exchange, call)
        label = (exchange.tags or {}).get(LABEL, "")
        if not label.isascii() or "," in label:
            raise NotAgain("unreadable")
        ways: dict[str, Way] = {}
        kept_from: dict[str, str] = {}
        for candidate in draft.candidates:
            try:
                ways[candidate] = self._way(limits, family, candidate, at)
            except NoDeployment as error:
                kept_from[candidate] = error.code
        if not ways:
            raise NotAgain(next(iter(kept_from.values())))
        return Plan(
            call_id=exchange.call_id,
            at=exchange.at,
            dialect=exchange.dialect,
            body=exchange.body,
            headers={name: value for name, value in exchange.headers.items() if not name.startswith("x-capstan-")},
            label=label,
            asked=asked,
            incumbent=answer,
            incumbent_cost=_dollars(exchange),
            incumbent_s=exchange.took_s,
            fingerprint=reading.fingerprint(exchange),
            cluster=exchange.session,
            ways=ways,
            kept_from=kept_from,
            judge=self._judge(limits, draft.judge, at) if draft.scoring is Scoring.JUDGE else None,
        )

    def _is_of(self, exchange: Exchange, family: str, incumbent: str, at: datetime) -> bool:
        """Whether the incumbent answered, whatever was asked for."""
        return any(
            (one.upstream.name, one.model) == (exchange.upstream, exchange.upstream_model)
            for one in self._candidates(family, incumbent, at)
        )

    def _judge(self, limits: _Limits, judge: str, at: datetime) -> Way:
        """It reads what the call said, and stays within the same limits. Raises NotAgain."""
        for family in (OPENAI, ANTHROPIC):
            try:
                return self._way(limits, family, judge, at)
            except NoDeployment:
                continue
        raise NotAgain("judge_excluded")

    def _way(self, limits: _Limits, family: str, model: str, at: datetime) -> Way:
        """Raises NoDeployment."""
        every = self.house.deployments.of(family, model, at.date())
        mine = limits.left(every, model, at)
        names = sorted({one.upstream.name for one in mine})[:MOST_NAMED]
        others = [one for one in every if one not in mine]
        if any(is_called(one.upstream, name) for one in others for name in names):
            # One that is left goes by the name of another that is not: neither can be asked for alone.
            raise NoDeployment("its upstreams cannot be told apart", field="model")
        return Way(family, model, tuple(names))

    def _candidates(self, family: str, model: str, at: datetime) -> Sequence[Candidate]:
        try:
            return self.house.deployments.of(family, model, at.date())
        except NoDeployment:
            return ()


def _dollars(exchange: Exchange) -> Decimal | None:
    """Evidence counts in dollars."""
    return None if exchange.cost is None or exchange.currency != USD else to_ledger(Decimal(exchange.cost))
