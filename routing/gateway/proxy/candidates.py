"""Which deployments may answer a call, and in which order they are tried. Pure."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Final, NamedTuple

from finops.core.errors import FinopsError, Invalid
from routing.configuration import wire
from routing.configuration.wire import Deployment, Upstream
from routing.rules.types import Gate, Use
from routing.upstreams.rules import AUTO, FLOOR, MOST_NAMED, MOST_PER_MILLION, NITRO, TIER

# Headers that wish something.
WISHES: Final = frozenset({b"x-capstan-order", b"x-capstan-only", b"x-capstan-max-price"})
_MILLION: Final = 10**6


class NoDeployment(FinopsError):
    """Nobody here serves the model."""

    code = "gateway.model_not_found"
    status = 404


class KeyExcludes(NoDeployment):
    """Somebody serves the model, and nobody whom the key's own wishes leave."""

    code = "gateway.key_excludes"
    status = 403


class WishInvalid(Invalid):
    code = "gateway.field_invalid"
    status = 400


class Candidate(NamedTuple):
    """A model at an upstream, as the upstream calls it. Lower `rank` is tried first."""

    upstream: Upstream
    model: str
    rank: int = 0
    weight: int = 1
    # How a rule that chose the model wants it used.
    use: Use | None = None

    @property
    def gate(self) -> Gate | None:
        """What an answer has to pass."""
        return None if self.use is None else self.use.gate

    @property
    def name(self) -> tuple[int, str]:
        return self.upstream.upstream_id, self.model


class Price(NamedTuple):
    """Of a token, in picodollars of the reporting currency: as calls usually mix them, and the dearest there is."""

    usual: float
    dearest: float


class Wishes(NamedTuple):
    """How a caller wants deployments ordered: upstreams, providers or hosts in `order` first (`only` those), the
    cheapest (`floor`) or the fastest (`nitro`) first, and none of whose tokens cost more than `most` picodollars of the
    reporting currency; and nothing that the wishes of its key, `bound`, leave out.
    """

    sort: str = ""
    order: tuple[str, ...] = ()
    only: bool = False
    most: int | None = None
    bound: Wishes | None = None


class Deployments:
    """What one organization has deployed."""

    def __init__(
        self, upstreams: Iterable[Upstream], deployments: Iterable[Deployment], priced: Callable[[str, str, date], bool]
    ) -> None:
        """`priced` says whether a provider's model has a price on a day."""
        known = {one.upstream_id: one for one in upstreams}
        self._priced = priced
        self.upstreams = tuple(known.values())
        self._open = [one for one in known.values() if one.any_model]
        self._deployed: dict[tuple[str, str], list[Candidate]] = {}
        self._at: dict[int, set[tuple[int, str]]] = {}
        for one in deployments:
            upstream = known.get(one.upstream_id)
            if upstream is not None:
                candidate = Candidate(upstream, one.upstream_model, one.rank, one.weight * upstream.weight)
                self._deployed.setdefault((upstream.dialect, one.model), []).append(candidate)
                self._at.setdefault(upstream.upstream_id, set()).add(candidate.name)

    def of(self, family: str, model: str, day: date) -> tuple[Candidate, ...]:
        """Where a model is deployed; where it is not, at upstreams that take any: those of them whose prices are known,
        if there are. `upstream/model` and `provider/model` name one, where there is one of that name. Raises
        NoDeployment.
        """
        found = self._deployed.get((family, model), [])
        where, _, rest = model.partition("/")
        if not found and rest:
            found = [one for one in self._named(family, rest, day) if is_called(one.upstream, where)]
        # An upstream that takes any name would take these for its own.
        if not found and model.startswith(TIER):
            raise NoDeployment(f"nothing is served here of the class {model[:200]!r}", field="model")
        if not found and model == AUTO:
            raise NoDeployment(
                f"{AUTO!r} leaves the choice of a model to routing, and no rule makes it here: name a model",
                field="model",
            )
        found = found or self._at_any(family, model, day)
        if not found:
            raise NoDeployment(f"no upstream here serves {model[:200]!r}", field="model")
        return tuple(found)

    def serving(self, family: str, provider: str, model: str, day: date) -> list[Candidate]:
        """Where a provider's model is served, for whom a budget sends there. Raises NoDeployment where it is not."""
        return [one for one in self.of(family, model, day) if one.upstream.provider == provider]

    def at(self, upstream_id: int) -> set[tuple[int, str]]:
        """The names of what is deployed at an upstream."""
        return self._at.get(upstream_id, set())

    def names(self, family: str) -> list[str]:
        """Models that are deployed."""
        return sorted(model for of, model in self._deployed if of == family)

    def providers(self, family: str) -> set[str]:
        """Whose every model may be asked for."""
        return {one.provider for one in self._open if one.dialect == family}

    def _named(self, family: str, model: str, day: date) -> list[Candidate]:
        return self._deployed.get((family, model), []) + self._at_any(family, model, day)

    def _at_any(self, family: str, model: str, day: date) -> list[Candidate]:
        every = [Candidate(one, model, 0, one.weight) for one in self._open if one.dialect == family]
        return [one for one in every if self._priced(one.upstream.provider, model, day)] or every


