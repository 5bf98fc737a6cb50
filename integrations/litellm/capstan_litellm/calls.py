"""One call, from its authorization to its settlement: what was tried, what came of it, and what Capstan is told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from capstan_litellm.routing import Routed, Use
from capstan_litellm.tries import Deployment, Plan
from capstan_litellm.usage import Seen, Usage, estimate, plus

# What became of a try. Of one that is under way, or whose end nobody saw, the provider may charge.
RUNNING: Final = "running"
STREAMING: Final = "streaming"
ANSWERED: Final = "answered"
FREE: Final = "free"
UNSEEN: Final = "unseen"
_NEVER_CONNECTED: Final = frozenset(
    {"ConnectError", "ConnectTimeout", "ClientConnectorError", "ClientConnectorDNSError", "ConnectionRefusedError"}
)
_NO_ANSWER: Final = frozenset(
    {"Timeout", "APITimeoutError", "APIConnectionError", "APIError", "APIResponseValidationError"}
    | {"ReadTimeout", "WriteTimeout", "ReadError", "WriteError", "CloseError", "RemoteProtocolError"}
    | {"ServerDisconnectedError", "ClientOSError", "ClientPayloadError", "JSONDecodeError", "CancelledError"}
)


# Of an answer that nothing limited.
_USUAL_OUTPUT: Final = 4_096


@dataclass(slots=True)
class Try:
    provider: str
    model: str
    state: str = RUNNING
    usage: Usage | None = None


@dataclass(slots=True)
class Served:
    """What answered, where it said so."""

    model: str = ""
    tier: str = ""
    id: str = ""


@dataclass(slots=True)
class Call:
    """`authorization` is empty for a call that was let through while Capstan was away: its usage is reported instead.
    `request` is what was asked of Capstan. `route` is where rules sent the call, and `uses` how tries are made there.
    """

    id: str
    authorization: str
    plan: Plan
    input_bytes: int
    limit: int | None
    request: dict[str, Any]
    at: str
    began: float
    route: Routed = field(default_factory=Routed)
    uses: Mapping[Deployment, Use] = field(default_factory=dict)
    tries: list[Try] = field(default_factory=list)
    served: Served = field(default_factory=Served)
    seen: Seen | None = None
    estimated: bool = False
    settled: bool = False
    # Why it has to stop, and the task that waits for its next chunk meanwhile.
    stopped: str = ""
    reader: asyncio.Task[Any] | None = None
    # What LiteLLM counted itself, which comes a little after the end.
    logged: asyncio.Event = field(default_factory=asyncio.Event)
    counted: Usage | None = None

    def begin(self, provider: str, model: str) -> bool:
        """Whether it is a try of its own: within a running one LiteLLM calls itself where it translates."""
        last = self.tries[-1] if self.tries else None
        if last is not None and last.state == RUNNING:
            last.provider, last.model = provider, model
            return False
        if last is not None and last.state == STREAMING:
            last.state = UNSEEN
        self.tries.append(Try(provider, model))
        return True

    @property
    def under_way(self) -> Try | None:
        last = self.tries[-1] if self.tries else None
        return last if last is not None and last.state in (RUNNING, STREAMING) else None

    def answered(self, usage: Usage | None, *, estimated: bool = False) -> None:
        """The last try has ended; `usage` is None where nobody has said it."""
        last = self.tries[-1] if self.tries else None
        if last is None:
            return
        if usage is not None:
            last.state, last.usage = ANSWERED, usage
            self.estimated = self.estimated or estimated
        elif last.usage is None:
            last.state = UNSEEN

    def failed(self, error: BaseException) -> None:
        last = self.under_way
        if last is not None:
            last.state = cost_of(error)

    def why_stopped(self) -> str:
        return self.stopped

    def stop(self, why: str) -> None:
        self.stopped = why
        if self.reader is not None:
            self.reader.cancel()

    def most_likely(self) -> Usage:
        """Of a try whose end nobody saw: all of its input, and all that it may have answered."""
        most = self.limit if self.limit is not None else self.request.get("max_output_tokens", _USUAL_OUTPUT)
        return estimate(input_bytes=self.input_bytes, output_bytes=4 * most * self.request.get("choices", 1))

    def message(self) -> dict[str, Any]:
        """What Capstan is told at the end: what all tries used together, or that it never was."""
        total: Usage | None = None
        doubtful = False
        for one in self.tries:
            used = one.usage
            if one.state in (UNSEEN, RUNNING, STREAMING) and used is None:
                used, doubtful = self.most_likely(), True
            if used is not None:
                total = plus(total, used) if total else used
        if total is None:
            return self._message("void", {})
        last = next(one for one in reversed(self.tries) if one.state != FREE)
        body = {
            "usage": total,
            "model": _served_name(last, self.served.model),
            "provider": last.provider,
            "service_tier": self.served.tier,
            "provider_request_id": self.served.id,
            "estimated": self.estimated or doubtful,
        }
        return self._message("settle", {name: value for name, value in body.items() if value not in ("", False)})

    def if_never_ended(self) -> dict[str, Any]:
        """What is sent should this process die before the call ends."""
        first = self.plan.deployments[0]
        body = {"usage": self.most_likely(), "model": first.model, "provider": first.provider, "estimated": True}
        return self._message("settle", body)

    def _message(self, do: str, body: dict[str, Any]) -> dict[str, Any]:
        if self.authorization:
            return {"do": do, "authorization": self.authorization, "body": body}
        if do == "void":
            return {"do": "nothing", "body": {}}
        return {"do": "report", "body": body, "request": self.request, "at": self.at}


def cost_of(error: BaseException) -> str:
    """What became of a try that failed so. Providers charge for answers: one that says no is free; where none came, or
    it was lost on its way, nobody here can know.
    """
    names = [type(one).__name__ for one in _chain(error)]
    if _NEVER_CONNECTED.intersection(names):
        return FREE
    status = getattr(error, "status_code", None)
    if _NO_ANSWER.intersection(names) or not isinstance(status, int) or status in (408, 499, 504):
        return UNSEEN
    return FREE if 400 <= status < 600 else UNSEEN


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    for _ in range(12):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__


def _served_name(one: Try, said: str) -> str:
    """The answer may name a dated version of what was asked for; an alias of the proxy's own is not a model."""
    return said if said and (said.startswith(one.model) or one.provider == "azure") else one.model
