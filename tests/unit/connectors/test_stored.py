"""What a provider keeps elsewhere, and how a server says that it has enough of us."""

from __future__ import annotations

from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2
import pytest

from finops.connectors import stored
from finops.connectors.fetching import LIMITED_S, Access, Away, Limited, Refused, RequestRefused, Server
from tests.fakes.http import Asked, Fake


class Store(Fake):
    def answer(self, asked: Asked) -> tuple[int, Any]:
        return 200, b'{"line": 1}\n\n{"line": 2}\n'


@pytest.fixture
def store() -> Iterator[Store]:
    made = Store()
    yield made
    made.close()


def account(store: Store, **changes: Any) -> Access:
    return Access(**({"address": store.address, "credential": "secret", "internal": (store.host,)} | changes))


def test_a_signature_arrives_as_it_was_given_and_the_credential_does_not(store: Store) -> None:
    address = f"{store.address}/bucket/a%20b.json?X-Amz-Credential=A%2F20261120&X-Amz-Signature=5i%2Bg%3D&empty="
    assert (stored.read(account(store), address) or b"").startswith(b'{"line": 1}')
    (asked,) = store.asked
    assert asked.path == "/bucket/a%20b.json"
    assert asked.query == {"X-Amz-Credential": "A/20261120", "X-Amz-Signature": "5i+g="}
    assert "secret" not in str(asked.headers)


def test_a_file_is_read_by_its_lines(store: Store) -> None:
    assert list(stored.lines(account(store), f"{store.address}/file")) == [b'{"line": 1}', b"", b'{"line": 2}']


@pytest.mark.parametrize("address", ["/file", "file:///etc/passwd", "", "https://[x/file"])
def test_what_is_no_address_is_refused(store: Store, address: str) -> None:
    with pytest.raises(RequestRefused):
        stored.read(account(store), address)
    with pytest.raises(RequestRefused):
        list(stored.lines(account(store), address))


def test_a_server_outside_does_not_lead_to_hosts_of_our_own(store: Store) -> None:
    """Though the operator named them: that is for accounts that are there."""
    outside = account(store, address="https://provider.example")
    for read in (stored.read, lambda *given: list(stored.lines(*given))):
        with pytest.raises(RequestRefused):
            read(outside, f"{store.address}/file?secret=5ig")
    assert store.asked == []


def test_a_file_that_is_not_there_is_tried_again_and_its_signature_is_not_told(store: Store) -> None:
    store.fail(403, 403)
    with pytest.raises(Away) as found:
        list(stored.lines(account(store), f"{store.address}/file?signature=5ig"))
    assert "5ig" not in str(found.value)


@pytest.mark.parametrize(("status", "raised"), [(401, Away), (302, Away), (500, Away), (429, Limited)])
def test_a_store_refuses_no_credential_for_it_was_shown_none(
    store: Store, status: int, raised: type[Exception]
) -> None:
    store.fail(status, status, headers={"retry-after": "30"})
    for read in (stored.read, lambda *given: list(stored.lines(*given))):
        with pytest.raises(raised) as found:
            read(account(store), f"{store.address}/file?signature=5ig")
        assert "5ig" not in str(found.value)


@pytest.mark.parametrize("status", [400, 403, 404, 410])
def test_one_object_that_is_there_no_more_is_none(store: Store, status: int) -> None:
    store.fail(status)
    assert stored.read(account(store), f"{store.address}/file") is None
    store.fail(403, headers={"retry-after": "30"})
    with pytest.raises(Limited):
        stored.read(account(store), f"{store.address}/file")


@pytest.mark.parametrize(
    ("headers", "after_s"),
    [
        ({"retry-after": "30"}, 30.0),
        ({"x-ratelimit-remaining": "0"}, LIMITED_S),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "0"}, 1.0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "soon"}, LIMITED_S),
        ({"x-ratelimit-remaining": "0", "retry-after": "7", "x-ratelimit-reset": "99999999999"}, 7.0),
    ],
)
def test_a_403_that_speaks_of_a_limit_is_one(store: Store, headers: dict[str, str], after_s: float) -> None:
    store.fail(403, headers=headers)
    with pytest.raises(Limited) as found:
        Server(account(store), headers={}).get("/")
    assert found.value.after_s == after_s


def test_a_limit_ends_when_the_server_says_by_its_own_clock(store: Store) -> None:
    date = parsedate_to_datetime(httpx2.get(store.address, trust_env=False).headers["date"])
    store.fail(403, headers={"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(date.timestamp()) + 600)})
    with pytest.raises(Limited) as found:
        Server(account(store), headers={}).get("/")
    assert 590 <= found.value.after_s <= 600


@pytest.mark.parametrize("headers", [{}, {"x-ratelimit-remaining": "4999"}])
def test_any_other_403_is_a_bad_credential(store: Store, headers: dict[str, str]) -> None:
    store.fail(403, headers=headers)
    with pytest.raises(Refused):
        Server(account(store), headers={}).get("/")
