"""Objects that a provider keeps elsewhere and leads to by a signed address, which is asked without its credential."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from finops.connectors.addresses import AddressRefused, Unreachable
from finops.connectors.fetching import Access, Away, RequestRefused, Server
from finops.connectors.outgoing import Outgoing

_LONGEST: Final = 8_000


class _Place:
    """A signed address in its parts. Its signature stands in the query, so no error names it. Raises RequestRefused."""

    def __init__(self, address: str) -> None:
        try:
            parts = urlsplit(address[:_LONGEST])
            self.query = parse_qsl(parts.query, keep_blank_values=True)
        except ValueError:
            raise RequestRefused("it leads to what is no address") from None
        self.server = f"{parts.scheme}://{parts.netloc}"
        self.path = parts.path


def read(access: Access, address: str) -> bytes:
    """Raises FetchError, and AddressRefused where it leads inside."""
    place = _Place(address)
    stored = Access(address=place.server, credential="", internal=access.internal)
    return Server(stored, headers={}).get(place.path, place.query)


def lines(access: Access, address: str) -> Iterator[bytes]:
    """The lines of a file, as they come. Raises Away, and RequestRefused where it leads inside."""
    place = _Place(address)
    try:
        yield from Outgoing(place.server, headers={}, internal=access.internal).lines(place.path, place.query)
    except Unreachable as error:
        raise Away(str(error)) from None
    except AddressRefused as error:
        raise RequestRefused(str(error)) from None
