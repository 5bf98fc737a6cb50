"""Authorizations of one gateway process: allowed against leases, kept in the journal, settled to what was used.

The order is what makes it safe. A hold is in the journal before its answer leaves, so that whoever adopts the journal
knows what was promised; what a call came to is in the journal, durably, before the answer to `settle` leaves. Should
the journal fail, nothing more is allowed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, Final, NamedTuple

import psycopg
from msgspec.structs import replace

from finops.budgets.bank import Standing
from finops.budgets.desk import Allowed, Desk, Refused
from finops.budgets.guard import Guard, Lacking, Refusal
from finops.budgets.hot import NotOpen, Settled
from finops.budgets.journal import Journal, JournalFailed
from finops.budgets.lines import Busy
from finops.budgets.pulse import Pulse
from finops.budgets.rules.downgrades import step_for
from finops.budgets.types import Account, Call
from finops.connectors.types import GivenCost, UsageEvent
from finops.core.errors import FinopsError
from finops.core.money import pico_text
from finops.core.tokens import TOKEN_METERS
from finops.ingest.records import Held, Spent, Voided, encode
from routing.configuration.wire import Key
from routing.gateway.asked import MOST_PICO, ONE_REQUEST, Asked, Serves, came_to, event_of, guarding, nothing
from routing.gateway.book import REMEMBERED, Book
from routing.gateway.bounds import reads_at_most
from routing.gateway.house import Concern, House
from routing.gateway.refusals import Exceeded, guarded
from routing.gateway.requests import Authorize, FieldInvalid, Settle
from routing.gateway.supply import Supply
from routing.gateway.wording import Allowance, Budgets, Settlement, budget_details, budget_shown, exceeded

log = logging.getLogger(__name__)
# Open authorizations of one process; beyond, it asks to be asked later rather than run out of memory.
MOST_OPEN: Final = 200_000
# How often a cap that refuses is told of.
TOLD_EVERY_S: Final = 60.0


# Tells an organization of a kind of thing that happened, about what, with details.
Announce = Callable[[int, str, str, dict[str, Any]], None]
# Told what a call came to: the call as it was served, its provider and model as the catalogue has them, and its cost.
Count = Callable[[UsageEvent, tuple[str, str] | None, int | None, str], None]


class Unavailable(FinopsError):
    """This process cannot decide now; nothing was held."""

    code = "budgets.unavailable"
    status = 503
    retry_after_s = 1


class Stale(Unavailable):
    """The budgets changed a moment ago; asked again, the call is decided by those in force."""

    code = "gateway.not_ready"


class Decision(NamedTuple):
    """A call may be made; who asked must not be told before the journal's ticket is durable."""

    allowance: Allowance
    ticket: int


