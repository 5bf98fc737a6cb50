"""What a client's call and a provider's answer are, in whatever dialect they are spoken. No network here, no prices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple, Protocol

import msgspec

from finops.core.errors import FinopsError
from routing.gateway.dialects.multipart import Form
from routing.gateway.requests import HostedTool, Input

# Who shapes errors and model lists alike.
OPENAI: Final = "openai"
ANTHROPIC: Final = "anthropic"


class Told(NamedTuple):
    """What a body says of whose call it is: its session, its end user, pairs of metadata, and ids of accounts. '' is
    not said.
    """

    session: str = ""
    user: str = ""
    metadata: Mapping[str, str] = {}


class ModelCall(NamedTuple):
    """A call of a model, as its client made it. `body` holds every field of the request as it came, byte by byte and in
    order; a key that came twice is there once. What bounds the call is as in `requests.Authorize`.
    """

    dialect: str
    model: str
    body: Mapping[str, msgspec.Raw]
    input: Input
    stream: bool = False
    max_output_tokens: int | None = None
    # As `requests.Authorize.least_output_tokens`: what it thinks with, or what nobody can make less of.
    least_output_tokens: int = 1
    choices: int = 1
    server_input: tuple[str, ...] = ()
    hosted_tools: tuple[HostedTool, ...] = ()
    service_tier: str | None = None
    # How many tools the client itself offers, and whether it sends pictures or sound: for routing.
    tools: int = 0
    modalities: frozenset[str] = frozenset({"text"})
    told: Told = Told()
    # The same texts in the same order, for telling identical calls apart from new ones: 16 hex digits.
    fingerprint: str = ""
    # What was bounded here because nothing else bounds it, in words for its client.
    bounded: str = ""
    # Nobody is billed for it: it is passed on, and no budget is asked.
    free: bool = False
    # The id of what it goes on from, a response or a conversation, which only the upstream has where that was made.
    follows: str = ""
    # How its body was read, where that is a form.
    form: Form | None = None


class Answered(Protocol):
    """Reads one answer as it passes, and says what it was. Never raises for what a provider sent."""

    # Meters of `core.tokens` by name; None until (and unless) the provider said so in a way that can be read.
    usage: dict[str, int] | None
    # Whether it costs more than `usage` says, and nobody says how much.
    partial: bool
    # What served it, '' where the answer does not say.
    model: str
    service_tier: str
    request_id: str
    # Whether the answer came to its end as its dialect ends answers.
    complete: bool
    # Whether an error came as an event of it, and whether it is one that another upstream may not answer with.
    failed: bool
    elsewhere: bool
    # Bytes of text that the model wrote so far: what an answer that broke off is estimated by.
    output_bytes: int
    # What could not be understood, in words for a log: no text of the answer.
    problem: str

    def feed(self, chunk: bytes) -> bytes:
        """What of these bytes the client is to see: all of them, but for what was asked for on our own account."""

    def end(self) -> bytes:
        """No more comes; gives what was still held back."""


class Dialect(Protocol):
    """One path of one family's API: its base class, too."""

    # As `openai.chat`.
    name: str
    family: str
    # Where it is at an upstream, below its base URL.
    path: str
    # Whether upstreams keep its answers, for calls that go on from them.
    kept: bool = False

    def read(self, body: bytes) -> ModelCall:
        """Raises Malformed, FieldInvalid and Unbounded, naming the field."""

    def write(self, call: ModelCall, *, model: str, max_output_tokens: int | None) -> bytes:
        """The body for an upstream: as it came, but for the model, the most it may write where that is said here, and
        what makes the answer tell its usage.
        """

    def answered(self, call: ModelCall, *, stream: bool) -> Answered:
        """A reader for one answer with status 200; `stream` when it comes as server-sent events."""

    def bounded(self, call: ModelCall) -> ModelCall | None:
        """A call that nothing bounds, with the bound that is usual here; None where there is none."""
        return None


class Wording(Protocol):
    """How a family says errors; `call_id` stands in them where it has a place for that."""

    def error(self, error: FinopsError, call_id: str = "") -> bytes: ...

    def event(self, error: FinopsError, call_id: str = "") -> bytes:
        """The same as a server-sent event, for a stream that has begun."""
