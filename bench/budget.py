"""`bench budget`: calls decided by leases, with the journal on, against conditional UPDATEs in the same PostgreSQL.

Both sides decide the same: a call concerns four budgets (of its organization, team, project and person) of 10,001
accounts; the most it can cost is held in all four or in none, and settled to what it did cost. Ours is one process:
leases that are cold when it starts, the journal with its syncs, its copying to the database; every pair is a ledger
charge afterwards, and the accounts must say what the ledger says. Theirs is pgbench with 16 connections and prepared
statements: a transaction of four conditional UPDATEs to hold, and one of four to settle, durable commits, which is the
most favourable way to do it in the database. Then with what a gateway does besides: attribution, prices, the provable
worst case, the guard (`whole_…`); and all of it over HTTP.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import multiprocessing
import random
import subprocess
import tempfile
import time
from collections.abc import Callable
from multiprocessing.queues import Queue
from pathlib import Path
from statistics import mean
from typing import Any, Final

from bench import serving, support
from bench.company import Size, book, found
from bench.deciding import call, decide
from bench.http import Client

SIZE: Final = Size(teams=100, projects=900, people=9_000)
CONNECTIONS: Final = 16
CONNECTIONS_HTTP: Final = 64


def run(parameters: dict[str, str], say: Callable[[str], Any]) -> dict[str, Any]:
    """Keys: pairs_per_s, updates_pairs_per_s, ratio, p99_us, statements_per_1000_calls, http_pairs_per_s."""
    from django.utils import timezone

    from routing.configuration.services import publish_changes

    pairs = int(parameters.get("pairs", "1000000"))
    seconds = int(parameters.get("seconds", "20"))
    with tempfile.TemporaryDirectory() as folder, support.scratch_database():
        organization_id, secret = found(SIZE, "calls.authorize")
        publish_changes(timezone.now())
        # Before ours and after it: a machine changes its pace from minute to minute.
        say(f"the same decisions by UPDATE, {CONNECTIONS} connections, {seconds} s")
        updates = [_updates(Path(folder), seconds)]
        say(f"deciding {pairs} calls by leases")
        ours = _spawned(decide, folder, pairs, "leases", [SIZE.people, SIZE.projects])
        say(f"{ours}; by UPDATE again")
        updates.append(_updates(Path(folder), seconds))
        theirs = mean(updates)
        say("booking them")
        booked_in = book(organization_id, pairs)
        say(f"{pairs // 4} calls with everything a gateway does for them")
        whole = _spawned(decide, folder, pairs // 4, "whole", [SIZE.people, SIZE.projects])
        say("over HTTP")
        over_http = _http(Path(folder), secret, int(parameters.get("http_seconds", "30")))
    return {
        "bench": "budget",
        "pairs_per_s": round(ours["pairs_per_s"]),
        "updates_pairs_per_s": round(theirs),
        "updates_before_and_after": [round(one) for one in updates],
        "ratio": round(ours["pairs_per_s"] / theirs, 1),
        "p99_us": round(ours["p99_us"]),
        "p99_with_cold_us": round(ours["p99_with_cold_us"]),
        "p50_us": round(ours["p50_us"]),
        "statements_per_1000_calls": round(ours["statements_per_1000_calls"], 2),
        "whole_pairs_per_s": round(whole["pairs_per_s"]),
        "whole_p50_us": round(whole["p50_us"]),
        "whole_p99_us": round(whole["p99_us"]),
        "statements": ours["statements"],
        "booked_per_s": round(pairs / booked_in),
        "http_pairs_per_s": round(over_http),
        "pairs": pairs,
        "accounts": SIZE.accounts,
        "machine": support.machine(),
    }


# --- Ours -------------------------------------------------------------------------------------------------------------
def _spawned(target: Callable[..., Any], *arguments: Any) -> dict[str, Any]:
    """The answer of a function run in a process of its own, which has no Django."""
    context = multiprocessing.get_context("spawn")
    answers: Queue[dict[str, Any]] = context.Queue()
    process = context.Process(target=target, args=(answers, support.address(), *arguments))
    process.start()
    return support.gather([process], answers)[0]


# --- Theirs -----------------------------------------------------------------------------------------------------------
_TABLE: Final = """
DROP TABLE IF EXISTS bench_account;
CREATE TABLE bench_account (id int PRIMARY KEY, cap numeric(24, 12) NOT NULL, held numeric(24, 12) NOT NULL,
    spent numeric(24, 12) NOT NULL) WITH (fillfactor = 50);
INSERT INTO bench_account SELECT n, 1000000, 0, 0 FROM generate_series(1, %s) AS n;
VACUUM ANALYZE bench_account;
"""


def _updates(folder: Path, seconds: int) -> float:
    """Pairs a second by conditional UPDATEs: pgbench, in the server's own language, so that no client is in the way."""
    with support.connect() as connection:
        connection.autocommit = True
        accounts = SIZE.accounts
        for statement in (_TABLE % accounts).split(";"):
            if statement.strip():
                connection.execute(statement)
    hold = "UPDATE bench_account SET held = held + 0.02 WHERE id = {} AND cap - held - spent >= 0.02;"
    settle = "UPDATE bench_account SET held = held - 0.02, spent = spent + 0.005 WHERE id = {};"
    # In the order of their ids, so that no two wait for each other; the one that everybody shares last, held shortest.
    ids = (":person", ":project", ":team", "1")
    script = folder / "pairs.sql"
    script.write_text(
        f"\\set p random(0, {SIZE.people - 1})\n"
        f"\\set team 2 + :p % {SIZE.teams}\n\\set project {2 + SIZE.teams} + :p % {SIZE.projects}\n"
        f"\\set person {2 + SIZE.teams + SIZE.projects} + :p\n"
        + "".join(f"BEGIN;\n{''.join(step.format(one) + chr(10) for one in ids)}COMMIT;\n" for step in (hold, settle))
    )
    said = subprocess.run(
        [
            *(support.program("pgbench"), "--no-vacuum", "--protocol", "prepared", "--client", str(CONNECTIONS)),
            *("--jobs", "2", "--time", str(seconds), "--file", str(script), support.address()),
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return float(next(line for line in said.splitlines() if line.startswith("tps")).split()[2])


# --- HTTP -------------------------------------------------------------------------------------------------------------
def _http(folder: Path, secret: str, seconds: int) -> float:
    """Pairs a second over HTTP, each answer durable: one gateway behind its server, the load beside it."""
    server = serving.gateway(folder)
    try:
        return asyncio.run(_load(server.port, secret, seconds))
    finally:
        server.end()


async def _load(port: int, secret: str, seconds: int) -> float:
    dice = random.Random(11)
    end = time.perf_counter() + seconds
    settle = json.dumps({"usage": {"input_uncached": 900, "output_text": 200}}).encode()
    done = 0
    numbers = itertools.count()

    async def caller() -> None:
        nonlocal done
        client = await Client.open(port, secret)
        while time.perf_counter() < end:
            call_ = call(dice, next(numbers), SIZE.people, SIZE.projects) | {"id": f"h{next(numbers)}"}
            status, body = await client.send("POST", "/api/v1/authorizations", json.dumps(call_).encode())
            assert status == 200, body
            path = f"/api/v1/authorizations/{json.loads(body)['id']}/settle"
            status, body = await client.send("POST", path, settle)
            assert status == 200, body
            done += 1
        client.close()

    began = time.perf_counter()
    await asyncio.gather(*[caller() for _ in range(CONNECTIONS_HTTP)])
    return done / (time.perf_counter() - began)
