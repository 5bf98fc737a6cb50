"""Why no answer came of a try at an upstream: whether another may do better, and what becomes of its money."""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from finops.connectors.addresses import AddressRefused
from finops.core.sealing import CannotOpen
from routing.configuration.wire import Upstream
from routing.gateway.proxy.sender import failed_before_sending

# Statuses that another upstream may answer better.
_ELSEWHERE: Final = frozenset({401, 403, 404, 408, 409, 425, 429})
# Somebody in between did not wait for the answer, which may still be written.
_STILL_WORKING: Final = frozenset({504, 524})
_TOLD_APART: Final = frozenset({400, 401, 403, 404, 408, 413, 422, 429, 500, 502, 503, 504, 529})
# As OpenAI says, with 400, that it does not have what a call goes on from; others say 404.
_NOT_THERE: Final = b"previous_response"


class Fate(Enum):
    """What became of a try as far as its money goes."""

    # Nothing was worked on, so nothing is billed.
    NOTHING = auto()
    # It was told to stop, and is billed as far as it came.
    STOPPED = auto()
    # It may have been worked on, and nobody will say.
    UNKNOWN = auto()


# What a call names that only one upstream may have.
OF_ONE_UPSTREAM: Final = frozenset({"previous_response_id", "conversation", "file_id"})


class Failed(Exception):
    """No answer that can be passed on came of it: `why` in words, and its `kind` in one of few. `elsewhere`: another
    upstream may do better.
    """

    def __init__(
        self, why: str, fate: Fate, kind: str, *, status: int = 0, headers: list[tuple[str, str]] | None = None,
        body: bytes = b"", elsewhere: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(why)
        self.why = why
        self.kind = kind
        self.fate = fate
        self.status = status
        self.headers = headers or []
        self.body = body
        self.elsewhere = elsewhere

    @property
    def told(self) -> bool:
        """Whether what the upstream said is meant for the client: of our own credential it is not."""
        return self.status not in (0, 401, 403)

    @property
    def not_there(self) -> bool:
        """Whether it says that it does not have what a call names of its own."""
        return self.status == 404 or (self.status == 400 and _NOT_THERE in self.body)


def refused(upstream: Upstream, status: int, headers: list[tuple[str, str]], body: bytes) -> Failed:
    """It answered with a status that is none of an answer."""
    name = upstream.name
    if status < 400:
        # A client that went there would be past the gateway, with its key.
        return Failed(f"{name} sends elsewhere, by {status}", Fate.NOTHING, _kind(status))
    fate = Fate.UNKNOWN if status in _STILL_WORKING else Fate.NOTHING
    elsewhere = status in _ELSEWHERE or status >= 500
    return Failed(
        f"{name} answered {status}", fate, _kind(status), status=status, headers=headers, body=body, elsewhere=elsewhere
    )


def not_reached(upstream: Upstream, error: Exception, within_s: float) -> Failed:
    """No answer began; `error` is what sending it raised."""
    name = upstream.name
    if isinstance(error, AddressRefused | CannotOpen):
        return Failed(f"{name} cannot be called: {error.message}", Fate.NOTHING, "not_callable")
    if failed_before_sending(error):
        return Failed(f"{name} cannot be reached: {type(error).__name__}", Fate.NOTHING, "unreachable")
    if isinstance(error, TimeoutError):
        return Failed(f"{name} did not begin to answer within {within_s:g} s", Fate.UNKNOWN, "timeout")
    return broke_off(upstream, error)


def broke_off(upstream: Upstream, error: BaseException) -> Failed:
    return Failed(f"{upstream.name} broke off: {type(error).__name__}", Fate.UNKNOWN, "broke_off")


def _kind(status: int) -> str:
    """One word of few, whatever an upstream says."""
    return str(status) if status in _TOLD_APART else f"{status // 100}xx"
