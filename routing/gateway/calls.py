"""Authorizations of one gateway process: allowed against leases, kept in the journal, settled to what was used.

The order is what makes it safe. A hold is in the journal before its answer leaves, so that whoever adopts the journal
knows what was promised; what a call came to is in the journal, durably, before the answer to `settle` leaves. Should
the journal fail, nothing more is allowed.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple, TypeVar

from msgspec.structs import replace
from psycopg import OperationalError

from finops.budgets.bank import Standing
from finops.budgets.desk import Allowed, Desk, Refused
from finops.budgets.hot import NotOpen, Settled
from finops.budgets.journal import Journal, JournalFailed
from finops.budgets.rules.worst import Worst
from finops.budgets.types import Account
from finops.connectors.capstan.usage import counts_of
from finops.connectors.types import NO_COUNTS, Dimensions, GivenCost, Problem, UsageEvent
from finops.core.errors import FinopsError
from finops.core.money import pico_text, to_ledger, to_pico
from finops.core.tokens import METER_INDEX
from finops.ingest.records import Held, Spent, Voided, encode
from routing.configuration.wire import Key
from routing.gateway.house import Concern, House
from routing.gateway.requests import Authorize, FieldInvalid, Settle
from routing.gateway.wording import exceeded

T = TypeVar("T")
# Open authorizations of one process; beyond, it asks to be asked later rather than run out of memory.
MOST_OPEN: Final = 200_000
# Calls that are over, whose answers are remembered for whoever asks again.
REMEMBERED: Final = 50_000
_ONE_REQUEST: Final = tuple(1 if place == METER_INDEX["requests"] else 0 for place in range(len(NO_COUNTS)))


class Exceeded(FinopsError):
    """A budget has too little left. `standing` says how each one stands that had."""

    code = "budgets.exceeded"
    status = 429

    def __init__(self, message: str, budgets: Sequence[Mapping[str, Any]], retry_after_s: int | None) -> None:
        super().__init__(message)
        self.budgets = budgets
        self.retry_after_s = retry_after_s


class Unavailable(FinopsError):
    """This process cannot decide now; nothing was held."""

    code = "budgets.unavailable"
    status = 503
    retry_after_s = 1


class Stale(Unavailable):
    """The budgets changed a moment ago; asked again, the call is decided by those in force."""

    code = "gateway.not_ready"


class Open(NamedTuple):
    """A call that was allowed: what the journal has of it, and what was answered."""

    held: Held
    answer: dict[str, Any]


class Over(NamedTuple):
    """A call that is over: who asked, and the first answers; `settled` is None where it was voided."""

    asked: tuple[str, str]
    answer: dict[str, Any]
    settled: dict[str, Any] | None


class Decision(NamedTuple):
    """What is answered to `authorize`, and the journal's ticket it must wait for (0: it is durable already)."""

    answer: dict[str, Any]
    ticket: int


class Asked(NamedTuple):
    """A call that is to be decided: by whom and of what, and what it can cost at most."""

    id: str
    house: House
    key: Key
    request: Authorize
    event: UsageEvent
    concerns: list[Concern]
    worst: Worst
    turns: int


