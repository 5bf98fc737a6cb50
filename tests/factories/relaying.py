"""Model calls to a gateway process without a server before it: what an HTTP server would do, over ASGI."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from concurrent.futures import Future
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Protocol

from finops.budgets.types import Enforcement
from routing.gateway.proxy.client import Client
from routing.upstreams.services import create_upstream, set_deployment
from routing.upstreams.types import DeploymentDraft, UpstreamDraft
from tests.factories.budgets import budget
from tests.factories.gateway import PATIENCE_S, Gateway, booked
from tests.factories.ledger import rows
from tests.factories.orgs import HOUSE
from tests.factories.small_book import SMALL_BOOK
from tests.fakes.upstream.running import Upstream
from tests.waiting import until

MODELS: Final[Mapping[str, tuple[str, ...]]] = {provider: tuple(models) for provider, models in SMALL_BOOK.items()}

# How coroutines show that are of one call.
_OF_A_CALL: Final = "Flow."


class Addressed(Protocol):
    @property
    def address(self) -> str: ...


class Answering(Addressed, Protocol):
    @property
    def open(self) -> int: ...


def downgrading(organization_id: int, at: datetime) -> None:
    """A budget of the organization's that sends calls of `gpt` to `gpt-mini` from its first percent on."""
    cheaper = (("openai", "gpt-mini"),)
    budget(organization_id, "0.01", at=at, enforcement=Enforcement.DOWNGRADE, downgrade_to=cheaper, downgrade_at=1)


def deployed(
    organization_id: int, provider: Addressed, *, at: datetime, name: str = "", rank: int = 0, **given: Any
) -> None:
    """What an upstream of the small book serves, in both families' dialects, deployed for an organization."""
    for dialect, models in MODELS.items():
        draft = UpstreamDraft(
            name=(name and (name if dialect == "openai" else f"{name}-{dialect}")) or dialect,
            dialect=dialect,
            base_url=provider.address + ("/v1" if dialect == "openai" else ""),
            provider=dialect,
            **{"auth": "bearer" if dialect == "openai" else "x-api-key", "first_byte_s": 20.0, "total_s": 30.0}
            | {key: value for key, value in given.items() if key != "credential"},
        )
        credential = given.get("credential", "sk-upstream")
        row = create_upstream(organization_id=organization_id, draft=draft, credential=credential, by=HOUSE, at=at)
        for model in models:
            deployment = DeploymentDraft(model=model, rank=rank)
            set_deployment(organization_id=organization_id, upstream_id=row.id, draft=deployment, by=HOUSE, at=at)


def sold_as(
    organization_id: int, provider: Addressed, upstream_model: str, *, at: datetime, name: str, rank: int = 0,
    model: str = "gpt",
) -> None:  # fmt: skip
    """gpt, or another model, at an upstream that calls it otherwise, and sells it at that one's price."""
    draft = UpstreamDraft(
        name=name, dialect="openai", base_url=provider.address + "/v1", provider="openai", first_byte_s=20.0
    )
    row = create_upstream(organization_id=organization_id, draft=draft, credential="sk-upstream", by=HOUSE, at=at)
    deployment = DeploymentDraft(model=model, upstream_model=upstream_model, rank=rank)
    set_deployment(organization_id=organization_id, upstream_id=row.id, draft=deployment, by=HOUSE, at=at)


class Exchange:
    """One call under way: its answer as far as it has come."""

    def __init__(
        self,
        gateway: Gateway,
        path: str,
        body: bytes,
        headers: Mapping[str, str],
        method: str = "POST",
        *,
        slowly: bool = False,
    ) -> None:
        """`slowly` sends half of its body, and the rest once it `goes_on`."""
        self._gateway = gateway
        self._slowly = slowly
        self.status = 0
        self.headers: dict[str, str] = {}
        self.pieces: list[bytes] = []
        self.finished = False
        self._broken = False
        self._changed: asyncio.Condition
        self._left: asyncio.Event
        self._goes_on: asyncio.Event
        self.done: Future[None] = asyncio.run_coroutine_threadsafe(
            self._run(path, body, dict(headers), method), gateway.loop
        )

    @property
    def raw(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def body(self) -> Any:
        return json.loads(self.raw)

    def whole(self) -> Exchange:
        """Once it is over."""
        self.done.result(PATIENCE_S)
        return self

    def until(self, pieces: int) -> Exchange:
        """Once so many pieces of the answer have come."""
        self._gateway.run(self._until(pieces))
        return self

    def leave(self) -> None:
        """The client closes its connection."""
        self._gateway.loop.call_soon_threadsafe(self._left.set)

    def goes_on(self) -> None:
        self._gateway.loop.call_soon_threadsafe(self._goes_on.set)

    def breaks(self) -> None:
        """Whatever is sent to the client raises from now on, as some servers do then."""
        self._broken = True

    async def _until(self, pieces: int) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.pieces) >= pieces)

    async def _run(self, path: str, body: bytes, headers: dict[str, str], method: str) -> None:
        self._changed, self._left, self._goes_on = asyncio.Condition(), asyncio.Event(), asyncio.Event()
        path, _, query = path.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        }
        half = len(body) // 2 if self._slowly else 0
        messages = [{"type": "http.request", "body": body[half:], "more_body": False}]
        if half:
            messages.append({"type": "http.request", "body": body[:half], "more_body": True})

        async def receive() -> dict[str, Any]:
            if messages:
                if half and len(messages) == 1:
                    await self._goes_on.wait()
                return messages.pop()
            await self._left.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            if self._broken and self.status:
                raise RuntimeError("the transport is closed")
            async with self._changed:
                if message["type"] == "http.response.start":
                    self.status = message["status"]
                    self.headers = {name.decode(): value.decode("latin-1") for name, value in message["headers"]}
                else:
                    if message["body"]:
                        self.pieces.append(message["body"])
                    self.finished = not message["more_body"]
                self._changed.notify_all()

        await self._gateway.process.relay.answer(Client(scope, receive, send))


