"""Clients that are slow on purpose: who asks byte by byte, and who reads nothing of what they asked for."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.aside import run
from tests.faults.gateway.running import Gateways, ready
from tests.faults.gateway.streaming import Provider, ask, request

CALL = {"model": "gpt", "stream": True, "max_tokens": 20, "messages": [{"role": "user", "content": "Hello"}]}
BODY = json.dumps(CALL).encode()
MOST_MB = 400


@pytest.fixture
def provider() -> Iterator[Provider]:
    """Its answers to claude, whom nobody asks here, are small; of gpt they are as the test says."""
    running = Provider({"usual": {"output_tokens": 20}})
    yield running
    running.close()


def deploy(gateways: Gateways, provider: Provider) -> None:
    gateways.do("budget", limit="1000")
    gateways.serve(provider.address, connect_s=2.0, first_byte_s=5.0, total_s=6.0)


def resident_mb(gateways: Gateways) -> int:
    """Of the first process's group: the server and its worker."""
    group = gateways.processes[0].pid
    total = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            stat = (status.parent / "stat").read_text().rpartition(")")[2].split()
            if int(stat[2]) == group:
                total += next(int(line.split()[1]) for line in status.read_text().splitlines() if "VmRSS" in line)
        except (OSError, StopIteration):
            continue
    return total // 1024


@pytest.mark.timeout(120)
def test_who_asks_byte_by_byte_keeps_nobody_waiting(gateways: Gateways, provider: Provider) -> None:
    deploy(gateways, provider)
    port, secret = gateways.ports[0], gateways.company["caller"]

    async def story() -> None:
        await ready(gateways, 0)
        slow = [await asyncio.open_connection("127.0.0.1", port) for _ in range(200)]
        whole = request(secret, BODY)
        half = whole.index(b"\r\n\r\n") + 4 + len(BODY) // 2
        for n, (_, writer) in enumerate(slow):
            # In the middle of the head, or of the body.
            writer.write(whole[: 40 if n % 2 else half])
        began = time.monotonic()
        for _ in range(20):
            assert (await ask(port, secret, BODY)).good
        assert time.monotonic() - began < 10
        # Who goes on is answered after all.
        reader, writer = slow[0]
        writer.write(whole[half:])
        assert b" 200 " in await reader.readline()
        for _, writer in slow:
            writer.transport.abort()
        assert (await ask(port, secret, BODY)).good

    run(story())


@pytest.mark.timeout(120)
def test_bodies_that_trickle_are_answered_and_keep_nobody_waiting(gateways: Gateways, provider: Provider) -> None:
    deploy(gateways, provider)
    port, secret = gateways.ports[0], gateways.company["caller"]
    whole = request(secret, BODY)
    body_at = whole.index(b"\r\n\r\n") + 4

    async def trickles(stopped: asyncio.Event) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(whole[:body_at])
        for at in range(body_at, len(whole)):
            if at == len(whole) - 1:
                await stopped.wait()
            writer.write(whole[at : at + 1])
            await writer.drain()
            await asyncio.sleep(0.01)
        answer = await reader.read()
        writer.close()
        return answer

    async def story() -> None:
        await ready(gateways, 0)
        stopped = asyncio.Event()
        slow = [asyncio.create_task(trickles(stopped)) for _ in range(100)]
        began = time.monotonic()
        for _ in range(20):
            assert (await ask(port, secret, BODY)).good
        assert time.monotonic() - began < 10
        stopped.set()
        for answer in await asyncio.gather(*slow):
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert b"data: [DONE]" in answer

    run(story())


@pytest.mark.soak
@pytest.mark.timeout(120)
def test_who_reads_nothing_costs_little_memory_and_ends_when_the_call_does(
    gateways: Gateways, provider: Provider
) -> None:
    deploy(gateways, provider)
    port, secret = gateways.ports[0], gateways.company["caller"]
    readers = 12

    async def story() -> None:
        await ready(gateways, 0)
        before = resident_mb(gateways)
        connections: list[socket.socket] = []
        for _ in range(readers):
            one = socket.socket()
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            await asyncio.to_thread(one.connect, ("127.0.0.1", port))
            await asyncio.to_thread(one.sendall, request(secret, BODY))
            connections.append(one)
        highest = before
        async with asyncio.timeout(40):
            while (await asyncio.to_thread(provider.get))["seen"] < readers:  # noqa: ASYNC110 - in another process
                await asyncio.sleep(0.1)
            while (await asyncio.to_thread(provider.get))["open"]:
                highest = max(highest, resident_mb(gateways))
                await asyncio.sleep(0.1)
        highest = max(highest, resident_mb(gateways))
        assert highest - before < MOST_MB, (before, highest)
        for one in connections:
            one.close()
        assert (await ask(gateways.ports[1], secret, BODY)).status == 200

    provider.steer(script={"usual": {"fault": "huge", "huge_bytes": 64 * 2**20, "output_tokens": 20}})
    run(story())
