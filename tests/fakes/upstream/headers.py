"""Headers of answers, as each family sends them."""

from __future__ import annotations

from typing import Final

from tests.fakes.upstream.answers import Ids
from tests.fakes.upstream.errors import ANTHROPIC

_RESET_AT: Final = "2026-11-22T12:00:30Z"
_ANTHROPIC: Final = {
    f"anthropic-ratelimit-{what}-{name}": value
    for what, limit, left in (
        ("requests", "4000", "3999"),
        ("tokens", "480000", "479000"),
        ("input-tokens", "400000", "399000"),
        ("output-tokens", "80000", "80000"),
    )
    for name, value in (("limit", limit), ("remaining", left), ("reset", _RESET_AT))
} | {"anthropic-organization-id": "0000-fake"}
_OPENAI: Final = {
    "openai-organization": "fake-org",
    "openai-processing-ms": "12",
    "openai-version": "2020-10-01",
    "x-ratelimit-limit-requests": "10000",
    "x-ratelimit-limit-tokens": "2000000",
    "x-ratelimit-remaining-requests": "9999",
    "x-ratelimit-remaining-tokens": "1999000",
    "x-ratelimit-reset-requests": "6ms",
    "x-ratelimit-reset-tokens": "30ms",
}


def answered_headers(family: str, ids: Ids) -> dict[str, str]:
    if family == ANTHROPIC:
        return {**_ANTHROPIC, "request-id": ids.request}
    return {**_OPENAI, "x-request-id": ids.request}
