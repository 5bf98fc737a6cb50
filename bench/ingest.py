"""`bench ingest`: events through the whole corridor against a raw COPY of the rows it made.

Both sides: the same server, the same rows, the same indexes, the same number of connections, durable commits. Ours is
timed from JSON text to the last fold: parsed, priced, attributed, deduplicated, posted, rolled up. Theirs is COPY of
finished text, in one transaction per connection, which is the most favourable way to load it.
"""

from __future__ import annotations

import multiprocessing
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

import msgspec

from bench import support

PEOPLE, TEAMS, PROJECTS, AGENTS = 2_000, 40, 60, 60
START = datetime(2026, 8, 1, tzinfo=UTC)
MODELS = (
    ("openai", "gpt-5"),
    ("openai", "gpt-5-mini"),
    ("openai", "gpt-4o"),
    ("anthropic", "claude-sonnet-4-5"),
    ("anthropic", "claude-opus-4-5"),
    ("anthropic", "claude-haiku-4-5"),
)
BATCH = 5_000
READY_TIMEOUT_S = 60
MEMORY_GROWTH_MOST = 1.2


def run(parameters: dict[str, str], say: Callable[[str], Any]) -> dict[str, Any]:
    """Keys: events_per_s, copy_rows_per_s, ratio; and what they were made of."""
    events = int(parameters.get("events", "300000"))
    workers = int(parameters.get("workers", "2"))
    days = float(parameters.get("days", "30"))
    with tempfile.TemporaryDirectory() as folder, support.scratch_database():
        organization_id, source_id = _company()
        say(f"writing {events} events")
        files = _write_events(Path(folder), events, workers, days)
        say("ingesting")
        first = _ingest(files, organization_id, source_id)
        say(f"{first}; sending all of it again")
        again = _ingest(files, organization_id, source_id)
        charges = _count("ledger_charge")
        if charges != events or again["charged"]:
            raise AssertionError(f"{events} events made {charges} charges; re-sending added {again['charged']}")
        _check_rollups()
        if first["memory_growth"] > MEMORY_GROWTH_MOST:
            raise AssertionError(f"memory grew {first['memory_growth']:.2f} times after the first tenth")
        say("raw COPY of the same rows")
        copied = _raw_copy(Path(folder), workers)
        events_per_s = events / first["seconds"]
        return {
            "bench": "ingest",
            "events_per_s": round(events_per_s),
            "copy_rows_per_s": round(events / copied),
            "ratio": round(events_per_s / (events / copied), 3),
            "resend_events_per_s": round(events / again["seconds"]),
            "fold_share": round(first["fold_seconds"] / first["seconds"], 3),
            "memory_growth": round(first["memory_growth"], 3),
            "events": events,
            "days": days,
            "workers": workers,
            "machine": support.machine(),
        }


def _company() -> tuple[int, int]:
    from django.utils import timezone

    from finops.core.actors import system
    from finops.orgs.models import Agent, Identity, Organization, Person, Project, Team
    from finops.pricing.services import seed_price_book
    from finops.sources.models import Source

    seed_price_book(by=system("bench"), at=timezone.now())
    org = Organization.objects.create(slug="bench", name="Bench")
    teams = Team.objects.bulk_create([Team(organization=org, slug=f"t{n}", name=f"Team {n}") for n in range(TEAMS)])
    people = Person.objects.bulk_create(
        [Person(organization=org, slug=f"p{n}", name=f"Person {n}", team=teams[n % TEAMS]) for n in range(PEOPLE)]
    )
    Identity.objects.bulk_create(
        [Identity(organization=org, person=one, kind="email", value=f"{one.slug}@example.com") for one in people]
    )
    projects = Project.objects.bulk_create(
        [Project(organization=org, slug=f"j{n}", name=f"Project {n}", team=teams[n % TEAMS]) for n in range(PROJECTS)]
    )
    Agent.objects.bulk_create(
        [
            Agent(organization=org, slug=f"a{n}", name=f"Agent {n}", owner=people[n], project=projects[n % PROJECTS])
            for n in range(AGENTS)
        ]
    )
    return org.id, Source.objects.create(organization=org, slug="api", name="API").id


