"""Bodies of this room: a policy or a thousand calls are larger than other resources, and rules come as YAML too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any, Final

import msgspec
from rest_framework.parsers import BaseParser

from finops.api.errors import Malformed, TooLarge
from routing.rules.document import MOST_BYTES

_DECODE: Final = msgspec.json.Decoder().decode


class LargeJSON(BaseParser):
    """Raises TooLarge and Malformed."""

    media_type = "application/json"

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        try:
            return _DECODE(_body(stream))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Malformed(f"This is no JSON: {str(error)[:200]}") from None


class YAML(BaseParser):
    """The text as it came: `document.imported` reads it. Raises TooLarge and Malformed."""

    media_type = "application/yaml"

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        try:
            return _body(stream).decode()
        except UnicodeDecodeError:
            raise Malformed("This is no text in UTF-8.") from None


def _body(stream: IO[bytes]) -> bytes:
    raw = stream.read(MOST_BYTES + 1)
    if len(raw) > MOST_BYTES:
        raise TooLarge(f"A body has at most {MOST_BYTES // 2**20} MB here.")
    return raw
