"""Calls of an experiment, made through the gateway over HTTP by a key of its own: bounded in time and size, tried again
where that may help, and never by anybody's credential but the experiment's.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import httpx2
import msgspec

from routing.experiments import rules
from routing.gateway.dialects.registry import DIALECTS

CONNECT_S: Final = 5.0
LONGEST_S: Final = 300.0
LARGEST: Final = 8 * 2**20
TRIES: Final = 4
# Seconds before the next try, unless the answer says; each time twice as long.
FIRST_WAIT_S: Final = 1.0
LONGEST_WAIT_S: Final = 30.0
_EXCEEDED: Final = "budgets.exceeded"
_UNKNOWN_KEY: Final = "orgs.key_refused"
# Refusals that are no affair of one call: others would be refused as well.
_REFUSES: Final = frozenset({_EXCEEDED, "budgets.stopped", "budgets.rate_limited", "budgets.model_not_allowed"})
# Our codes have a room before them; providers' have none.
_OURS: Final = re.compile(r"[a-z]+\.[a-z_]{1,50}")
OWN_CAP: Final = "experiments.own_cap"


class CapReached(Exception):
    """The experiment's own cap leaves no room for this call, though nothing else is held: nothing was asked."""


class Interrupted(Exception):
    """Something that is not the call's own affair, and may pass: nothing more is asked for now. `code` is one of
    `rules.WHY`.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Reply(NamedTuple):
    """`code` is what an error says, '' for an answer. `cost` is None where nobody knows it. `clamped`: it was let write
    less than it asked for.
    """

    status: int
    body: bytes
    code: str
    cost: Decimal | None
    currency: str
    upstream: str
    downgraded: bool
    clamped: bool
    took_s: float


class _Turns:
    """Calls beside each other, or one alone: what others hold of a cap is free again once they are over."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._under_way = 0
        self._taken = False

    @contextmanager
    def beside(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._taken)
            self._under_way += 1
        try:
            yield
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._taken)
            self._taken = True
            self._changed.wait_for(lambda: not self._under_way)
        try:
            yield
        finally:
            with self._changed:
                self._taken = False
                self._changed.notify_all()


class Asking:
    """Used by several threads at once."""

    def __init__(
        self,
        address: str,
        secret: str,
        *,
        experiment_id: int,
        budget_id: int,
        transport: httpx2.BaseTransport | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """`address` is the gateway's; `budget_id` the experiment's own cap."""
        self._client = httpx2.Client(
            base_url=address, timeout=httpx2.Timeout(LONGEST_S, connect=CONNECT_S), follow_redirects=False,
            trust_env=False, transport=transport,
        )  # fmt: skip
        self._headers = {
            "authorization": f"Bearer {secret}",
            "content-type": "application/json",
            "accept-encoding": "identity",
            "x-capstan-task": rules.TASK_TYPE,
        }
        self._tags = f"{rules.TAG}={experiment_id}"
        self._budget_id = budget_id
        self._pause = pause
        self._turns = _Turns()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def ask(self, dialect: str, body: bytes, *, only: tuple[str, ...], label: str, headers: Mapping[str, str]) -> Reply:
        """One call, at these upstreams alone. `label` is what the call it stands for was labelled. One that the cap has
        no room for is asked once more when nothing else is held. Raises CapReached and Interrupted.
        """
        tags = self._tags + (f",sensitivity={label}" if label else "")
        said = {**headers, **self._headers, "x-capstan-tags": tags, "x-capstan-only": ",".join(only)}
        path = DIALECTS[dialect].path
        with self._turns.beside():
            reply = self._tried(path, body, said)
        if reply.code == OWN_CAP:
            with self._turns.alone():
                reply = self._tried(path, body, said)
        if reply.code == OWN_CAP:
            raise CapReached
        if reply.code == _UNKNOWN_KEY:
            raise Interrupted("gateway_not_told")
        if reply.code in _REFUSES:
            raise Interrupted("refused")
        return reply

    def _tried(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """As often as it may help."""
        wait_s = FIRST_WAIT_S
        reply, retry_after_s = self._once(path, body, headers)
        for _ in range(1, TRIES):
            if not self._may_pass(reply):
                break
            self._pause(min(retry_after_s if retry_after_s is not None else wait_s, LONGEST_WAIT_S))
            wait_s *= 2
            reply, retry_after_s = self._once(path, body, headers)
        return reply

    def _may_pass(self, reply: Reply) -> bool:
        """Whether the same may be answered a little later."""
        if reply.code == OWN_CAP or reply.code in _REFUSES:
            return reply.code == "budgets.rate_limited"
        return reply.status in (408, 425, 429) or reply.status >= 500

    def _once(self, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[Reply, float | None]:
        began = time.monotonic()
        try:
            with self._client.stream("POST", path, content=body, headers=dict(headers)) as response:
                raw = _bounded(response)
        except (httpx2.ConnectError, httpx2.ConnectTimeout):
            raise Interrupted("gateway_away") from None
        except httpx2.HTTPError:
            # It may have been answered, and paid for: asked again it would be paid twice.
            return Reply(0, b"", "no_answer", None, "", "", False, False, time.monotonic() - began), None
        told = response.headers
        return Reply(
            status=response.status_code,
            body=raw if raw is not None else b"",
            code="too_large" if raw is None else "" if response.status_code == 200 else self._code(raw),
            cost=_amount(told.get("x-capstan-cost")),
            currency=told.get("x-capstan-currency", ""),
            upstream=told.get("x-capstan-upstream", ""),
            downgraded="x-capstan-downgraded-from" in told,
            clamped="max_tokens" in told.get("x-capstan-clamped", ""),
            took_s=time.monotonic() - began,
        ), _seconds(told.get("retry-after"))

    def _code(self, raw: bytes) -> str:
        """What an error says of itself: our code, or `upstream` for another's words."""
        error = _error(raw)
        code = error.get("code")
        if code == _EXCEEDED and any(
            isinstance(one, dict) and one.get("budget_id") == self._budget_id for one in error.get("budgets") or ()
        ):
            return OWN_CAP
        return code if isinstance(code, str) and _OURS.fullmatch(code) else "upstream"


def _error(raw: bytes) -> dict[str, Any]:
    try:
        said = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    error = said.get("error") if isinstance(said, dict) else None
    return error if isinstance(error, dict) else {}


def _bounded(response: httpx2.Response) -> bytes | None:
    """None where it is too large."""
    read = bytearray()
    for piece in response.iter_raw():
        read += piece
        if len(read) > LARGEST:
            return None
    return bytes(read)


def _amount(said: str | None) -> Decimal | None:
    try:
        found = Decimal(said) if said is not None else None
    except InvalidOperation:
        return None
    return found if found is not None and found.is_finite() and found >= 0 else None


def _seconds(said: str | None) -> float | None:
    return float(said) if said is not None and said.isascii() and said.isdigit() else None
