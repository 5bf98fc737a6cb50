"""JSON bodies of resources: bounded, strict, and never a 500 however they are bent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any, Final

from rest_framework.parsers import JSONParser

from finops.api.errors import Malformed, TooLarge

MAX_BODY: Final = 1024 * 1024


class BoundedJSON(JSONParser):
    """A resource is small. Usage comes in by its own doors, which read differently.

    Raises TooLarge past 1 MiB, Malformed for nesting no document needs.
    """

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        request = (parser_context or {}).get("request")
        length = request.META.get("CONTENT_LENGTH") if request is not None else None
        if length and length.isdigit() and int(length) > MAX_BODY:
            raise TooLarge(f"A resource's body has at most {MAX_BODY} bytes.")
        try:
            return super().parse(stream, media_type=media_type, parser_context=parser_context)
        except RecursionError:
            raise Malformed("The JSON is nested too deeply.") from None