def chat(gateway: Gateway, secret: str, *, headers: Mapping[str, str] | None = None, **given: Any) -> Exchange:
    """A chat completion of gpt in OpenAI's dialect."""
    body = {"model": "gpt", "messages": [{"role": "user", "content": "Hello"}]} | given
    told = {"authorization": f"Bearer {secret}", "content-type": "application/json"} | dict(headers or {})
    return Exchange(gateway, "/v1/chat/completions", json.dumps(body).encode(), told)


def message(gateway: Gateway, secret: str, *, headers: Mapping[str, str] | None = None, **given: Any) -> Exchange:
    """A message to claude in Anthropic's dialect."""
    body = {"model": "claude", "max_tokens": 100, "messages": [{"role": "user", "content": "Hello"}]} | given
    told = {"x-api-key": secret, "anthropic-version": "2023-06-01", "content-type": "application/json"}
    return Exchange(gateway, "/v1/messages", json.dumps(body).encode(), told | dict(headers or {}))


def counting(gateway: Gateway, secret: str, *, headers: Mapping[str, str] | None = None) -> Exchange:
    """How many tokens claude would read, in Anthropic's dialect: nobody is billed for that."""
    body = {"model": "claude", "messages": [{"role": "user", "content": "Hello"}]}
    told = {"x-api-key": secret, "anthropic-version": "2023-06-01", "content-type": "application/json"}
    return Exchange(gateway, "/v1/messages/count_tokens", json.dumps(body).encode(), told | dict(headers or {}))


def respond(gateway: Gateway, secret: str, *, headers: Mapping[str, str] | None = None, **given: Any) -> Exchange:
    """A response of gpt in OpenAI's dialect."""
    body = {"model": "gpt", "input": "Hello", "max_output_tokens": 100} | given
    told = {"authorization": f"Bearer {secret}", "content-type": "application/json"} | dict(headers or {})
    return Exchange(gateway, "/v1/responses", json.dumps(body).encode(), told)


def charged(gateway: Gateway) -> list[tuple[str, Decimal]]:
    """Every charge, by how sure its figure is."""
    gateway.bring()
    booked()
    return [
        (evidence, cost)
        for evidence, cost in rows(
            "SELECT t.value, c.effective_cost FROM ledger_charge AS c JOIN ledger_term AS t ON t.id = c.evidence_id"
            " ORDER BY c.occurred_at, c.id"
        )
    ]


def billed(provider: Upstream) -> Decimal:
    return Decimal(provider.bill.pico) / 10**12


def under_way(gateway: Gateway, calls: int) -> None:
    """Until so many are."""
    relay = gateway.process.relay
    until(lambda: len(relay._tasks) == calls, lambda: relay._tasks)


def idle(gateway: Gateway, *upstreams: Answering) -> None:
    """Once nothing is under way here or at upstreams, nothing is held, and nobody waits for anything."""

    def left() -> dict[str, Any]:
        return gateway.run(_left(gateway)) | {one.address: one.open for one in upstreams if one.open}

    until(lambda: not left(), left)


def expired(gateway: Gateway) -> None:
    """The time of all that is still open is over."""
    gateway.run(_expired(gateway))


async def _expired(gateway: Gateway) -> None:
    process = gateway.process
    for allowance in list(process.calls.book.open.values()):
        process.calls.expire(allowance.held, process.configured.houses[allowance.held.organization_id])


async def _left(gateway: Gateway) -> dict[str, Any]:
    relay, process = gateway.process.relay, gateway.process
    found = {
        "flows": len(relay._flows),
        "calls": len(relay._tasks),
        "bytes": relay._bytes,
        "held": {account: held for account, (_, held) in process.desk.leased().items() if held},
        "open": list(process.calls.book.open),
        "tasks": [task.get_coro() for task in asyncio.all_tasks() if _OF_A_CALL in repr(task.get_coro())],
    }
    return {name: value for name, value in found.items() if value}