class Calls:
    """Open calls of this process. `authorize` and `settle` are quick and never wait for the database; where they must,
    `authorize_slowly` does, in a thread (see `deciding`).
    """

    def __init__(
        self, desk: Desk, guard: Guard, pulse: Pulse, journal: Journal, holder: str, now: Callable[[], datetime],
        announce: Announce, supply: Supply, count: Count,
    ) -> None:  # fmt: skip
        """`count` is told what calls came to."""
        self._count = count
        self._supply = supply
        self._announce = announce
        self._told: dict[Account, float] = {}
        self._desk = desk
        self._guard = guard
        self._pulse = pulse
        self._journal = journal
        self._now = now
        self.book = Book(holder)
        # Taken over, and not known to the guard yet.
        self._unguarded: list[Held] = []

    # --- Allow --------------------------------------------------------------------------------------------------------
    def ask(self, house: House, key: Key, request: Authorize, serves: Serves | None = None) -> Asked | Decision:
        """A call made ready to be decided, or the first answer to one that was. Raises Unbounded and Unpriced. A budget
        sends it to no model that cannot be had (`serves`).
        """
        if len(self.book.open) >= MOST_OPEN:
            raise Unavailable("too many calls are open here")
        call_id = self.book.id_of(key.prefix, request.id)
        known = self.book.answered(call_id)
        if known is not None:
            # Where it was taken over, nothing said in which.
            return Decision(known._replace(currency=house.currency), self._journal.last)
        try:
            return self.cheaper(self._asked(call_id, house, key, request)._replace(serves=serves))
        except FinopsError:
            self.book.forget_id(key.prefix, request.id, call_id)
            raise

    def _asked(self, call_id: str, house: House, key: Key, request: Authorize) -> Asked:
        now = self._now()
        event = event_of(request, key, now)
        whose = house.whose(event)
        turns = (1 + sum(tool.max_uses or 0 for tool in request.hosted_tools)) * request.choices
        worst = house.worst(request, now.date()) if whose.concerns else nothing(request, turns)
        if worst.amount > MOST_PICO:
            raise FieldInvalid("no call may cost this much", field="input")
        reads = reads_at_most(request)
        if house.limits_tokens and request.max_output_tokens is None:
            ceiling = self._guard.token_ceiling(house.id, whose.call)
            if ceiling is not None:
                most = max(ceiling - reads, request.least_output_tokens * turns, 1)
                worst = worst._replace(output=min(worst.output, most) if worst.output >= 0 else most)
        return Asked(call_id, house, key, request, event, whose, worst, turns, reads)

    def cheaper(self, asked: Asked) -> Asked:
        """The call with the model that a budget sends it to by now, where that costs less and is allowed; else as it
        is.
        """
        if not asked.house.downgrades or asked.downgraded_from:
            return asked
        for concern in asked.whose.concerns:
            account = self._supply.account(concern.account)
            standing = self._desk.standing(account) if account else None
            step = None if standing is None else step_for(concern.terms, standing)
            there = step and (asked.serves(*step) if asked.serves else asked.here(*step))
            if not there:
                continue
            request = replace(asked.request, fallbacks=(), **there._asdict())
            cheaper = self._asked(asked.id, asked.house, asked.key, request)
            allowed = self._guard.allows_model(asked.house.id, cheaper.whose.call)
            if allowed and cheaper.worst.amount < asked.worst.amount:
                return cheaper._replace(downgraded_from=asked.request.model, serves=asked.serves)
        return asked

    def forbids(self, organization_id: int, call: Call) -> Refusal | None:
        """Whether a call may not be at all, whatever it costs and however many there are."""
        return self._guard.forbids(organization_id, call, monotonic())

    def authorize(self, asked: Asked) -> Decision | None:
        """Allow a call out of what is in hand; None where that does not suffice, or is not known to. Raises Refused."""
        found = self._guard.check(asked.house.id, asked.id, asked.whose.call, now=monotonic(), **guarding(asked))
        if isinstance(found, Lacking):
            return None
        if found is not None:
            self.book.forget_id(asked.key.prefix, asked.request.id, asked.id)
            raise guarded(found)
        accounts = self._supply.known(asked.whose)
        if accounts is None:
            return None
        said = self._desk.at_once(asked.id, accounts, asked.worst)
        return None if said is None else self._allow(asked, accounts, said)

    def authorize_slowly(self, asked: Asked) -> Decision:
        """Decide a call for good, asking the database. Raises Refused, Stale, Unavailable and Busy."""
        try:
            found = self._pulse.check(asked.house.id, asked.id, asked.whose.call, **guarding(asked))
            if found is not None:
                raise guarded(found)
            return self._decide(asked)
        except psycopg.OperationalError:
            return self.without_database(asked)
        except Exception:
            self.refused(asked)
            raise

    def _decide(self, asked: Asked) -> Decision:
        accounts = self._supply.known(asked.whose)
        if accounts is None:
            raise Stale("the budgets have just changed")
        least = min(asked.request.least_output_tokens * asked.turns, asked.worst.output)
        said = self._desk.authorize(asked.id, accounts, asked.worst, least_output=least)
        if isinstance(said, Refused):
            raise self._refusal(asked, accounts, said)
        return self._allow(asked, accounts, said)

    def refused(self, asked: Asked) -> None:
        """A call was not allowed: asked for again, it is decided anew."""
        self._guard.void(asked.id, monotonic())
        self.book.forget_id(asked.key.prefix, asked.request.id, asked.id)

    def without_database(self, asked: Asked) -> Decision:
        """Within what is in hand; of budgets whose owner chose so, without asking. A limit by the minute that cannot be
        asked about refuses, but where all budgets of the call go on so. Raises Unavailable.
        """
        concerns = asked.whose.concerns
        closed = [one for one in concerns if not one.terms.fail_open]
        minutes = self._guard.has(asked.id) or (concerns and not closed)
        accounts = self._supply.ids(closed) if minutes else None
        said = None if accounts is None else self._desk.at_once(asked.id, accounts, asked.worst)
        if said is None or accounts is None:
            self.refused(asked)
            raise Unavailable("the database cannot be asked, and what is in hand does not suffice")
        return self._allow(asked, accounts, said, closed)

    def _allow(
        self, asked: Asked, accounts: tuple[int, ...], said: Allowed, concerns: Sequence[Concern] | None = None
    ) -> Decision:
        known = self.book.answered(asked.id)
        if known is not None:
            return Decision(known, self._journal.last)
        request = asked.request
        ends = asked.event.occurred_at + timedelta(seconds=request.expires_in_s)
        held = Held(
            asked.id, asked.key.prefix, request.id, asked.house.id, asked.house.source_id, accounts, said.amount,
            said.output, ends, asked.event, turns=asked.turns,
        )  # fmt: skip
        house = asked.house
        concerned = asked.whose.concerns if concerns is None else concerns
        budgets = Budgets(house, tuple(concerned), self._desk.heard(accounts))
        allowance = Allowance(held, house.currency, asked.worst.output, asked.downgraded_from, budgets)
        # Known before it is in the journal, so that no segment with it is let go of.
        self.book.keep(allowance)
        try:
            ticket = self._journal.append(encode(held))
        except JournalFailed as error:
            self.book.end(held, None)
            self._desk.void(asked.id)
            self._guard.void(asked.id, monotonic())
            raise Unavailable(error.message) from None
        self._guard.allowed(asked.id, monotonic(), tokens=asked.reads + max(said.output, 0))
        return Decision(allowance, ticket)

    def _refusal(self, asked: Asked, accounts: Sequence[int], said: Refused) -> Exceeded:
        standing = {one.account_id: one for one in said.short}
        short = [
            (concern, standing.get(account))
            for concern, account in zip(asked.whose.concerns, accounts, strict=True)
            if account in standing or not standing
        ]
        budgets = [budget_shown(asked.house, *pair) for pair in short]
        ends = [asked.house.ends_at(concern) for concern, _ in short]
        known = [end for end in ends if end is not None]
        # When the last of them begins anew; never, where one does not.
        retry = max(known) - self._now() if known and len(known) == len(ends) else None
        for concern, how in short:
            self._tell_tripped(asked, concern, how)
        words = exceeded(budgets, asked.house.currency, pico_text(asked.worst.amount))
        return Exceeded(words, budgets, None if retry is None else max(1, int(retry.total_seconds()) + 1))

    def _tell_tripped(self, asked: Asked, concern: Concern, standing: Standing | None) -> None:
        """Calls are refused by a cap: told of once in a while, not each."""
        now = monotonic()
        if now - self._told.get(concern.account, -TOLD_EVERY_S) < TOLD_EVERY_S:
            return
        if len(self._told) > REMEMBERED:
            self._told.clear()
        self._told[concern.account] = now
        details = budget_details(concern, standing)
        key = f"budget:{concern.terms.budget_id}:{concern.account.subject}:{concern.account.start:%Y-%m-%dT%H:%M}"
        try:
            self._announce(asked.house.id, "cap.tripped", key, details)
        except (psycopg.Error, Busy) as error:
            # The cap refuses all the same; it is told of with the next call.
            self._told.pop(concern.account, None)
            log.warning("a cap that refuses could not be told of: %s", error)

    # --- Settle -------------------------------------------------------------------------------------------------------
    def settle(self, house: House, call_id: str, told: Settle, *, evidence: str = "") -> tuple[Settlement, int]:
        """A call came to this; gives the answer, and the journal's ticket it must wait for. `evidence` is how
        sure its figures are, where that is not what `told` says.

        Raises NotOpen, and FieldInvalid for usage that cannot be.
        """
        over = self.book.over(call_id, house.id)
        if over is not None and over.settled is not None:
            return over.settled, self._journal.last
        held = self.book.held(call_id, house.id)
        event = came_to(held.event, told, evidence)
        rated = house.cost(event)
        cost = self._cost(house, event, rated.effective_pico if rated.priced else None, rated.currency)
        # Nobody knows its price: it may have cost all that was held, and until somebody does know, it did.
        actual = held.amount if cost is None else cost
        if actual > MOST_PICO:
            raise FieldInvalid("no call uses this much", field="usage")
        keep = self._keeps(held, event, final=not told.estimated)
        if call_id in self.book.expired:
            said = Settled((), 0, 0)
            keep(said)
        elif told.estimated:
            said = self._desk.settle_part(call_id, actual, keep)
        else:
            said = self._desk.settle(call_id, actual, keep)
        self._guard.settled(call_id, amount=actual, tokens=sum(event.counts[: len(TOKEN_METERS)]), now=monotonic())
        answer = Settlement(held, house.currency, cost, said.beyond)
        if not told.estimated:
            # One that had expired was counted as all it could cost.
            counted = 0 if call_id in self.book.expired else cost
            self._count(event, house.named(event) if rated.priced else None, counted, house.currency)
            self.book.end(held, answer)
        return answer, self._journal.last

    def void(self, house: House, call_id: str) -> int:
        """A call never happened; gives the journal's ticket. Raises NotOpen."""
        over = self.book.over(call_id, house.id)
        if over is not None and over.settled is None:
            return self._journal.last
        held = self.book.held(call_id, house.id)
        if call_id in self.book.expired:
            raise NotOpen(f"authorization {call_id} is over: it was charged as the most it could have cost")
        self.release(held)
        return self._journal.last

    def release(self, held: Held) -> None:
        """A call that is open never happened, or did under another id."""
        if held.id not in self.book.open:
            return
        self._desk.void(held.id, lambda _: self._journal.append(encode(Voided(held.id))))
        self._guard.void(held.id, monotonic())
        self.book.end(held, None)

    def due(self) -> Held | None:
        """An open call whose time is over; each is given once."""
        return self.book.due(self._now())

    def expire(self, held: Held, house: House) -> None:
        """Charge what nobody told the end of as the most it could cost."""
        if held.id not in self.book.open:
            return
        # Also where no account holds it, because its budgets go on without the database.
        cost = GivenCost(held.amount, house.currency)
        event = replace(held.event, counts=ONE_REQUEST, evidence="estimated", cost=cost)
        self._desk.settle(held.id, held.amount, self._keeps(held, event, final=True, expired=True))
        self.book.expire(held)
        self._guard.settled(held.id, amount=held.amount, tokens=None, now=monotonic())
        self._count(event, house.named(event), held.amount, house.currency)

    def adopt(self, held: Held) -> None:
        """Take over a call that another process had allowed; the bank has leased what it holds to this one."""
        self._desk.adopt(held.id, held.accounts, Allowed(held.amount, held.output), charged=held.charged)
        self.book.keep(Allowance(held, "", held.output))
        # One that broke off is under way nowhere any more.
        if not held.charged:
            self._unguarded.append(held)

    def guard_adopted(self, houses: Mapping[int, House]) -> None:
        """What was taken over counts among the calls under way, and can be cut, once its organization is known."""
        for _ in range(len(self._unguarded)):
            # Should it fail with one, the others have their turn.
            held = self._unguarded.pop(0)
            house = houses.get(held.organization_id)
            if held.id not in self.book.open:
                continue
            if house is None:
                self._unguarded.append(held)
            else:
                self._guard.adopted(house.id, held.id, house.whose(held.event).call, monotonic())

    def carry_on(self, ids: Iterable[str], *, old: bool) -> int | None:
        """Write anew to the journal what is open of these calls, so that it can let go of where they were; gives the
        ticket. None, unless they are `old`, when any is open: it will be over soon.
        """
        calls = [call.held for call_id in ids if (call := self.book.open.get(call_id))]
        if calls and not old:
            return None
        for held in calls:
            found = self._desk.held(held.id)
            self._journal.append(encode(replace(held, charged=found[1] if found else held.charged)))
        # What those that are over came to may not be written yet, and nothing else would say that they were held.
        return self._journal.last

    @staticmethod
    def _cost(house: House, event: UsageEvent, pico: int | None, currency: str) -> int | None:
        if event.cost is not None:
            pico, currency = event.cost.pico, event.cost.currency
        return None if pico is None else house.reporting(pico, currency, event.occurred_at.date())

    def _keeps(self, held: Held, event: UsageEvent, *, final: bool, expired: bool = False) -> Callable[[Settled], int]:
        """Writes to the journal what a call came to."""

        def keep(said: Settled) -> int:
            beyond = said.beyond if said.accounts else 0
            whose = (held.id, held.organization_id, held.source_id, said.accounts)
            return self._journal.append(encode(Spent(*whose, said.spent, beyond, final, expired, event)))

        return keep
