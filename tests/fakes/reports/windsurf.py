"""Windsurf's balance of credits, which only ever says how it stands now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tests.fakes.http import Asked
from tests.fakes.reporting import Reporting, Truth

# Of a credit, of which one costs 0.04.
_PICO = 40_000_000_000


class WindsurfReports(Reporting):
    account: ClassVar[str] = "windsurf"
    owing: ClassVar[tuple[str, ...]] = ("windsurf-credits",)
    settings: ClassVar[Mapping[str, str]] = {"credit_price": "0.04"}

    def make(self) -> None:
        self.used = 2_500
        self.cycle = self.until.replace(day=1)

    def is_let_in(self, asked: Asked) -> bool:
        return isinstance(asked.body, dict) and asked.body.get("service_key") == self.credential

    def page(self, asked: Asked) -> tuple[int, Any]:
        if (asked.method, asked.path) != ("POST", "/api/v1/GetTeamCreditBalance"):
            return 404, {"error": "not found"}
        if "authorization" in asked.headers:
            return 400, {"error": "the key stands in the body"}
        return 200, {
            "promptCreditsPerSeat": 500,
            "numSeats": 50,
            "addOnCreditsAvailable": 10_000,
            "addOnCreditsUsed": self.used,
            "billingCycleStart": self.cycle.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "billingCycleEnd": self.cycle.replace(year=self.cycle.year + 1).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }

    def truth(self, feed: str) -> Truth:
        return Truth(1, {}, {"USD": self.used * _PICO})

    def revise(self) -> None:
        """More is used."""
        self.used += 75
