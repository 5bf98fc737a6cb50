"""A gateway that is asked to stop with streams under way: who ends soon does, the others are broken off cleanly."""

from __future__ import annotations

import asyncio
import json
import time
from decimal import Decimal

import pytest

from tests.aside import run
from tests.faults.gateway.relaying import CALL, Providers, spent
from tests.faults.gateway.running import Gateways, ready, settled
from tests.faults.gateway.streaming import DONE, Said, ask, request

SOON, LATE = 6, 4
# What its supervisor waits for before it kills.
PATIENCE_S = 15


@pytest.mark.timeout(170)
def test_who_is_asked_to_stop_lets_streams_end_and_breaks_off_the_others(
    gateways: Gateways, providers: Providers
) -> None:
    provider = providers(output_tokens=20)
    by_model = {"gpt": {"output_tokens": 20, "between_s": 0.1}, "gpt-mini": {"output_tokens": 20, "holds_after": 5}}
    provider.steer(script={"by_model": by_model})
    cap = gateways.do("budget", limit="1000")["id"]
    gateways.serve(provider.address, connect_s=2.0, first_byte_s=5.0, total_s=120.0)
    port, secret = gateways.ports[0], gateways.company["caller"]
    took: list[float] = []

    async def story() -> list[Said]:
        await ready(gateways, 0)
        calls = [CALL] * SOON + [CALL | {"model": "gpt-mini"}] * LATE
        asked = [asyncio.create_task(ask(port, secret, json.dumps(call).encode())) for call in calls]
        # And one that never gets to its end.
        _, slow = await asyncio.open_connection("127.0.0.1", port)
        slow.write(request(secret, json.dumps(CALL).encode())[:-10])
        while (await asyncio.to_thread(provider.get))["seen"] < len(calls):  # noqa: ASYNC110 - in another process
            await asyncio.sleep(0.05)
        began = time.monotonic()
        gateways.processes[0].terminate()
        said = await asyncio.gather(*asked)
        await asyncio.to_thread(gateways.processes[0].wait, 60)
        took.append(time.monotonic() - began)
        slow.close()
        return said

    said = run(story())
    assert took[0] < PATIENCE_S
    assert all(one.good for one in said[:SOON])
    for one in said[SOON:]:
        assert (one.status, one.whole) == (200, True)
        assert DONE not in one.body
        assert b"gateway.stopping" in one.body.rpartition(b"data: ")[2]
    gateways.stop()
    settled(gateways)
    gateways.stop()
    authorised, leased, ledger = spent(gateways, cap)
    assert (authorised, leased) == (ledger, Decimal(0))
    evidence = sorted(evidence for _, evidence, _, _ in gateways.do("charges"))
    assert evidence == ["estimated"] * LATE + ["metered"] * SOON
