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
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from bench import support
from bench.deciding import call, decide
from bench.http import Client

TEAMS, PROJECTS, PEOPLE = 100, 900, 9_000
CONNECTIONS: Final = 16
CONNECTIONS_HTTP: Final = 64
# Far from every limit: near it, asking the database for each call is what is right.
LIMIT: Final = "1000000"


def run(parameters: dict[str, str], say: Callable[[str], Any]) -> dict[str, Any]:
    """Keys: pairs_per_s, updates_pairs_per_s, ratio, p99_us, statements_per_1000_calls, http_pairs_per_s."""
    pairs = int(parameters.get("pairs", "1000000"))
    seconds = int(parameters.get("seconds", "20"))
    with tempfile.TemporaryDirectory() as folder, support.scratch_database():
        organization_id, secret = _company()
        say(f"deciding {pairs} calls by leases")
        ours = _spawned(decide, folder, pairs, "leases", [PEOPLE, PROJECTS])
        say(f"{ours}; booking them")
        booked_in = _book(organization_id, pairs)
        say(f"{pairs // 4} calls with everything a gateway does for them")
        whole = _spawned(decide, folder, pairs // 4, "whole", [PEOPLE, PROJECTS])
        say(f"the same decisions by UPDATE, {CONNECTIONS} connections, {seconds} s")
        theirs = _updates(Path(folder), seconds)
        say("over HTTP")
        over_http = _http(Path(folder), secret, int(parameters.get("http_seconds", "30")))
    return {
        "bench": "budget",
        "pairs_per_s": round(ours["pairs_per_s"]),
        "updates_pairs_per_s": round(theirs),
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
        "accounts": 1 + TEAMS + PROJECTS + PEOPLE,
        "machine": support.machine(),
    }


# --- The company ------------------------------------------------------------------------------------------------------
def _company() -> tuple[int, str]:
    from decimal import Decimal

    from django.utils import timezone

    from finops.budgets.rules.limits import BreakerDraft
    from finops.budgets.services.budgets import create_budget
    from finops.budgets.services.limits import set_breaker
    from finops.budgets.types import Draft, Enforcement, Period
    from finops.core.actors import system
    from finops.orgs.models import Organization, Person, Project, Team
    from finops.orgs.services import issue_key
    from finops.pricing.services import seed_price_book
    from routing.configuration.services import publish_changes

    by, at = system("bench"), timezone.now()
    seed_price_book(by=by, at=at)
    org = Organization.objects.create(slug="bench", name="Bench")
    teams = Team.objects.bulk_create([Team(organization=org, slug=f"t{n}", name=f"Team {n}") for n in range(TEAMS)])
    Project.objects.bulk_create(
        [Project(organization=org, slug=f"j{n}", name=f"Project {n}", team=teams[n % TEAMS]) for n in range(PROJECTS)]
    )
    Person.objects.bulk_create(
        [Person(organization=org, slug=f"p{n}", name=f"Person {n}", team=teams[n % TEAMS]) for n in range(PEOPLE)]
    )
    for each in ("", "team", "project", "person"):
        draft = Draft(
            name=f"each {each}" if each else "all",
            limit_amount=Decimal(LIMIT),
            period=Period.YEAR,
            enforcement=Enforcement.HARD,
            each=each,
        )
        create_budget(organization_id=org.id, draft=draft, by=by, at=at)
    # All of it comes by one key, faster than a key's breaker has it by default.
    for measure in ("calls_per_minute", "amount_per_minute"):
        off = BreakerDraft(dimension="key", measure=measure, threshold=None)
        set_breaker(organization_id=org.id, draft=off, by=by, at=at)
    secret = issue_key(organization_id=org.id, name="proxy", permissions=["calls.authorize"], by=by, at=at).secret
    publish_changes(timezone.now())
    return org.id, secret


# --- Ours -------------------------------------------------------------------------------------------------------------
def _spawned(target: Callable[..., Any], *arguments: Any) -> dict[str, Any]:
    """The answer of a function run in a process of its own, which has no Django."""
    context = multiprocessing.get_context("spawn")
    answers: Queue[dict[str, Any]] = context.Queue()
    process = context.Process(target=target, args=(answers, support.address(), *arguments))
    process.start()
    return support.gather([process], answers)[0]


def _book(organization_id: int, pairs: int) -> float:
    """Every pair becomes a charge, and the accounts say what the ledger says. Gives the seconds that took."""
    from django.db import connection
    from django.utils import timezone

    from finops.budgets.services import fold_observed
    from finops.ingest.services import book_inbox

    began = time.perf_counter()
    booked = book_inbox(timezone.now())
    seconds = time.perf_counter() - began
    fold_observed()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), sum(reporting_cost) FROM ledger_charge WHERE organization_id = %s", [organization_id]
        )
        charges, cost = cursor.fetchone()
        cursor.execute(
            "SELECT sum(authorised + observed), sum(leased) FROM budgets_account WHERE organization_id = %s",
            [organization_id],
        )
        spent, leased = cursor.fetchone()
    if (booked, charges) != (pairs, pairs) or spent != 4 * cost or leased:
        raise AssertionError(f"{pairs} pairs, {booked} booked, {charges} charges of {cost}; accounts {spent}, {leased}")
    return seconds


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
        accounts = 1 + TEAMS + PROJECTS + PEOPLE
        for statement in (_TABLE % accounts).split(";"):
            if statement.strip():
                connection.execute(statement)
    hold = "UPDATE bench_account SET held = held + 0.02 WHERE id = {} AND cap - held - spent >= 0.02;"
    settle = "UPDATE bench_account SET held = held - 0.02, spent = spent + 0.005 WHERE id = {};"
    # In the order of their ids, so that no two wait for each other; the one that everybody shares last, held shortest.
    ids = (":person", ":project", ":team", "1")
    script = folder / "pairs.sql"
    script.write_text(
        f"\\set p random(0, {PEOPLE - 1})\n"
        f"\\set team 2 + :p % {TEAMS}\n\\set project {2 + TEAMS} + :p % {PROJECTS}\n"
        f"\\set person {2 + TEAMS + PROJECTS} + :p\n"
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
    from django.conf import settings

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    entry = settings.DATABASES["default"]
    host = quote(str(entry["HOST"]), safe="")
    url = f"postgresql://{entry['USER']}@/{entry['NAME']}?host={host}" + (f"&port={p}" if (p := entry["PORT"]) else "")
    environment = os.environ | {
        "DATABASE_URL": url, "CAPSTAN_SECRET_KEY": settings.SECRET_KEY, "CAPSTAN_JOURNAL": str(folder / "served"),
    }  # fmt: skip
    server = subprocess.Popen(
        [
            *(sys.executable, "-m", "granian", "--interface", "asgi", "--host", "127.0.0.1", "--port", str(port)),
            *("--workers", "1", "--log-level", "warning", "routing.gateway.asgi:app"),
        ],
        env=environment,
    )
    try:
        return asyncio.run(_load(port, secret, seconds))
    finally:
        server.terminate()
        server.wait()


async def _load(port: int, secret: str, seconds: int) -> float:
    for _ in range(300):
        try:
            client = await Client.open(port, secret)
            if (await client.send("GET", "/readyz", b""))[0] == 200:
                break
        except OSError:
            pass
        await asyncio.sleep(0.1)
    dice = random.Random(11)
    end = time.perf_counter() + seconds
    settle = json.dumps({"usage": {"input_uncached": 900, "output_text": 200}}).encode()
    done = 0
    numbers = itertools.count()

    async def caller() -> None:
        nonlocal done
        client = await Client.open(port, secret)
        while time.perf_counter() < end:
            call_ = call(dice, next(numbers), PEOPLE, PROJECTS) | {"id": f"h{next(numbers)}"}
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
