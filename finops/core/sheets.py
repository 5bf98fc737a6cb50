"""What a cell of a spreadsheet may hold."""

from __future__ import annotations


def guarded(text: str) -> str:
    """Text a spreadsheet would take for a formula, made plain with an apostrophe."""
    return f"'{text}" if text.lstrip(" ")[:1] in {"=", "+", "-", "@", "\t", "\r"} else text
