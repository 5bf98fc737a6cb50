"""Which deployments may answer a call, and in which order they are tried. Pure."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import Final, NamedTuple

from finops.core.errors import FinopsError, Invalid
from routing.configuration.wire import Deployment, Upstream

FLOOR: Final = "floor"
NITRO: Final = "nitro"
# A model's name that leaves the choice to routing.
AUTO: Final = "auto"
# Headers that wish something.
WISHES: Final = frozenset({b"x-capstan-order", b"x-capstan-only", b"x-capstan-max-price"})
_MOST_NAMED: Final = 20


class NoDeployment(FinopsError):
    """Nobody here serves the model."""

    code = "gateway.model_not_found"
    status = 404


class WishInvalid(Invalid):
    code = "gateway.field_invalid"
    status = 400


class Candidate(NamedTuple):
    """A model at an upstream, as the upstream calls it. Lower `rank` is tried first."""

    upstream: Upstream
    model: str
    rank: int = 0
    weight: int = 1

    @property
    def name(self) -> tuple[int, str]:
        return self.upstream.upstream_id, self.model


class Price(NamedTuple):
    """Of a token, in picodollars of the reporting currency: as calls usually mix them, and the dearest there is."""

    usual: float
    dearest: float


class Wishes(NamedTuple):
    """How a caller wants deployments ordered: upstreams or providers in `order` first (`only` those), the cheapest
    (`floor`) or the fastest (`nitro`) first, and none of whose tokens cost more than `most` picodollars of the
    reporting currency.
    """

    sort: str = ""
    order: tuple[str, ...] = ()
    only: bool = False
    most: int | None = None


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
            found = [one for one in self._named(family, rest, day) if _is(one.upstream, where)]
        if not found and model == AUTO:
            # An upstream that takes any name would take it for its own choice.
            raise NoDeployment(
                f"{AUTO!r} leaves the choice of a model to routing, and no rule of it is there yet: name a model",
                field="model",
            )
        found = found or self._at_any(family, model, day)
        if not found:
            raise NoDeployment(f"no upstream here serves {model[:200]!r}", field="model")
        return tuple(found)

    def serving(self, family: str, provider: str, model: str, day: date) -> Candidate | None:
        """Where a provider's model is served, for whom a budget sends there."""
        try:
            found = self.of(family, model, day)
        except NoDeployment:
            return None
        return next((one for one in found if one.upstream.provider == provider), None)

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
    Raises NoDeployment when the wishes leave none.
    """
    left = list(candidates)
    if wishes.only:
        left = [one for one in left if any(_is(one.upstream, name) for name in wishes.order)]
    if wishes.most is not None:
        left = [one for one in left if (cost := price(one)) is not None and cost.dearest <= wishes.most]
    if not left:
        raise NoDeployment("no deployment of the model is left by the providers and the price asked for", field="model")
    if len(left) == 1:
        return left

    def place(one: Candidate) -> tuple[float, ...]:
        first = next((n for n, name in enumerate(wishes.order) if _is(one.upstream, name)), len(wishes.order))
        by = 0.0
        if wishes.sort == FLOOR:
            cost = price(one)
            by = math.inf if cost is None else cost.usual
        elif wishes.sort == NITRO:
            by = pace(one)
        return (not usable(one), first, by, one.rank, _drawn(key, one))

    return sorted(left, key=place)


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
    if len(names) > _MOST_NAMED:
        raise WishInvalid(f"at most {_MOST_NAMED} names", field=header)
    return names


def _most(headers: Mapping[str, str]) -> int | None:
    said = headers.get("x-capstan-max-price")
    if said is None:
        return None
    try:
        most = float(said)
    except ValueError:
        most = -1.0
    if not 0 <= most <= 1e6:
        raise WishInvalid("dollars for a million tokens, 0 to 1,000,000", field="x-capstan-max-price")
    return int(most * 10**6)


def _is(upstream: Upstream, name: str) -> bool:
    return name in (upstream.name, upstream.provider, upstream.host)


def _drawn(key: str, one: Candidate) -> float:
    """Weighted rendezvous hashing: each key has its own order, and a deployment that goes moves no other's keys."""
    digest = hashlib.blake2b(f"{key}\0{one.upstream.upstream_id}\0{one.model}".encode(), digest_size=8).digest()
    drawn = (int.from_bytes(digest, "big") + 1) / (2**64 + 1)
    return -math.log(drawn) / max(one.weight, 1)