def ordered(
    candidates: Sequence[Candidate],
    wishes: Wishes,
    *,
    key: str,
    usable: Callable[[Candidate], bool],
    price: Callable[[Candidate], Price | None],
    pace: Callable[[Candidate], float],
) -> list[Candidate]:
    """In the order they are to be tried. What is not `usable` now comes last, and is never left out: it may be all
    there is. Calls of one `key` (a session) go to the same deployment while it is there, where their caches are.
    Raises NoDeployment when the wishes leave none, KeyExcludes when it is those of the key.
    """
    left = left_of(candidates, wishes, price)
    if not left:
        raise NoDeployment("no deployment of the model is left by the providers and the price asked for", field="model")
    if wishes.bound is not None:
        left = within(wishes.bound, left, price)
    if len(left) == 1:
        return left

    def place(one: Candidate) -> tuple[float, ...]:
        first = next((n for n, name in enumerate(wishes.order) if is_called(one.upstream, name)), len(wishes.order))
        by = 0.0
        if wishes.sort == FLOOR:
            cost = price(one)
            by = math.inf if cost is None else cost.usual
        elif wishes.sort == NITRO:
            by = pace(one)
        return (not usable(one), first, by, one.rank, _drawn(key, one))

    return sorted(left, key=place)


def within(
    bound: Wishes, candidates: Sequence[Candidate], price: Callable[[Candidate], Price | None]
) -> list[Candidate]:
    """Those that a key's wishes leave. Raises KeyExcludes when that is none."""
    left = left_of(candidates, bound, price)
    if not left:
        told = [f"only {', '.join(bound.order)}"] if bound.only else []
        if bound.most is not None:
            told.append(f"at most {(Decimal(bound.most) / _MILLION).normalize():f} for a million tokens")
        raise KeyExcludes(
            f"the wishes of this key leave no deployment of the model: {', and '.join(told)}", field="model"
        )
    return left


def left_of(
    candidates: Iterable[Candidate], wishes: Wishes, price: Callable[[Candidate], Price | None]
) -> list[Candidate]:
    """Those that wishes leave."""
    left = list(candidates)
    if wishes.only:
        left = [one for one in left if any(is_called(one.upstream, name) for name in wishes.order)]
    if wishes.most is not None:
        left = [one for one in left if (cost := price(one)) is not None and cost.dearest <= wishes.most]
    return left


def met(asked: Wishes, bound: Wishes | None) -> Wishes:
    """What a request wishes and what its key does, in one. The request's order and sort go before the key's; of what
    the key excludes nothing brings anything back, so that the lower price holds.
    """
    if bound is None:
        return asked
    # Where the request names the only ones, the key has no others to add.
    order = asked.order if asked.only else asked.order + bound.order
    return Wishes(asked.sort or bound.sort, order, asked.only, asked.most, bound)


def wishes_of_key(said: wire.Wishes) -> Wishes:
    """As they were published, made ready once for all calls of the key."""
    most = None if said.most_per_million is None else int(said.most_per_million * _MILLION)
    return Wishes(said.sort, said.order, said.only, most)


def wishes_of(model: str, headers: Mapping[str, str]) -> tuple[str, Wishes]:
    """The model without its suffix, and what suffix and headers wish: `x-capstan-order` (names, comma between),
    `x-capstan-only` (the same, and no others), `x-capstan-max-price` (of the reporting currency for a million tokens).
    Raises WishInvalid.
    """
    sort = ""
    name, _, suffix = model.rpartition(":")
    if name and suffix in (FLOOR, NITRO):
        model, sort = name, suffix
    only = _names(headers, "x-capstan-only")
    return model, Wishes(sort, only or _names(headers, "x-capstan-order"), bool(only), _most(headers))


def _names(headers: Mapping[str, str], header: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in headers.get(header, "").split(",") if part.strip())
    if len(names) > MOST_NAMED:
        raise WishInvalid(f"at most {MOST_NAMED} names", field=header)
    return names


def _most(headers: Mapping[str, str]) -> int | None:
    said = headers.get("x-capstan-max-price")
    if said is None:
        return None
    try:
        most = float(said)
    except ValueError:
        most = -1.0
    if not 0 <= most <= MOST_PER_MILLION:
        raise WishInvalid(f"dollars for a million tokens, 0 to {MOST_PER_MILLION:,}", field="x-capstan-max-price")
    return int(most * _MILLION)


def is_called(upstream: Upstream, name: str) -> bool:
    """Whether an upstream, its provider or its host goes by a name."""
    return name in (upstream.name, upstream.provider, upstream.host)


def _drawn(key: str, one: Candidate) -> float:
    """Weighted rendezvous hashing: each key has its own order, and a deployment that goes moves no other's keys."""
    digest = hashlib.blake2b(f"{key}\0{one.upstream.upstream_id}\0{one.model}".encode(), digest_size=8).digest()
    drawn = (int.from_bytes(digest, "big") + 1) / (2**64 + 1)
    return -math.log(drawn) / max(one.weight, 1)