class Calls:
    """Open calls of this process. `authorize` and `settle` are quick and never wait for the database; where they must,
    `authorize_slowly` does, in a thread.
    """

    def __init__(self, desk: Desk, journal: Journal, holder: str, now: Callable[[], datetime]) -> None:
        self._desk = desk
        self._journal = journal
        self._holder = holder
        self._now = now
        self._numbers = itertools.count(1)
        self._ids: dict[tuple[str, str], str] = {}
        self._open: dict[str, Open] = {}
        self._over: dict[str, Over] = {}
        # Charged as the most they could cost; their figures may still come.
        self._expired: dict[str, Open] = {}
        self._ends: list[tuple[datetime, str]] = []
        self._accounts: dict[Account, int] = {}
        self._changing = threading.Lock()

    # --- Allow --------------------------------------------------------------------------------------------------------
    def ask(self, house: House, key: Key, request: Authorize) -> Asked | Decision:
        """A call made ready to be decided, or the first answer to one that was. Raises Unbounded and Unpriced."""
        if len(self._open) >= MOST_OPEN:
            raise Unavailable("too many calls are open here")
        call_id = self._ids.setdefault((key.prefix, request.id), f"{self._holder}-{next(self._numbers):x}")
        known = self._open.get(call_id) or self._over.get(call_id) or self._expired.get(call_id)
        if known is not None:
            return Decision(known.answer, 0)
        now = self._now()
        event = _event_of(request, key, now)
        concerns = house.concerns(house.call_of(event), now)
        turns = (1 + sum(tool.max_uses or 0 for tool in request.hosted_tools)) * request.choices
        worst = house.worst(request, now.date()) if concerns else _nothing(request, turns)
        return Asked(call_id, house, key, request, event, concerns, worst, turns)

    def authorize(self, asked: Asked) -> Decision | None:
        """Allow a call out of what is in hand; None where that does not suffice, or is not known to."""
        accounts = self._known(asked.concerns)
        if accounts is None:
            return None
        said = self._desk.at_once(asked.id, accounts, asked.worst)
        return None if said is None else self._allow(asked, accounts, said)

    def authorize_slowly(self, asked: Asked) -> Decision:
        """Decide a call for good, asking the database. Raises Exceeded, Stale and Unavailable."""
        accounts = self._known(asked.concerns)
        if accounts is None:
            house, wanted = asked.house, [(one.terms, one.account) for one in asked.concerns]
            self._accounts.update(self._desk.open(house.id, house.token, wanted, asked.worst.amount))
            accounts = self._known(asked.concerns)
        if accounts is None:
            raise Stale("the budgets have just changed")
        least = min(asked.request.least_output_tokens * asked.turns, asked.worst.output)
        try:
            said = self._desk.authorize(asked.id, accounts, asked.worst, least_output=least)
        except OperationalError:
            return self._without_database(asked)
        if isinstance(said, Refused):
            self._ids.pop((asked.key.prefix, asked.request.id), None)
            raise self._refusal(asked, accounts, said)
        return self._allow(asked, accounts, said)

    def _without_database(self, asked: Asked) -> Decision:
        """Within what is in hand; of budgets whose owner chose so, without asking. Raises Unavailable."""
        closed = [one for one in asked.concerns if not one.terms.fail_open]
        accounts = self._known(closed)
        said = None if accounts is None else self._desk.at_once(asked.id, accounts, asked.worst)
        if said is None or accounts is None:
            raise Unavailable("the database cannot be asked, and what is in hand does not suffice")
        return self._allow(asked._replace(concerns=closed), accounts, said)

    def _known(self, concerns: Sequence[Concern]) -> tuple[int, ...] | None:
        known = self._accounts
        accounts = tuple([known.get(one.account, 0) for one in concerns])
        return None if 0 in accounts else accounts

    def _allow(self, asked: Asked, accounts: tuple[int, ...], said: Allowed) -> Decision:
        request = asked.request
        ends = asked.event.occurred_at + timedelta(seconds=request.expires_in_s)
        held = Held(
            asked.id, asked.key.prefix, request.id, asked.house.id, asked.house.source_id, accounts, said.amount,
            said.output, ends, asked.event,
        )  # fmt: skip
        try:
            ticket = self._journal.append(encode(held))
        except JournalFailed as error:
            self._desk.void(asked.id)
            raise Unavailable(error.message) from None
        output = said.output // asked.turns
        answer = {
            "id": asked.id,
            "allowed": True,
            "held": pico_text(said.amount if accounts else 0),
            "currency": asked.house.currency,
            "max_output_tokens": output,
            "clamped": said.output < asked.worst.output,
            "model": request.model,
            "downgraded_from": None,
            "expires_at": ends,
            "headroom": self.headroom(asked.house, asked.concerns, accounts),
        }
        self._keep(Open(held, answer))
        return Decision(answer, ticket)

    def _keep(self, call: Open) -> None:
        self._open[call.held.id] = call
        with self._changing:
            heapq.heappush(self._ends, (call.held.expires_at, call.held.id))

    def headroom(self, house: House, concerns: Sequence[Concern], accounts: Sequence[int]) -> list[dict[str, Any]]:
        """How the budgets of a call stand, as last heard of."""
        return [
            _shown(house, concern, self._desk.standing(account))
            for concern, account in zip(concerns, accounts, strict=True)
        ]

    def _refusal(self, asked: Asked, accounts: Sequence[int], said: Refused) -> Exceeded:
        standing = {one.account_id: one for one in said.short}
        short = [
            (concern, standing.get(account))
            for concern, account in zip(asked.concerns, accounts, strict=True)
            if account in standing or not standing
        ]
        budgets = [_shown(asked.house, *pair) for pair in short]
        ends = [asked.house.ends_at(concern) for concern, _ in short]
        known = [end for end in ends if end is not None]
        # When the last of them begins anew; never, where one does not.
        retry = max(known) - self._now() if known and len(known) == len(ends) else None
        words = exceeded(budgets, asked.house.currency, pico_text(asked.worst.amount))
        return Exceeded(words, budgets, None if retry is None else max(1, int(retry.total_seconds()) + 1))

    # --- Settle -------------------------------------------------------------------------------------------------------
    def settle(self, house: House, call_id: str, told: Settle) -> tuple[dict[str, Any], int]:
        """A call came to this; gives the answer, and the journal's ticket it must wait for (0: it is durable already).

        Raises NotOpen, and FieldInvalid for usage that cannot be.
        """
        over = self._over.get(call_id)
        if over is not None and over.settled is not None:
            return over.settled, 0
        held = self._call(house, call_id).held
        event = _came_to(held.event, told)
        rated = house.cost(event)
        cost = self._cost(house, event, rated.effective_pico if rated.priced else None, rated.currency)
        # Nobody knows its price: it may have cost all that was held, and until somebody does know, it did.
        actual = held.amount if cost is None else cost
        if call_id in self._expired:
            said = Settled((), 0, 0)
        elif told.estimated:
            said = self._desk.settle_part(call_id, actual)
        else:
            said = self._desk.settle(call_id, actual)
        ticket = self._journal_spent(held, said, event, final=not told.estimated)
        answer = {
            "id": call_id,
            "cost": None if cost is None else pico_text(cost),
            "currency": house.currency,
            "held": pico_text(held.amount if held.accounts else 0),
            "beyond": pico_text(said.beyond if held.accounts else 0),
        }
        if not told.estimated:
            self._forget(held, answer)
        return answer, ticket

    def void(self, house: House, call_id: str) -> tuple[dict[str, Any], int]:
        """A call never happened. Raises NotOpen."""
        over = self._over.get(call_id)
        if over is not None and over.settled is None:
            return {"id": call_id}, 0
        held = self._call(house, call_id).held
        if call_id in self._expired:
            raise NotOpen(f"authorization {call_id} is over: it was charged as the most it could have cost")
        self._desk.void(call_id)
        self._forget(held, None)
        return {"id": call_id}, self._journal.append(encode(Voided(call_id)))

    def expire(self, house_of: Callable[[int], House | None]) -> int:
        """Charge what nobody told the end of as the most it could cost; gives the journal's last ticket."""
        ticket, now = 0, self._now()
        while self._ends and self._ends[0][0] <= now:
            with self._changing:
                _, call_id = heapq.heappop(self._ends)
            call = self._open.get(call_id)
            house = house_of(call.held.organization_id) if call else None
            if call is None or house is None or call.held.expires_at > now:
                continue
            held = call.held
            cost = GivenCost(held.amount, house.currency) if held.accounts else GivenCost(0, house.currency)
            event = replace(held.event, counts=_ONE_REQUEST, evidence="estimated", cost=cost)
            said = self._desk.settle(call_id, held.amount)
            ticket = self._journal_spent(held, said, event, final=True, expired=True)
            self._expired[call_id] = self._open.pop(call_id)
            for _, gone in _trim(self._expired):
                self._ids.pop((gone.held.asked_by, gone.held.asked_as), None)
        return ticket

    def adopt(self, held: Held) -> None:
        """Take over a call that another process had allowed; the bank has leased what it holds to this one."""
        self._desk.adopt(held.id, held.accounts, Allowed(held.amount, held.output), charged=held.charged)
        self._ids[held.asked_by, held.asked_as] = held.id
        answer = {
            "id": held.id,
            "allowed": True,
            "held": pico_text(held.amount if held.accounts else 0),
            "max_output_tokens": held.output,
            "clamped": False,
            "model": held.event.model,
            "downgraded_from": None,
            "expires_at": held.expires_at,
            "headroom": [],
        }
        self._keep(Open(held, answer))

    def carry_on(self, ids: Iterable[str], *, old: bool) -> int | None:
        """Write anew to the journal what is open of these calls, so that it can let go of where they were; gives the
        ticket. None, unless they are `old`, when any is open: it will be over soon.
        """
        calls = [call.held for call_id in ids if (call := self._open.get(call_id))]
        if calls and not old:
            return None
        ticket = 0
        for held in calls:
            found = self._desk.held(held.id)
            ticket = self._journal.append(encode(replace(held, charged=found[1] if found else held.charged)))
        return ticket

    def has(self, call_id: str) -> bool:
        """Whether this process knows a call, open or over."""
        return call_id in self._open or call_id in self._over or call_id in self._expired

    def _call(self, house: House, call_id: str) -> Open:
        call = self._open.get(call_id) or self._expired.get(call_id)
        if call is None or call.held.organization_id != house.id:
            raise NotOpen(f"no open authorization {call_id}")
        return call

    @staticmethod
    def _cost(house: House, event: UsageEvent, pico: int | None, currency: str) -> int | None:
        if event.cost is not None:
            pico, currency = event.cost.pico, event.cost.currency
        return None if pico is None else house.reporting(pico, currency, event.occurred_at.date())

    def _journal_spent(
        self, held: Held, said: Settled, event: UsageEvent, *, final: bool, expired: bool = False
    ) -> int:
        beyond = said.beyond if said.accounts else 0
        record = Spent(
            held.id, held.organization_id, held.source_id, said.accounts, said.spent, beyond, final, expired, event
        )
        return self._journal.append(encode(record))

    def _forget(self, held: Held, settled: dict[str, Any] | None) -> None:
        call = self._open.pop(held.id, None) or self._expired.pop(held.id)
        self._over[held.id] = Over((held.asked_by, held.asked_as), call.answer, settled)
        for _, gone in _trim(self._over):
            self._ids.pop(gone.asked, None)


