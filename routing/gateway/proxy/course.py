"""One call of a model as it went: what is counted of it and what the log says. Nothing of what was written in it,
but where the organization has that kept.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final

from routing.configuration.wire import Upstream

if TYPE_CHECKING:
    from routing.gateway.captured import Kept
    from routing.gateway.proxy.attempt import Attempt

# How a call ended whose client left before its answer's end.
CLIENT_GONE: Final = "client_gone"


class Course:
    """Times are of `time.monotonic`, 0 where it did not come to that."""

    __slots__ = (
        "asked_bytes", "attempt", "began", "call_id", "code", "dialect", "ended_at", "first_byte_s", "kept",
        "key_prefix", "last_sent_at", "model", "organization", "passed_at", "said_bytes", "sent_at", "status", "stream",
        "tries", "upstream",
    )  # fmt: skip

    def __init__(self, dialect: str) -> None:
        self.dialect = dialect
        # Since its body was there: how long a client takes to send it is theirs.
        self.began = monotonic()
        self.call_id = ""
        self.organization = 0
        self.key_prefix = ""
        # As it was asked for.
        self.model = ""
        self.stream = False
        self.asked_bytes = 0
        self.tries = 0
        self.upstream: Upstream | None = None
        self.first_byte_s: float | None = None
        # When the first try was sent, and the last.
        self.sent_at = 0.0
        self.last_sent_at = 0.0
        # When the upstream's answer was there to its end, and when its end was passed on.
        self.ended_at = 0.0
        self.passed_at = 0.0
        # The last try.
        self.attempt: Attempt | None = None
        # What the client was told: its status and how many bytes, and the code of what went wrong.
        self.status = 0
        self.said_bytes = 0
        self.code = ""
        # Its contents, where those are captured. Nothing else here may be of them.
        self.kept: Kept | None = None

    def tried(self, attempt: Attempt) -> None:
        """An upstream was sent the call, or would have been."""
        self.tries += 1
        self.attempt = attempt
        self.upstream = attempt.candidate.upstream

    def sent(self, at: float) -> None:
        self.sent_at = self.sent_at or at
        self.last_sent_at = at

    def ended(self) -> None:
        self.ended_at = self.ended_at or monotonic()

    def passed_on(self) -> None:
        if self.ended_at and not self.passed_at:
            self.passed_at = monotonic()
