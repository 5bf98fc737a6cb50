"""What proxies ask and tell, as JSON: decoded, checked and bounded."""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeVar

import msgspec
from msgspec import Meta

from finops.connectors.capstan.record import MOST_TAGS, Cost, Count, Identities, TagKey, TagValue, Text
from finops.connectors.wording import not_json, not_valid
from finops.core.errors import FinopsError, Invalid

MOST_IN_BATCH: Final = 100
# Of the names that a proxy offers, of the deployments of one, and of a text that is shown.
MOST_OFFERS: Final = 500
MOST_PLACES: Final = 50
MOST_SHOWN: Final = 32_768
# Of a text whose tokens nobody has counted.
_BYTES_A_TOKEN: Final = 4
Id = Annotated[str, Meta(min_length=1, max_length=200)]
# No context window comes near it.
Tokens = Annotated[int, Meta(ge=0, le=10**9)]
Few = Annotated[int, Meta(ge=0, le=10_000)]
T = TypeVar("T")


class Malformed(FinopsError):
    """The body is not what its media type says."""

    code = "api.malformed"
    status = 400


class FieldInvalid(Invalid):
    code = "gateway.field_invalid"


class Deployment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a try may land."""

    model: Annotated[str, Meta(min_length=1, max_length=300)]
    provider: Text = ""
    host: Text = ""


class Input(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much a call reads: `tokens` that the caller vouches for, or the size of its texts in bytes, with its messages
    and tools.
    """

    tokens: Tokens | None = None
    bytes: Tokens = 0
    messages: Few = 0
    tools: Few = 0
    audio_tokens: Tokens = 0
    image_tokens: Tokens = 0

    @property
    def about(self) -> int:
        """Tokens, where nobody vouches for them by the size of the texts."""
        read = self.tokens if self.tokens is not None else self.bytes // _BYTES_A_TOKEN
        return read + self.audio_tokens + self.image_tokens


class HostedTool(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tool that the provider runs. Without a maximum nothing bounds what it costs."""

    type: Annotated[str, Meta(min_length=1, max_length=60)]
    max_uses: Annotated[int, Meta(ge=0, le=1000)] | None = None


class Dimensions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    team: Text = ""
    person: Text = ""
    project: Text = ""
    agent: Text = ""
    customer: Text = ""


class Authorize(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """May this call be made? See docs/guides/authorizations.md for each field."""

    id: Id
    model: Annotated[str, Meta(min_length=1, max_length=300)]
    provider: Text = ""
    host: Text = ""
    service_tier: Text | None = None
    region: Text = ""
    input: Input
    max_output_tokens: Tokens | None = None
    least_output_tokens: Annotated[int, Meta(ge=0, le=10**6)] = 1
    choices: Annotated[int, Meta(ge=1, le=128)] = 1
    server_input: Annotated[
        tuple[Literal["previous_response_id", "conversation", "file_id", "url", "other"], ...], Meta(max_length=20)
    ] = ()
    hosted_tools: Annotated[tuple[HostedTool, ...], Meta(max_length=20)] = ()
    tries: Annotated[int, Meta(ge=1, le=50)] = 1
    fallbacks: Annotated[tuple[Deployment, ...], Meta(max_length=50)] = ()
    dimensions: Dimensions = Dimensions()
    identities: Identities | None = None
    tags: Annotated[dict[TagKey, TagValue], Meta(max_length=MOST_TAGS)] = {}
    session: Text = ""
    task_type: Text = ""
    fingerprint: Annotated[str, Meta(max_length=100)] = ""
    depth: Annotated[int, Meta(ge=0, le=10_000)] = 0
    expires_in_s: Annotated[int, Meta(ge=1, le=86_400)] = 900


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A deployment of a proxy's own, as limits of rules know places."""

    model: Annotated[str, Meta(min_length=1, max_length=300)]
    provider: Text = ""
    host: Text = ""
    upstream: Text = ""
    region: Text = ""
    labels: Annotated[tuple[Text, ...], Meta(max_length=20)] = ()


class Offer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A name that a proxy's callers may ask for, and every deployment that may answer it."""

    name: Annotated[str, Meta(min_length=1, max_length=300)]
    places: Annotated[tuple[Place, ...], Meta(max_length=MOST_PLACES)]


class Followed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The answer to an equal question of a moment ago, by which the call has gone already."""

    rule_id: int | None
    version: int | None
    arm: Annotated[str, Meta(max_length=20)]


class Route(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where should this call go? `id` is that of its authorization, and what is decided is kept under it once.
    `characters` is the length of what a person said first; `text` is that itself, where it may be shown. See
    docs/guides/authorizations.md.
    """

    id: Annotated[str, Meta(min_length=1, max_length=64)]
    model: Annotated[str, Meta(min_length=1, max_length=200)]
    offers: Annotated[tuple[Offer, ...], Meta(max_length=MOST_OFFERS)]
    input: Input = Input()
    characters: Tokens = 0
    text: Annotated[str, Meta(max_length=MOST_SHOWN)] | None = None
    dimensions: Dimensions = Dimensions()
    identities: Identities | None = None
    tags: Annotated[dict[TagKey, TagValue], Meta(max_length=MOST_TAGS)] = {}
    session: Text = ""
    task_type: Text = ""
    depth: Annotated[int, Meta(ge=0, le=10_000)] = 0
    followed: Followed | None = None


class Settle(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the call came to. `model`, `provider`, `host` and `service_tier` are what served it; '' as authorised."""

    usage: Annotated[dict[str, Count], Meta(max_length=40)] = {}
    model: Text = ""
    provider: Text = ""
    host: Text = ""
    service_tier: Text = ""
    provider_account: Text = ""
    provider_request_id: Text = ""
    # The stream broke off: charged as this, and the rest stays held until the figure comes.
    estimated: bool = False
    cost: Cost | None = None


class Batch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    authorizations: Annotated[tuple[msgspec.Raw, ...], Meta(min_length=1, max_length=MOST_IN_BATCH)]


_DECODERS: Final = {kind: msgspec.json.Decoder(kind) for kind in (Authorize, Route, Settle, Batch)}
_NAMES: Final = tuple(
    {
        name
        for kind in (
            *(Authorize, Route, Settle, Batch, Input, Deployment, HostedTool, Dimensions, Identities, Cost),
            *(Offer, Place, Followed),
        )
        for name in kind.__struct_fields__
    }
)


def read(kind: type[T], body: bytes) -> T:
    """Raises Malformed for what is not JSON, and FieldInvalid, which names the field."""
    try:
        return _DECODERS[kind].decode(body)  # type: ignore[index,return-value]
    except msgspec.ValidationError as error:
        problem = not_valid(str(error), bytes(body), known=_NAMES)
        raise FieldInvalid(problem.message, field=problem.field) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(not_json(str(error), bytes(body)).message) from None
