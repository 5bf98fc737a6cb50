"""A call as it is asked for, made ready to be decided; and the same call as it was served. Pure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple, TypedDict

from msgspec.structs import replace

from finops.budgets.rules.worst import Worst
from finops.connectors.capstan.usage import counts_of
from finops.connectors.types import NO_COUNTS, Dimensions, GivenCost, Problem, UsageEvent
from finops.core.money import to_ledger, to_pico
from finops.core.tokens import METER_INDEX
from routing.configuration.wire import Key
from routing.gateway.house import Concerned, House
from routing.gateway.requests import Authorize, FieldInvalid, Settle
from routing.gateway.wording import UNBOUNDED

# What a journal's 64 bits hold, and no call costs.
MOST_PICO: Final = 9 * 10**18
ONE_REQUEST: Final = tuple(1 if place == METER_INDEX["requests"] else 0 for place in range(len(NO_COUNTS)))


class Elsewhere(NamedTuple):
    """Where a model is had that a budget sends a call to: by its names and at the prices there."""

    provider: str
    model: str
    host: str
    region: str
    expires_in_s: int


# A provider's model, to where it is had; None where it cannot be.
Serves = Callable[[str, str], Elsewhere | None]


class Asked(NamedTuple):
    """A call that is to be decided: by whom and of what, and what it can cost at most."""

    id: str
    house: House
    key: Key
    request: Authorize
    event: UsageEvent
    whose: Concerned
    worst: Worst
    turns: int
    # The most tokens it reads.
    reads: int
    # The model it was asked for with, where a budget sends it to a cheaper one.
    downgraded_from: str = ""
    # For whoever makes the call itself.
    serves: Serves | None = None

    def here(self, provider: str, model: str) -> Elsewhere:
        """The same call of another model, wherever whoever makes it has that."""
        return Elsewhere(provider, model, "", self.request.region, self.request.expires_in_s)


def nothing(request: Authorize, turns: int) -> Worst:
    """Of a call that no budget is asked about: nothing is held, and its output is as it was asked for, or unbounded."""
    output = request.max_output_tokens
    return Worst(0, 0, UNBOUNDED if output is None else output * turns, "")


class Guarding(TypedDict):
    tokens: int
    fingerprint: str
    depth: int


def guarding(asked: Asked) -> Guarding:
    return {
        "tokens": asked.reads + max(asked.worst.output, 0),
        "fingerprint": asked.request.fingerprint,
        "depth": asked.request.depth,
    }


def event_of(request: Authorize, key: Key, now: datetime) -> UsageEvent:
    told = request.dimensions
    return UsageEvent(
        external_id=f"{key.prefix}:{request.id}",
        occurred_at=now,
        provider=request.provider,
        model=request.model,
        counts=NO_COUNTS,
        service_tier=request.service_tier or "",
        region=request.region,
        host=request.host,
        session=request.session,
        task_type=request.task_type,
        dimensions=Dimensions(told.team, told.person, told.project, told.agent, told.customer),
        key_prefix=key.prefix,
        identities=_identities(request),
        tags=tuple(sorted(request.tags.items())),
    )


def _identities(request: Authorize) -> tuple[tuple[str, str], ...]:
    told = request.identities
    if told is None:
        return ()
    return tuple((kind, value) for kind in told.__struct_fields__ if (value := getattr(told, kind)))


def came_to(event: UsageEvent, told: Settle, evidence: str = "") -> UsageEvent:
    """The call as it was served. Raises FieldInvalid."""
    counts = counts_of(told.usage) if told.usage else ONE_REQUEST
    if isinstance(counts, Problem):
        raise FieldInvalid(counts.message, field=counts.field)
    if not told.usage and told.cost is None:
        raise FieldInvalid("usage is required where no cost is given", field="usage")
    cost = None
    if told.cost is not None:
        cost = GivenCost(to_pico(to_ledger(Decimal(told.cost.amount))), told.cost.currency)
        if not 0 <= cost.pico <= MOST_PICO:
            raise FieldInvalid("a call costs nothing or more, and less than nine million", field="cost.amount")
    return replace(
        event,
        counts=counts,
        provider=told.provider or event.provider,
        model=told.model or event.model,
        host=told.host or event.host,
        service_tier=told.service_tier or event.service_tier,
        provider_account=told.provider_account,
        provider_request_id=told.provider_request_id,
        evidence=evidence or ("estimated" if told.estimated else "metered"),
        cost=cost,
    )
