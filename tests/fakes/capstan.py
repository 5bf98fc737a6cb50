"""Capstan's authorizations as the gateway answers them, in one process and without a database: one budget, honest sums
in picodollars, every settlement kept. For what the plug-in does; that caps are kept is tested with the real gateway.

`POST /_` changes it: {"limit": "1.00"}, {"away": true} (503), {"deaf": true} (takes requests and answers none),
{"stop": "why"} (every open call), {"downgrade": "gpt-4o-mini"}, {"free": true} (no budget concerns any call).
`GET /_` tells everything.
"""

from __future__ import annotations

import asyncio
import os
import sys
from decimal import Decimal
from typing import Any, Final

from tests.fakes.web import Asked, Said, port_of, serve

_PICO: Final = 10**12
# Picodollars a token, (in, out): all input at one price, which is enough to tell a dear fallback from a cheap one.
PRICES: Final = {
    "gpt-4o-mini": (150_000, 600_000),
    "gpt-4o": (2_500_000, 10_000_000),
    "claude-sonnet-4-5": (3_750_000, 15_000_000),
    "text-embedding-3-small": (20_000, 0),
}
_OUTPUT: Final = 16_384


class Capstan:
    def __init__(self) -> None:
        self.limit = 1000 * _PICO
        self.spent = 0
        self.asked: dict[str, dict[str, Any]] = {}
        self.answers: dict[str, Said] = {}
        self.open: dict[str, int] = {}
        self.settled: dict[str, dict[str, Any]] = {}
        self.voided: list[str] = []
        self.usage: list[Any] = []
        self.stopped: dict[str, str] = {}
        self.away = self.deaf = False
        self.downgrade = ""
        # No budget concerns any call.
        self.free = False
        self.changed = asyncio.Event()

    async def answer(self, asked: Asked) -> Said:
        if asked.path == "/_":
            return self._steer(asked)
        if self.deaf:
            await asyncio.sleep(3600)
        if self.away:
            return Said(503, {"code": "budgets.unavailable"})
        if not asked.headers.get("authorization", "").startswith("Bearer cap_"):
            return Said(401, {"code": "api.not_authenticated", "detail": "no key"})
        if asked.path == "/api/v1/usage":
            self.usage.append(asked.body)
            return Said(202, {"accepted": 1})
        parts = asked.path.removeprefix("/api/v1/authorizations").strip("/").split("/")
        if parts == ["stopped"]:
            return await self._stopped(float(asked.query.get("wait", 0)))
        if parts == [""]:
            return self._authorize(asked.body)
        if parts[0] not in self.asked:
            return Said(404, {"code": "budgets.not_open"})
        return self._settle(parts[0], asked.body) if parts[1] == "settle" else self._void(parts[0])

    def _authorize(self, body: dict[str, Any]) -> Said:
        if body["id"] in self.answers:
            return self.answers[body["id"]]
        limit = body.get("max_output_tokens", _OUTPUT)
        model = body["model"]
        moved = self.downgrade if self.downgrade and model != self.downgrade else ""
        places = [moved] if moved else [model, *(one["model"] for one in body.get("fallbacks", ()))]
        if any(place not in PRICES for place in places):
            return Said(422, {"code": "budgets.unpriced", "detail": "nobody knows the price", "field": "model"})
        tries, choices = body.get("tries", 1), body.get("choices", 1)
        read, write = (max(PRICES[place][n] for place in places) * tries * choices for n in (0, 1))
        given = body["input"]
        fixed = read * (given["bytes"] + 64 + 16 * given.get("messages", 0) + 1024 * bool(given.get("tools")))
        left = self.limit - self.spent - sum(self.open.values())
        afforded = limit if not write else min(limit, (left - fixed) // write)
        if left < fixed or afforded < body.get("least_output_tokens", 1):
            return Said(429, self._exceeded(), {"Retry-After": "60"})
        name = f"a-{body['id']}"
        self.asked[name] = body
        self.open[name] = fixed + write * afforded
        said = Said(
            200,
            {
                "id": name,
                "allowed": True,
                "held": _text(self.open[name]),
                "currency": "USD",
                "max_output_tokens": None if self.free else afforded,
                "clamped": afforded < limit,
                "model": moved or model,
                "downgraded_from": model if moved else None,
                "headroom": [],
            },
        )
        self.answers[body["id"]] = said
        return said

    def _exceeded(self) -> dict[str, Any]:
        budget = {
            "budget_id": 1,
            "budget": "Search a month",
            "subject": "",
            "limit": _text(self.limit),
            "spent": _text(self.spent),
            "held": _text(sum(self.open.values())),
            "left": _text(self.limit - self.spent - sum(self.open.values())),
            "resets_at": "2026-12-01T00:00:00Z",
        }
        detail = "The budget Search a month has no room for this call"
        return {"code": "budgets.exceeded", "detail": detail, "budgets": [budget], "ask": "/api/v1/increases"}

    def _settle(self, name: str, body: dict[str, Any]) -> Said:
        if name not in self.settled and name not in self.voided:
            usage = body["usage"]
            read, write = PRICES[body["model"]]
            cost = read * usage.get("input_tokens", 0) + write * usage.get("output_tokens", 0)
            self.settled[name] = {**body, "cost": _text(cost), "held": _text(self.open.pop(name))}
            self.spent += cost
        return Said(200, {"id": name, "cost": self.settled.get(name, {}).get("cost", "0")})

    def _void(self, name: str) -> Said:
        if name not in self.settled and name not in self.voided:
            self.open.pop(name)
            self.voided.append(name)
        return Said(200, {"id": name})

    async def _stopped(self, wait: float) -> Said:
        try:
            async with asyncio.timeout(wait):
                while not set(self.stopped) & set(self.open):
                    self.changed.clear()
                    await self.changed.wait()
        except TimeoutError:
            pass
        found = [{"id": name, "reason": why} for name, why in self.stopped.items() if name in self.open]
        return Said(200, {"cursor": "1", "stopped": found})

    def _steer(self, asked: Asked) -> Said:
        said = asked.body or {}
        if said.get("reset"):
            changed = self.changed
            self.__init__()  # type: ignore[misc]
            changed.set()
        if "limit" in said:
            self.limit = int(Decimal(said["limit"]) * _PICO)
        self.free = said.get("free", self.free)
        self.away, self.deaf = said.get("away", self.away), said.get("deaf", self.deaf)
        self.downgrade = said.get("downgrade", self.downgrade)
        if "stop" in said:
            self.stopped = dict.fromkeys(self.open, said["stop"])
            self.changed.set()
        told = {
            "spent": _text(self.spent),
            "asked": self.asked,
            "open": {name: _text(amount) for name, amount in self.open.items()},
            "settled": self.settled,
            "voided": self.voided,
            "usage": self.usage,
        }
        return Said(200, told)


def _text(pico: int) -> str:
    return str(Decimal(pico) / _PICO)


async def main() -> None:
    server = await serve(Capstan().answer)
    sys.stdout.write(f"{port_of(server)}\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
    os._exit(0)
