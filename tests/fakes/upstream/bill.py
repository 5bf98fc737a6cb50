"""What an upstream says it served, and what that costs. Written apart from the product's pricing, to compare with."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Final

import msgspec

# For each meter the prices that may be meant, the nearest first, and how many units the price is for.
_MILLION: Final = 10**6
_PRICES: Final[Mapping[str, tuple[int, tuple[str, ...]]]] = {
    "input_uncached": (_MILLION, ("input_mtok",)),
    "cache_read": (_MILLION, ("cache_read_mtok", "input_mtok")),
    "cache_write_5m": (_MILLION, ("cache_write_5m_mtok", "cache_write_mtok", "input_mtok")),
    "cache_write_1h": (_MILLION, ("cache_write_1h_mtok", "cache_write_mtok", "input_mtok")),
    "output_text": (_MILLION, ("output_mtok",)),
    "output_reasoning": (_MILLION, ("output_reasoning_mtok", "output_mtok")),
    "web_searches": (1000, ("web_searches_kcount",)),
}
PICO: Final = 10**12


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One request that was served. `pico` is picodollars, None where nobody knows the price of it."""

    number: int
    # As the answer's header has it, and as its body has it.
    request_id: str
    answer_id: str
    path: str
    model: str
    stream: bool
    meters: Mapping[str, int]
    pico: int | None
    # The client left before it was at its end, or the upstream itself broke off.
    cancelled: bool = False


class Bill:
    """Written by the server's thread, read by the test's."""

    def __init__(self) -> None:
        self._lines: list[Line] = []
        self._more = threading.Condition()

    def add(self, line: Line) -> None:
        with self._more:
            self._lines.append(line)
            self._more.notify_all()

    def clear(self) -> None:
        with self._more:
            self._lines.clear()

    @property
    def lines(self) -> list[Line]:
        with self._more:
            return list(self._lines)

    def wait(self, lines: int) -> list[Line]:
        """Until so many were served: who left an answer is billed once the upstream has noticed."""
        with self._more:
            assert self._more.wait_for(lambda: len(self._lines) >= lines, 20), f"{len(self._lines)} lines"
            return list(self._lines)

    @property
    def pico(self) -> int:
        """Picodollars in all; what has no price is an error here."""
        return sum(_known(line) for line in self.lines)

    def meters(self) -> dict[str, int]:
        totals: dict[str, int] = {}
        for line in self.lines:
            for meter, count in line.meters.items():
                totals[meter] = totals.get(meter, 0) + count
        return totals

    def shown(self) -> dict[str, Any]:
        lines = self.lines
        return {
            "served": len(lines),
            "cancelled": sum(line.cancelled for line in lines),
            "pico": sum(line.pico or 0 for line in lines),
            "unpriced": sum(line.pico is None for line in lines),
            "meters": self.meters(),
        }


def cost_pico(prices: Mapping[str, str] | None, meters: Mapping[str, int]) -> int | None:
    """Exact: prices have at most six places."""
    if prices is None:
        return None
    total = 0
    for meter, count in meters.items():
        if not count:
            continue
        units, fields = _PRICES[meter]
        price = next((prices[field] for field in fields if field in prices), None)
        if price is None:
            return None
        total += count * (_micros(price) * 10**6 // units)
    return total


def _micros(price: str) -> int:
    whole, _, places = price.partition(".")
    return int(whole + places.ljust(6, "0"))


def _known(line: Line) -> int:
    assert line.pico is not None, f"{line.model} has no price"
    return line.pico
