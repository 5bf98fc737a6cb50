"""The doors of a gateway process: authorizations, by HTTP. See docs/guides/authorizations.md."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final

import msgspec
import psycopg

from finops.budgets.journal import JournalFailed
from finops.core.errors import FinopsError, NotFound
from routing.configuration.wire import Key
from routing.gateway import calls
from routing.gateway.advice import advise
from routing.gateway.answers import Answer, Asked, Unexpected, answered, refused
from routing.gateway.commits import Commits
from routing.gateway.cut import Cuts
from routing.gateway.deciding import Deciding
from routing.gateway.decisions import Decisions
from routing.gateway.figures.scrape import FIGURES, Scrape
from routing.gateway.house import House
from routing.gateway.keys import Keys, NotReady
from routing.gateway.peers import KNOWN, OwnerAway, Peers
from routing.gateway.requests import Authorize, Batch, FieldInvalid, Route, Settle, read

log = logging.getLogger(__name__)
PERMISSION: Final = "calls.authorize"
AUTHORIZATIONS: Final = "/api/v1/authorizations"
_LONGEST_WAIT_S: Final = 25


class MethodNotAllowed(FinopsError):
    code = "api.method_not_allowed"
    status = 405


class Door:
    """Answers requests; one for each process, used by its event loop alone."""

    def __init__(
        self,
        own: calls.Calls,
        deciding: Deciding,
        commits: Commits,
        peers: Peers,
        cuts: Cuts,
        keys: Keys,
        scrape: Scrape,
        decisions: Decisions,
        now: Callable[[], datetime],
        reasons: Callable[[], list[str]],
    ) -> None:
        """`reasons` says why the process is not ready."""
        self._decisions = decisions
        self._now = now
        self._scrape = scrape
        self._reasons = reasons
        self._calls = own
        self._deciding = deciding
        self._commits = commits
        self._peers = peers
        self._cuts = cuts
        self._keys = keys

    async def answer(self, asked: Asked) -> Answer:
        """Never raises for what somebody sent."""
        try:
            return await self._route(asked)
        except FinopsError as error:
            return refused(error)
        except JournalFailed as error:
            return refused(calls.Unavailable(error.message))
        except psycopg.OperationalError:
            return refused(calls.Unavailable("the database cannot be asked just now"))
        except Exception:
            # Its text may quote what somebody sent, so it stays in the log.
            log.exception("a request could not be answered")
            return refused(Unexpected("something went wrong here; nothing is known of what became of the request"))

    async def _route(self, asked: Asked) -> Answer:
        if asked.path == "/healthz":
            return answered({"status": "ok"})
        if asked.path == "/readyz":
            reasons = self._reasons()
            if reasons:
                raise NotReady("; ".join(reasons), reasons)
            return answered({"status": "ready", "reasons": []})
        if asked.path == "/metrics" and asked.method == "GET":
            return await self._scrape.answer(asked)
        if asked.path == FIGURES and asked.forwarded:
            return await self._scrape.own()
        if asked.path == KNOWN and asked.forwarded:
            return answered(self._calls.book.knows_other(asked.query["by"], asked.query["as"], asked.query["id"]))
        if not asked.path.startswith(AUTHORIZATIONS):
            raise NotFound("There is nothing here.")
        rest = asked.path.removeprefix(AUTHORIZATIONS).strip("/").split("/")
        act: Callable[[House, Key, Asked], Awaitable[Answer]]
        if rest == [""]:
            act = self._authorize
        elif rest == ["stopped"]:
            return await self._stopped(asked)
        elif rest == ["batch"]:
            act = self._batch
        elif rest == ["route"]:
            act = self._advise
        elif len(rest) == 2 and rest[1] in ("settle", "void"):
            return await self._end(asked, *rest)
        else:
            raise NotFound("There is nothing here.")
        return await act(*self._authenticated(asked, "POST"), asked)

    def _authenticated(self, asked: Asked, method: str) -> tuple[House, Key]:
        """Raises MethodNotAllowed, NotReady, KeyRefused and PermissionMissing."""
        if asked.method != method:
            raise MethodNotAllowed(f"use {method}")
        secret = asked.authorization.removeprefix("Bearer ").strip()
        return self._keys.authenticated(secret, PERMISSION)

    async def _authorize(self, house: House, key: Key, asked: Asked) -> Answer:
        request = read(Authorize, asked.body)
        owner = self._peers.decides(key.prefix, request.id)
        if not asked.forwarded and not self._peers.is_own(owner):
            try:
                return await self._peers.forward(owner, asked)
            except OwnerAway:
                # It died a moment ago, and whoever asked waits: decided here, it is held once more at most.
                log.warning("a peer cannot be reached; its call is decided here")
        return answered((await self._deciding.decide(house, key, request)).shown())

    async def _advise(self, house: House, key: Key, asked: Asked) -> Answer:
        """By which of a proxy's models a call should go. Any process knows; what it says is kept once for each call."""
        advice = advise(house, key, read(Route, asked.body), self._now())
        if advice.row is not None:
            self._decisions.keep(advice.row)
        return answered(advice.said)

    async def _batch(self, house: House, key: Key, asked: Asked) -> Answer:
        requests = read(Batch, asked.body).authorizations

        async def one(raw: msgspec.Raw) -> Answer:
            return await self.answer(asked._replace(path=AUTHORIZATIONS, body=bytes(raw)))

        answers = await asyncio.gather(*[one(raw) for raw in requests])
        return answered({"results": [{"status": each.status, "body": msgspec.Raw(each.body)} for each in answers]})

    async def _stopped(self, asked: Asked) -> Answer:
        """Waits until calls of this key must be cut, a while at most."""
        _, key = self._authenticated(asked, "GET")
        said = asked.query.get("wait", "0")
        if not said.isdigit() or int(said) > _LONGEST_WAIT_S:
            raise FieldInvalid(f"wait is 0 to {_LONGEST_WAIT_S} seconds", field="wait")
        return answered(await self._cuts.since(key.prefix, asked.query.get("since", ""), float(said)))

    async def _end(self, asked: Asked, call_id: str, act: str) -> Answer:
        house, _ = self._authenticated(asked, "POST")
        owner = self._peers.owns(call_id)
        if not asked.forwarded and not self._peers.is_own(owner) and not self._calls.book.has(call_id):
            return await self._peers.forward(owner, asked)
        if act == "void":
            await self._commits.wait(self._calls.void(house, call_id))
            return answered({"id": call_id})
        settled, ticket = self._calls.settle(house, call_id, read(Settle, asked.body))
        await self._commits.wait(ticket)
        return answered(settled.shown())