def _nothing(request: Authorize, turns: int) -> Worst:
    """Of a call that no budget is asked about: nothing is held, and its output is as it was asked for."""
    return Worst(0, 0, (request.max_output_tokens or 0) * turns, "")


def _event_of(request: Authorize, key: Key, now: datetime) -> UsageEvent:
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


def _came_to(event: UsageEvent, told: Settle) -> UsageEvent:
    """The call as it was served. Raises FieldInvalid."""
    counts = counts_of(told.usage) if told.usage else _ONE_REQUEST
    if isinstance(counts, Problem):
        raise FieldInvalid(counts.message, field=counts.field)
    if not told.usage and told.cost is None:
        raise FieldInvalid("usage is required where no cost is given", field="usage")
    cost = None
    if told.cost is not None:
        cost = GivenCost(to_pico(to_ledger(Decimal(told.cost.amount))), told.cost.currency)
        if cost.pico < 0:
            raise FieldInvalid("a call costs nothing or more", field="cost.amount")
    return replace(
        event,
        counts=counts,
        provider=told.provider or event.provider,
        model=told.model or event.model,
        host=told.host or event.host,
        service_tier=told.service_tier or event.service_tier,
        provider_account=told.provider_account,
        provider_request_id=told.provider_request_id,
        evidence="estimated" if told.estimated else "metered",
        cost=cost,
    )


def _shown(house: House, concern: Concern, standing: Standing | None) -> dict[str, Any]:
    terms, account = concern
    shown: dict[str, Any] = {
        "budget_id": terms.budget_id,
        "budget": house.names.get(terms.budget_id, ""),
        "subject": account.subject,
        "resets_at": house.ends_at(concern),
    }
    if standing is not None:
        shown |= {
            "limit": pico_text(standing.limit),
            "spent": pico_text(standing.authorised + standing.observed),
            "held": pico_text(standing.leased),
            "left": pico_text(max(standing.free, 0)),
        }
    return shown


def _trim(memory: dict[str, T]) -> list[tuple[str, T]]:
    """Forget the oldest beyond what is remembered; gives them."""
    gone = []
    while len(memory) > REMEMBERED:
        oldest = next(iter(memory))
        gone.append((oldest, memory.pop(oldest)))
    return gone
