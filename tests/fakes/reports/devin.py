"""Devin's consumption by day, after version 3 of its API. Its days begin at 08:00 UTC."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

from tests.fakes.http import Asked
from tests.fakes.reporting import Reporting, Truth

_DAY = 86_400
_BEGINS = 8 * 3_600
# Millionths of a millionth of a dollar for a quarter of an ACU, of which one costs 2.25.
_PICO_OF_QUARTER = 562_500_000_000


class DevinReports(Reporting):
    account: ClassVar[str] = "devin"
    owing: ClassVar[tuple[str, ...]] = ("devin-daily",)
    settings: ClassVar[Mapping[str, str]] = {"acu_price": "2.25"}

    def make(self) -> None:
        begin = int((self.until - timedelta(days=self.days)).timestamp()) + _BEGINS
        # Quarters of an ACU by product and day; on the second day nobody worked in the terminal.
        self.used = {
            begin + number * _DAY: {"devin": 160 + number, "cascade": 10 + number, "terminal": number % 2 * 3}
            for number in range(self.days)
        }

    def is_let_in(self, asked: Asked) -> bool:
        return asked.headers.get("authorization") == f"Bearer {self.credential}"

    def page(self, asked: Asked) -> tuple[int, Any]:
        if asked.method != "GET" or asked.path not in (
            "/v3/enterprise/consumption/daily",
            "/v3/organizations/org-1/consumption/daily",
        ):
            return 404, {"detail": "Not Found"}
        if asked.query.keys() not in (set(), {"time_after", "time_before"}):
            return 422, {"detail": "unknown parameter"}
        since, until = (asked.query.get(name, "0") for name in ("time_after", "time_before"))
        if not since.isdecimal() or not until.isdecimal():
            return 422, {"detail": "seconds since 1970"}
        if any((int(one) - _BEGINS) % _DAY for one in (since, until) if one != "0"):
            return 422, {"detail": "this would cut Devin's days in two"}
        days = {
            day: products for day, products in self.used.items() if not asked.query or int(since) <= day < int(until)
        }
        return 200, {
            "total_acus": sum(sum(products.values()) for products in days.values()) / 4,
            "consumption_by_date": [
                {
                    "date": day,
                    "acus": sum(products.values()) / 4,
                    "acus_by_product": {name: quarters / 4 for name, quarters in products.items()},
                }
                for day, products in days.items()
            ],
        }

    def truth(self, feed: str) -> Truth:
        told = [quarters for products in self.used.values() for quarters in products.values() if quarters]
        return Truth(len(told), {}, {"USD": sum(told) * _PICO_OF_QUARTER})

    def revise(self) -> None:
        self.used[max(self.used)]["devin"] += 4
