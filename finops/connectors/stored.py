"""Objects that a provider keeps elsewhere and leads to by a signed address, which is asked without its credential."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from finops.connectors import unpacking
from finops.connectors.addresses import AddressRefused, Unreachable, is_internal
from finops.connectors.fetching import Access, Away, FetchError, Limited, RequestRefused, refusal
from finops.connectors.outgoing import Outgoing

_LONGEST: Final = 8_000
# How stores say of one object that it is not there, or that its address has run out: S3 says 403 for either.
_GONE: Final = frozenset({400, 403, 404, 410})


class _Place:
    """A signed address in its parts. Its signature stands in the query, so no error names it. Raises RequestRefused."""

    def __init__(self, access: Access, address: str) -> None:
        try:
            parts = urlsplit(address[:_LONGEST])
            self.query = parse_qsl(parts.query, keep_blank_values=True)
            # A server outside does not say which of our own hosts are called.
            own = is_internal(urlsplit(access.address), access.internal)
        except ValueError:
            raise RequestRefused("it leads to what is no address") from None
        self.server = f"{parts.scheme}://{parts.netloc}"
        self.path = parts.path
        self.internal: Collection[str] = access.internal if own else ()


def read(access: Access, address: str) -> bytes | None:
    """None for an object that is there no more. Raises Away, Limited, and RequestRefused where it leads inside."""
    place = _Place(access, address)
    try:
        answer = _outgoing(place).read("GET", place.path, query=place.query)
    except Unreachable as error:
        raise Away(str(error)) from None
    except AddressRefused as error:
        raise RequestRefused(str(error)) from None
    if answer.status == 200:
        return answer.body
    said = _meant(answer.status, answer.headers)
    if answer.status in _GONE and not isinstance(said, Limited):
        return None
    raise said


def lines(access: Access, address: str) -> Iterator[bytes]:
    """The lines of a file, as they come. Raises Away, Limited, and RequestRefused where it leads inside."""
    place = _Place(access, address)
    try:
        with _outgoing(place).file(place.path, place.query) as answer:
            if answer.status != 200:
                raise _meant(answer.status, answer.headers)
            yield from unpacking.lines(answer.pieces)
    except Unreachable as error:
        raise Away(str(error)) from None
    except AddressRefused as error:
        raise RequestRefused(str(error)) from None


def _outgoing(place: _Place) -> Outgoing:
    return Outgoing(place.server, headers={}, internal=place.internal)


def _meant(status: int, headers: Mapping[str, str]) -> FetchError:
    """No credential was shown, so that none is refused: whatever it is, the store is asked again later."""
    error = refusal(status, headers)
    return error if isinstance(error, Limited) else Away(f"the store of files answered {status}")
