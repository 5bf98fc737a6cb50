"""What a request wishes meets what its key does: more may be wished, and nothing comes back that the key excludes."""

from __future__ import annotations

from dataclasses import asdict
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.configuration import wire
from routing.gateway.proxy.candidates import (
    Candidate,
    KeyExcludes,
    NoDeployment,
    Price,
    Wishes,
    met,
    ordered,
    wishes_of_key,
)
from routing.upstreams.types import WishesDraft


def candidate(number: int, name: str, provider: str, host: str = "") -> Candidate:
    upstream = wire.Upstream(
        upstream_id=number, name=name, dialect="openai", base_url="https://x", provider=provider, host=host
    )
    return Candidate(upstream, "gpt")


OPENAI = candidate(1, "openai", "openai")
AZURE = candidate(2, "azure-eu", "openai", "azure")
TOGETHER = candidate(3, "together", "meta", "together")
UNPRICED = candidate(4, "cellar", "vllm")
EVERY = [OPENAI, AZURE, TOGETHER, UNPRICED]
PRICES = {"openai": Price(4, 8), "azure-eu": Price(5, 10), "together": Price(1, 2)}


def price(one: Candidate) -> Price | None:
    return PRICES.get(one.upstream.name)


def tried(asked: Wishes, bound: Wishes | None) -> list[str]:
    found = ordered(
        EVERY,
        met(asked, bound),
        key="session-1",
        usable=lambda _: True,
        price=price,
        pace=lambda one: -one.upstream.upstream_id,
    )
    return [one.upstream.name for one in found]


def test_a_request_whose_key_wishes_nothing_is_as_it_was() -> None:
    asked = Wishes("floor", ("azure",))
    assert met(asked, None) is asked


def test_the_requests_order_goes_before_the_keys() -> None:
    key = Wishes(order=("together", "azure"))
    assert tried(Wishes(), key)[:2] == ["together", "azure-eu"]
    assert tried(Wishes(order=("cellar", "azure")), key)[:3] == ["cellar", "azure-eu", "together"]
    assert tried(Wishes(order=("openai",), only=True), key) == tried(Wishes(order=("openai",), only=True), None)


def test_the_requests_sort_goes_before_the_keys() -> None:
    assert tried(Wishes(), Wishes("floor")) == ["together", "openai", "azure-eu", "cellar"]
    assert tried(Wishes("nitro"), Wishes("floor"))[0] == "cellar"


def test_the_only_ones_of_a_key_bind() -> None:
    key = Wishes(order=("azure", "meta"), only=True)
    assert tried(Wishes(), key) == ["azure-eu", "together"]
    assert tried(Wishes(order=("openai",)), key) == ["azure-eu", "together"]
    assert tried(Wishes(order=("meta", "cellar")), key) == ["together", "azure-eu"]
    assert tried(Wishes(order=("openai",), only=True), key) == ["azure-eu"]


def test_the_lower_price_holds() -> None:
    assert tried(Wishes(most=9), Wishes("floor", most=3)) == ["together"]
    assert tried(Wishes(most=3), Wishes("floor", most=9)) == ["together"]
    assert tried(Wishes(), Wishes("floor", most=9)) == ["together", "openai"]


@pytest.mark.parametrize(
    ("asked", "key", "said"),
    [
        (Wishes(), Wishes(order=("nobody", "else"), only=True), "only nobody, else"),
        (Wishes(order=("openai",), only=True), Wishes(order=("together",), only=True), "only together"),
        (Wishes(order=("azure",), only=True), Wishes(most=9), "at most 0.000009 for a million tokens"),
        (
            Wishes(), Wishes(order=("cellar",), only=True, most=10**12),
            "only cellar, and at most 1000000 for a million tokens",
        ),
    ],
)  # fmt: skip
def test_where_the_key_leaves_none_it_is_said(asked: Wishes, key: Wishes, said: str) -> None:
    with pytest.raises(KeyExcludes) as refused:
        tried(asked, key)
    assert refused.value.message == f"the wishes of this key leave no deployment of the model: {said}"
    assert (refused.value.code, refused.value.status, refused.value.field) == ("gateway.key_excludes", 403, "model")


def test_where_the_request_itself_leaves_none_the_key_is_not_blamed() -> None:
    with pytest.raises(NoDeployment) as refused:
        tried(Wishes(order=("nobody",), only=True), Wishes(order=("openai",), only=True))
    assert (type(refused.value), refused.value.status) == (NoDeployment, 404)


NAMES = st.lists(st.sampled_from(["openai", "azure", "azure-eu", "together", "meta", "cellar", "nobody"]), max_size=4)
WISHES = st.builds(
    lambda sort, order, only, most: Wishes(sort, tuple(order), only and bool(order), most),
    st.sampled_from(["", "floor", "nitro"]), NAMES, st.booleans(), st.none() | st.integers(0, 12),
)  # fmt: skip


def left(asked: Wishes, bound: Wishes | None) -> set[str]:
    try:
        return set(tried(asked, bound))
    except NoDeployment:
        return set()


@given(WISHES, WISHES)
def test_no_request_reaches_an_upstream_or_a_price_that_its_key_excludes(asked: Wishes, key: Wishes) -> None:
    found = left(asked, key)
    assert found == left(asked, None) & left(key, None)
    for one in EVERY:
        if one.upstream.name in found:
            of_it = {one.upstream.name, one.upstream.provider, one.upstream.host}
            assert not key.only or of_it & set(key.order)
            cost = price(one)
            assert key.most is None or (cost is not None and cost.dearest <= key.most)


def test_a_keys_wishes_are_made_ready_from_what_is_published() -> None:
    said = WishesDraft(("azure", "openai"), True, "nitro", Decimal("2.500000"))
    assert wishes_of_key(wire.Wishes(**asdict(said))) == Wishes("nitro", ("azure", "openai"), True, 2_500_000)
    assert wishes_of_key(wire.Wishes()) == Wishes()
    assert wishes_of_key(wire.Wishes(most_per_million=Decimal(1_000_000))).most == 10**12


def test_a_key_that_was_published_before_there_were_wishes_is_read() -> None:
    key = wire.Key(1, "cap_12345678", "0" * 64, frozenset({"calls.make"}), None)
    older = msgspec.msgpack.decode(wire.encode(key))
    del older["wishes"]
    assert msgspec.msgpack.decode(wire.encode(older), type=wire.Key) == key
    wishing = msgspec.structs.replace(key, wishes=wire.Wishes(order=("azure",), most_per_million=Decimal("0.5")))
    assert msgspec.msgpack.decode(wire.encode(wishing), type=wire.Key) == wishing
