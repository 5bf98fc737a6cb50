"""Objects that a provider keeps elsewhere and leads to by a signed address, which is asked without its credential."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from finops.connectors.addresses import AddressRefused, Unreachable, is_internal
from finops.connectors.fetching import Access, Away, RequestRefused, Server
from finops.connectors.outgoing import Outgoing

_LONGEST: Final = 8_000


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


def read(access: Access, address: str) -> bytes:
    """Raises FetchError; RequestRefused where it leads inside."""
    place = _Place(access, address)
    try:
        server = Server(Access(address=place.server, credential="", internal=place.internal), headers={})
        return server.get(place.path, place.query)
    except AddressRefused as error:
        raise RequestRefused(str(error)) from None


def lines(access: Access, address: str) -> Iterator[bytes]:
    """The lines of a file, as they come. Raises Away, and RequestRefused where it leads inside."""
    place = _Place(access, address)
    try:
        yield from Outgoing(place.server, headers={}, internal=place.internal).lines(place.path, place.query)
    except Unreachable as error:
        raise Away(str(error)) from None
    except AddressRefused as error:
        raise RequestRefused(str(error)) from None
