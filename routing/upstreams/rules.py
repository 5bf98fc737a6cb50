"""What may be an upstream, a deployment, a credential and a wish. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Final
from urllib.parse import urlsplit

from finops.connectors.addresses import AddressRefused, check_address, check_number, is_internal
from finops.core.errors import Invalid
from finops.core.money import PRICE_PLACES
from routing.upstreams.types import Auth, DeploymentDraft, Dialect, UpstreamDraft, WishesDraft

LONGEST_NAME: Final = 60
LONGEST_WORD: Final = 60
LONGEST_ADDRESS: Final = 300
LONGEST_CREDENTIAL: Final = 2_000
LONGEST_MODEL: Final = 200
MOST_HEADERS: Final = 10
LONGEST_HEADER: Final = 60
LONGEST_HEADER_VALUE: Final = 500
MOST_LABELS: Final = 10
MOST_WEIGHT: Final = 1_000
MOST_RANK: Final = 100
SHORTEST_S: Final = 0.1
LONGEST_CONNECT_S: Final = 60.0
LONGEST_FIRST_BYTE_S: Final = 600.0
LONGEST_TOTAL_S: Final = 7_200.0
# How deployments are sorted for whoever wishes so: the cheapest first, or the fastest.
FLOOR: Final = "floor"
NITRO: Final = "nitro"
# Of a request's wishes as of a key's.
MOST_NAMED: Final = 20
MOST_PER_MILLION: Final = 1_000_000
# Of a shorter credential four characters would say too much.
_HINTED: Final = 16
# The model that leaves the choice to routing.
AUTO: Final = "auto"
# Before the name of a class of models, where a rule sends calls to whatever is served of it.
TIER: Final = "tier:"

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]*")
_WORD: Final = re.compile(r"[a-z0-9][a-z0-9_.:-]*")
_ADDRESS: Final = re.compile(r"[\x21-\x7e]+")
_HEADER: Final = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")
# What is secret goes into the credential, which is sealed; headers are shown.
_SECRET: Final = re.compile(r"auth|api[-_]?key|cookie|secret|token|password|credential|signature")
# The gateway's own, and what belongs to a connection.
_OURS: Final = frozenset(
    {
        "accept-encoding", "connection", "content-encoding", "content-length", "content-type", "expect", "forwarded",
        "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "via",
    }
)  # fmt: skip
_OURS_BEGIN: Final = ("proxy-", "x-capstan-", "x-forwarded-")


class UpstreamInvalid(Invalid):
    """An upstream, a deployment, a credential or a wish that cannot be; `field` says where."""

    code = "upstreams.invalid"


def check_upstream(draft: UpstreamDraft, *, internal: Collection[str]) -> UpstreamDraft:
    """The draft as it is kept. `internal` names hosts of our own, as host or host:port. Raises UpstreamInvalid and
    AddressRefused, naming the field.
    """
    _one_of(draft.dialect, Dialect, field="dialect")
    _one_of(draft.auth, Auth, field="auth")
    _whole(draft.weight, 1, MOST_WEIGHT, field="weight")
    _seconds(draft)
    host = draft.host.strip().lower()
    region = draft.region.strip().lower()
    return replace(
        draft,
        name=_name(draft.name),
        base_url=check_base_url(draft.base_url, internal=internal),
        provider=_word(draft.provider.strip().lower(), field="provider"),
        host=_word(host, field="host") if host else "",
        region=_word(region, field="region") if region else "",
        headers=_headers(draft.headers),
        labels=_labels(draft.labels),
    )


def check_base_url(address: str, *, internal: Collection[str]) -> str:
    """The address paths are put behind, without a slash at its end. Raises AddressRefused."""
    address = address.strip().rstrip("/")
    if not _ADDRESS.fullmatch(address) or len(address) > LONGEST_ADDRESS or set("?#\\") & set(address):
        raise AddressRefused("an address is https://host[:port][/path]", field="base_url")
    try:
        parts = check_address(address, internal=internal)
        _ = parts.port
        check_number(parts.hostname or "", internal=is_internal(parts, internal))
    except ValueError:
        raise AddressRefused("this is no address", field="base_url") from None
    except AddressRefused as refused:
        raise AddressRefused(refused.message, field="base_url") from None
    return address


def origin(address: str) -> tuple[str, str, int]:
    """Who is spoken to at an address: a credential is for one origin."""
    parts = urlsplit(address)
    return parts.scheme, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def check_credential(credential: str, *, auth: str) -> str:
    """The credential as it is sealed; '' where none is sent. Raises UpstreamInvalid."""
    credential = credential.strip()
    if auth == Auth.NONE:
        if credential:
            raise UpstreamInvalid("where auth is none, there is no credential", field="credential")
        return ""
    if not credential:
        raise UpstreamInvalid("a credential is needed, unless auth is none", field="credential")
    if len(credential) > LONGEST_CREDENTIAL or not credential.isascii() or not credential.isprintable():
        raise UpstreamInvalid("a credential is one line of printable characters", field="credential")
    if " " in credential:
        raise UpstreamInvalid("a credential has no space: leave out the word Bearer", field="credential")
    return credential


def hint_of(credential: str) -> str:
    """What may be shown of a credential."""
    return credential[-4:] if len(credential) >= _HINTED else ""


def check_deployment(draft: DeploymentDraft) -> DeploymentDraft:
    """Raises UpstreamInvalid."""
    model = _model(draft.model, field="model")
    if model == AUTO or model.startswith(TIER):
        raise UpstreamInvalid(f"{model[:LONGEST_NAME]} leaves the choice to routing and is no model", field="model")
    _whole(draft.rank, 0, MOST_RANK, field="rank")
    _whole(draft.weight, 1, MOST_WEIGHT, field="weight")
    return replace(draft, model=model, upstream_model=_model(draft.upstream_model or model, field="upstream_model"))


def check_wishes(draft: WishesDraft) -> WishesDraft:
    """What a key wishes, as it is kept. That nobody here is called so is no mistake: who is, changes. Raises
    UpstreamInvalid, naming the field.
    """
    order = tuple(dict.fromkeys(_word(one.strip().lower(), field="order") for one in draft.order))
    if len(order) > MOST_NAMED:
        raise UpstreamInvalid(f"at most {MOST_NAMED} names", field="order")
    if draft.only and not order:
        raise UpstreamInvalid("only leaves those that order names: name at least one", field="order")
    if draft.sort not in ("", FLOOR, NITRO):
        raise UpstreamInvalid(f"sort is {FLOOR}, {NITRO} or empty", field="sort")
    most = None if draft.most_per_million is None else _per_million(draft.most_per_million)
    if not order and not draft.sort and most is None:
        raise UpstreamInvalid("these wishes wish nothing: name an order, a sort or a price", field="order")
    return replace(draft, order=order, most_per_million=most)


def _per_million(most: Decimal) -> Decimal:
    if not most.is_finite() or not 0 <= most <= MOST_PER_MILLION:
        raise UpstreamInvalid(f"a price of a million tokens is 0 to {MOST_PER_MILLION:,}", field="most_per_million")
    kept = most.quantize(Decimal(1).scaleb(-PRICE_PLACES))
    if kept != most:
        raise UpstreamInvalid(f"a price has at most {PRICE_PLACES} places", field="most_per_million")
    return kept


def _name(raw: str) -> str:
    name = raw.strip().lower()
    if not _NAME.fullmatch(name) or len(name) > LONGEST_NAME or name.isdigit():
        raise UpstreamInvalid(
            f"a name has 1 to {LONGEST_NAME} of a-z, 0-9, _ and -, and is not digits alone", field="name"
        )
    return name


def _word(word: str, *, field: str) -> str:
    if not _WORD.fullmatch(word) or len(word) > LONGEST_WORD:
        raise UpstreamInvalid(f"{field} has 1 to {LONGEST_WORD} of a-z, 0-9, _, -, . and :", field=field)
    return word


def _model(raw: str, *, field: str) -> str:
    model = raw.strip()
    if not 1 <= len(model) <= LONGEST_MODEL or not model.isprintable() or " " in model:
        raise UpstreamInvalid(f"a model has 1 to {LONGEST_MODEL} printable characters and no space", field=field)
    return model


def _headers(said: Mapping[str, str]) -> dict[str, str]:
    if len(said) > MOST_HEADERS:
        raise UpstreamInvalid(f"at most {MOST_HEADERS} headers are added", field="headers")
    kept: dict[str, str] = {}
    for raw, value in said.items():
        name = raw.strip().lower()
        if not _HEADER.fullmatch(name) or len(name) > LONGEST_HEADER or name in kept:
            raise UpstreamInvalid(
                f"a header's name is given once, in at most {LONGEST_HEADER} letters", field="headers"
            )
        if _SECRET.search(name):
            raise UpstreamInvalid(f"{name} is not given so: what is secret is the credential", field="headers")
        if name in _OURS or name.startswith(_OURS_BEGIN):
            raise UpstreamInvalid(f"{name} is the gateway's own", field="headers")
        value = value.strip()
        if not 1 <= len(value) <= LONGEST_HEADER_VALUE or not value.isascii() or not value.isprintable():
            raise UpstreamInvalid(f"the value of {name} is one line of printable characters", field="headers")
        kept[name] = value
    return dict(sorted(kept.items()))


def _labels(said: Iterable[str]) -> tuple[str, ...]:
    kept = sorted({_word(one.strip().lower(), field="labels") for one in said})
    if len(kept) > MOST_LABELS:
        raise UpstreamInvalid(f"an upstream has at most {MOST_LABELS} labels", field="labels")
    return tuple(kept)


def _seconds(draft: UpstreamDraft) -> None:
    for field, most in (
        ("connect_s", LONGEST_CONNECT_S),
        ("first_byte_s", LONGEST_FIRST_BYTE_S),
        ("total_s", LONGEST_TOTAL_S),
    ):
        if not SHORTEST_S <= getattr(draft, field) <= most:
            raise UpstreamInvalid(f"{field} is {SHORTEST_S} to {most:g} seconds", field=field)
    if draft.total_s < max(draft.connect_s, draft.first_byte_s):
        raise UpstreamInvalid("a call takes longer in all than to its first byte", field="total_s")


def _whole(value: int, low: int, high: int, *, field: str) -> None:
    if not low <= value <= high:
        raise UpstreamInvalid(f"{field} is a whole number from {low} to {high:,}", field=field)


def _one_of(value: str, kind: type[Dialect] | type[Auth], *, field: str) -> None:
    if value not in set(kind):
        raise UpstreamInvalid(f"{field} is one of {', '.join(kind)}", field=field)
