"""Path converters. Django's `int` takes any number of digits, which PostgreSQL then refuses: a 500 for a typo."""

from __future__ import annotations

from django.urls import register_converter
from django.urls.converters import get_converters


class IdConverter:
    """An id of ours: 1 to 2^31 - 1."""

    regex = "[1-9][0-9]{0,9}"

    def to_python(self, value: str) -> int:
        number = int(value)
        if number >= 2**31:
            raise ValueError("beyond any id")
        return number

    def to_url(self, value: int) -> str:
        return str(value)


def register() -> None:
    """Make `<id:…>` known to the URL conf. Safe to call from every room."""
    if "id" not in get_converters():
        register_converter(IdConverter, "id")