def _events(count: int, worker: int, days: float) -> Iterator[dict[str, Any]]:
    """`days` of calls in time order: people come in sessions, each with a model or two of their own, some agents."""
    rng = random.Random(worker)
    step = timedelta(days=days) / count
    for n in range(count):
        person = min(int(rng.paretovariate(0.7)) * 7 + n // 400, 10**9) % PEOPLE
        provider, model = MODELS[(person + (rng.random() < 0.2)) % len(MODELS)]
        usage = {"input_uncached": rng.randrange(20, 6_000), "output_text": rng.randrange(5, 1_200)}
        if rng.random() < 0.4:
            usage["cache_read"] = rng.randrange(1_000, 40_000)
        event = {
            "id": f"call-{worker}-{n:09d}",
            "occurred_at": (START + step * n).isoformat(),
            "provider": provider,
            "model": model,
            "usage": usage,
            "provider_request_id": f"req_{worker:02d}{rng.getrandbits(64):016x}{n:08x}",
            "project": f"j{person % PROJECTS}",
            "session": f"s-{person}-{n // 20_000}",
            "tags": {"env": "prod" if person % 5 else "dev"},
        }
        if rng.random() < 0.3:
            event["agent"] = f"a{person % AGENTS}"
        else:
            event["identities"] = {"email": f"p{person}@example.com"}
        yield event


def _write_events(folder: Path, events: int, workers: int, days: float) -> list[Path]:
    """One NDJSON file a worker, written before the clock starts."""
    files = []
    encoder = msgspec.json.Encoder()
    for worker in range(workers):
        share = events // workers + (worker < events % workers)
        path = folder / f"events-{worker}.ndjson"
        with path.open("wb") as file:
            for event in _events(share, worker, days):
                file.write(encoder.encode(event) + b"\n")
        files.append(path)
    return files


def _ingest(files: list[Path], organization_id: int, source_id: int) -> dict[str, Any]:
    """Every file by a process of its own; timed from a common start until the last is posted and all is folded."""
    from finops.ledger.services import fold_all

    spawn = multiprocessing.get_context("spawn")
    barrier, results = spawn.Barrier(len(files) + 1), spawn.Queue()
    processes = [
        spawn.Process(target=_worker, args=(str(path), organization_id, source_id, barrier, results)) for path in files
    ]
    for process in processes:
        process.start()
    barrier.wait(READY_TIMEOUT_S)
    started = time.perf_counter()
    answers = support.gather(processes, results)
    posted = time.perf_counter()
    fold_all()
    ended = time.perf_counter()
    return {
        "charged": sum(answer["charged"] for answer in answers),
        "seconds": ended - started,
        "fold_seconds": ended - posted,
        "memory_growth": max(answer["memory_growth"] for answer in answers),
    }


def _worker(path: str, organization_id: int, source_id: int, barrier: Any, results: Queue[dict[str, Any]]) -> None:
    import django

    django.setup()
    support.use_database(support.SCRATCH)
    from django.db import connection
    from django.utils import timezone

    from finops.connectors.capstan.parse import parse_many
    from finops.ingest.services import take
    from finops.ingest.services.corridor import Corridor
    from finops.ingest.types import Status
    from finops.runtime.collecting import calm_collector

    Corridor(organization_id)  # imports, connection and snapshots, as a worker that has been up for a second has them
    calm_collector()
    batches = sum(1 for _ in _batches(path))
    early = 0.0
    barrier.wait(READY_TIMEOUT_S)
    charged = 0
    for number, body in enumerate(_batches(path)):
        received = parse_many(body, "application/x-ndjson")
        outcomes = take(
            organization_id=organization_id,
            source_id=source_id,
            parser="capstan",
            received=received,
            at=timezone.now(),
        )
        charged += sum(outcome.status is Status.CHARGED for outcome in outcomes)
        if number == batches // 10:
            early = support.resident_mib()
    results.put({"charged": charged, "memory_growth": support.resident_mib() / early if early else 1.0})
    connection.close()


def _batches(path: str) -> Iterator[bytes]:
    lines: list[bytes] = []
    with Path(path).open("rb") as file:
        for line in file:
            lines.append(line)
            if len(lines) == BATCH:
                yield b"".join(lines)
                lines = []
    if lines:
        yield b"".join(lines)


def _count(table: str) -> int:
    with support.connect() as connection:
        row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
        return int(row[0]) if row else 0


def _check_rollups() -> None:
    with support.connect() as connection:
        rows = [
            connection.execute(f"SELECT sum(calls), sum(effective_cost) FROM {table}").fetchone()
            for table in ("ledger_charge", "ledger_daily", "(SELECT * FROM ledger_cube_0 WHERE level = 0) AS c")
        ]
    if len(set(rows)) != 1:
        raise AssertionError(f"rollups are not the charges: {rows}")


def _raw_copy(folder: Path, workers: int) -> float:
    """Seconds to COPY the same charges and keys into tables with the same indexes, half of them a connection."""
    with support.connect() as connection:
        connection.execute("CREATE TABLE raw_charge (LIKE ledger_charge INCLUDING ALL)")
        connection.execute("CREATE TABLE raw_key (LIKE ledger_charge_key INCLUDING ALL)")
        connection.commit()
        for table, order in (("charge", "booked_at, occurred_at, id"), ("charge_key", "charge_id, source_id")):
            for worker in range(workers):
                with (
                    (folder / f"{table}-{worker}.copy").open("wb") as file,
                    connection.cursor().copy(
                        f"COPY (SELECT {_columns(table)} FROM (SELECT *, row_number() OVER (ORDER BY {order}) AS n"
                        f" FROM ledger_{table}) AS r WHERE n %% {workers} = {worker} ORDER BY n) TO STDOUT".replace(
                            "%%", "%"
                        )
                    ) as copy,
                ):
                    for chunk in copy:
                        file.write(chunk)
    spawn = multiprocessing.get_context("spawn")
    barrier, results = spawn.Barrier(workers + 1), spawn.Queue()
    processes = [
        spawn.Process(target=_copy_worker, args=(str(folder), worker, barrier, results)) for worker in range(workers)
    ]
    for process in processes:
        process.start()
    barrier.wait(READY_TIMEOUT_S)
    started = time.perf_counter()
    support.gather(processes, results)
    seconds = time.perf_counter() - started
    if _count("raw_charge") != _count("ledger_charge") or _count("raw_key") != _count("ledger_charge_key"):
        raise AssertionError("the raw copy is not the same rows")
    return seconds


def _columns(table: str) -> str:
    with support.connect() as connection:
        rows = connection.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
            " ORDER BY attnum",
            [f"ledger_{table}"],
        )
        return ", ".join(row[0] for row in rows)


def _copy_worker(folder: str, worker: int, barrier: Any, results: Queue[int]) -> None:
    import django

    django.setup()
    support.use_database(support.SCRATCH)
    with support.connect() as connection:
        barrier.wait(READY_TIMEOUT_S)
        for table, target in (("charge_key", "raw_key"), ("charge", "raw_charge")):
            with (
                Path(folder, f"{table}-{worker}.copy").open("rb") as file,
                connection.cursor().copy(f"COPY {target} ({_columns(table)}) FROM STDIN") as copy,
            ):
                while chunk := file.read(1 << 20):
                    copy.write(chunk)
        connection.commit()
        results.put(worker)
