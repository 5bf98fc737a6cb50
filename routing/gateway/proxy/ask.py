"""A model call as it was asked for: by whom, in which dialect, and where it may go."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final, NamedTuple

from routing.configuration.wire import Key, Upstream
from routing.gateway.attributed import Attribution
from routing.gateway.dialects.shaping import with_effort
from routing.gateway.dialects.types import Dialect, ModelCall, Wording
from routing.gateway.house import House
from routing.gateway.proxy.candidates import Candidate, NoDeployment
from routing.gateway.requests import Authorize
from routing.gateway.routes import Order, Route

# A hold outlives its try by so long, for what is still to be read and settled.
_GRACE_S: Final = 60


def expires_in_s(candidate: Candidate) -> int:
    return int(candidate.upstream.total_s) + _GRACE_S


def asking(upstream: Upstream, model: str, whose: Attribution, **more: Any) -> Authorize:
    """What a call of a model at an upstream asks of budgets and guard; `more` is as `Authorize` has it."""
    return Authorize(
        model=model,
        provider=upstream.provider,
        host=upstream.host,
        region=upstream.region,
        dimensions=whose.dimensions,
        identities=whose.identities,
        tags=dict(whose.tags),
        session=whose.session,
        task_type=whose.task_type,
        **more,
    )


class Ask(NamedTuple):
    id: str
    at: datetime
    day: date
    house: House
    key: Key
    dialect: Dialect
    wording: Wording
    call: ModelCall
    whose: Attribution
    candidates: Sequence[Candidate]
    method: str
    query: str
    # What upstreams are sent.
    headers: list[tuple[str, str]]
    # Deployments as the caller wishes them. Raises NoDeployment where none is left.
    order: Order
    route: Route

    def shaped(self, candidate: Candidate) -> ModelCall:
        """The call as a rule wants it made there."""
        use = candidate.use
        if use is None:
            return self.call
        call = with_effort(self.call, use.effort) if use.effort else self.call
        if use.most_output_tokens is None:
            return call
        return call._replace(
            max_output_tokens=min(use.most_output_tokens, call.max_output_tokens or use.most_output_tokens)
        )

    def request(self, candidate: Candidate, number: int) -> Authorize:
        """What one try asks of the budgets."""
        call = self.shaped(candidate)
        return asking(
            candidate.upstream,
            candidate.model,
            self.whose,
            id=f"{self.id}.{number}",
            service_tier=call.service_tier,
            input=call.input,
            max_output_tokens=call.max_output_tokens,
            least_output_tokens=call.least_output_tokens,
            choices=call.choices,
            server_input=call.server_input,
            hosted_tools=call.hosted_tools,
            fingerprint=call.fingerprint,
            depth=self.whose.depth,
            expires_in_s=expires_in_s(candidate),
        )

    def elsewhere(self, provider: str, model: str) -> Candidate | None:
        """Where a budget may send the call, that wants it answered by this; by what the caller wishes."""
        try:
            every = self.house.deployments.serving(self.dialect.family, provider, model, self.day)
            return self.order(every, model)[0]
        except NoDeployment:
            return None
