"""A body of a report or an export, cut into records that can each be read again alone."""

from __future__ import annotations

from typing import NamedTuple

from finops.core.errors import FinopsError


class BodyUnreadable(FinopsError):
    """A body that is not what was asked for: HTML, cut off, or another document."""

    code = "connectors.body_unreadable"
    status = 422


class Page(NamedTuple):
    """Records in their order, and what the next page is asked by; '' where there is none."""

    rows: tuple[bytes, ...]
    next: str = ""
