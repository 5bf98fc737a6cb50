"""`bench recommend`: everything that is recommended, from outcomes in the database to rows that are committed.

A hundred task types, ten models, a million outcomes; each type's incumbent is what most is spent on by the ledger. Of
each candidate it is known how good it truly is, so that what is recommended can be told to be right or wrong.
"""

from __future__ import annotations

import resource
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from bench import support

TYPES: Final = 100
CANDIDATES: Final = 9
OUTCOMES: Final = 1_000_000
MARGIN: Final = "0.05"
# The incumbent does so many of 100 tasks.
GOOD: Final = 85
_MODEL: Final = "gpt-4o"


def _uniform(what: str, salt: int) -> str:
    """A number in [0, 1) that depends on `what` alone."""
    return f"((hashint8extended(({what})::bigint, {salt}) & 1048575) / 1048576.0::float8)"


# Of a type and a candidate (1 to 9): every fourth is as good; the others are 3 to 25 points worse.
_WORSE: Final = (
    f"(CASE WHEN m = 0 OR (t * 7 + m * 3) % 4 = 0 THEN 0 ELSE 3 + floor({_uniform('t * 64 + m', 1)} * 23) END)"
)
_COST: Final = f"0.02 * (0.5 + {_uniform('t * 1000000::bigint + n', 5)}) * (CASE m WHEN 0 THEN 1 ELSE 0.05 * m END)"
# Of ten tasks seven go by how hard they are, and three by luck. A task costs 2 cents at the incumbent.
_ROWS: Final = f"""
INSERT INTO evidence_outcome (organization_id, evaluation_id, task_type, item, fingerprint, cluster, model, provider,
    score, cost, status, order_shown, randomised, signals, occurred_at, recorded_at, content)
SELECT %(organization)s, %(evaluation)s, 'type-' || t, t || '-' || n, '', '',
    CASE m WHEN 0 THEN '{_MODEL}' ELSE 'candidate-' || m END, '',
    (CASE WHEN {_uniform("(t * 1000000::bigint + n) * 64 + m", 2)} < 0.7 THEN {_uniform("t * 1000000::bigint + n", 3)}
        ELSE {_uniform("(t * 1000000::bigint + n) * 64 + m", 4)} END * 100 < {GOOD} - {_WORSE})::int,
    round(({_COST})::numeric, 9),
    'completed', '', TRUE, '{{}}', %(at)s, %(at)s, 0
FROM generate_series(1, %(types)s) AS t, generate_series(1, %(tasks)s) AS n, generate_series(0, {CANDIDATES}) AS m
"""


def run(parameters: dict[str, Any], say: Callable[[str], Any]) -> dict[str, Any]:
    """Keys: seconds (from the call to the commit), rss_mb (the most this process ever had), recommendations; outcomes,
    types, by_kind, saved_a_month; switches, and wrong: how many of them go to a model that is truly worse by more than
    the margin; again_seconds: once more, when nothing changed.
    """
    from django.utils import timezone

    from finops.core.actors import system
    from routing.recommend.services import recompute

    types, outcomes = int(parameters.get("types", TYPES)), int(parameters.get("outcomes", OUTCOMES))
    with support.scratch_database(f"{support.SCRATCH}_recommend"):
        at = timezone.now()
        organization_id = _made(types, outcomes // types // (CANDIDATES + 1), at, say)
        before = support.resident_mib()
        say("working it out")
        began = time.perf_counter()
        found = recompute(organization_id=organization_id, by=system("bench"), at=at)
        seconds = time.perf_counter() - began
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        began = time.perf_counter()
        recompute(organization_id=organization_id, by=system("bench"), at=at + timedelta(minutes=1))
        again = time.perf_counter() - began
        return {
            "bench": "recommend",
            "seconds": round(seconds, 2),
            "rss_mb": round(most),
            "rss_mb_before": round(before),
            "recommendations": found.opened,
            "again_seconds": round(again, 2),
            **_told(organization_id),
            "machine": support.machine(),
        }


def _made(types: int, tasks: int, at: datetime, say: Callable[[str], Any]) -> int:
    from django.db import connection

    from finops.core.actors import system
    from finops.orgs.models import Organization
    from routing.evidence.models import Evaluation, TypeVersion

    organization = Organization.objects.create(slug="bench", name="Bench")
    names = [f"type-{number}" for number in range(1, types + 1)]
    number = types * tasks * (CANDIDATES + 1)
    run = Evaluation.objects.create(
        organization=organization, name="bench", kind="evaluation", standing=False, evaluator="bench", margin=MARGIN,
        randomised=True, outcome_count=number, task_types=names, created_by="system:bench", created_at=at,
        changed_at=at, model_names=[_MODEL, *(f"candidate-{one}" for one in range(1, CANDIDATES + 1))],
    )  # fmt: skip
    given = {"organization": organization.id, "evaluation": run.id, "types": types, "tasks": tasks, "at": at}
    with support.connect() as own:
        own.execute(_ROWS.replace("% 4", "%% 4"), given)
    TypeVersion.objects.bulk_create(
        TypeVersion(
            organization=organization, task_type=name, version=1, outcomes=tasks * (CANDIDATES + 1), changed_at=at
        )
        for name in names
    )
    with connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE) evidence_outcome")
    say(f"{number:,} outcomes loaded")
    _spent(organization.id, names, at, system("bench"))
    return organization.id


def _spent(organization_id: int, names: list[str], at: datetime, by: Any) -> None:
    """Of each type a call of the incumbent's, and a cheaper one of another model."""
    from finops.connectors.types import NO_COUNTS, UsageEvent
    from finops.ingest.services import take
    from finops.ingest.types import Received
    from finops.pricing.services import seed_price_book
    from finops.sources.services import add_source

    seed_price_book(by=by, at=at)
    source = add_source(organization_id=organization_id, slug="bench", by=by, at=at)
    events = [
        UsageEvent(
            external_id=f"{name}-{model}", occurred_at=at - timedelta(days=2), provider="openai", model=model,
            counts=(1_000_000, *NO_COUNTS[1:]), task_type=name,
        )
        for name in names
        for model in (_MODEL, "gpt-4o-mini")
    ]  # fmt: skip
    received = [Received(one.external_id.encode(), one) for one in events]
    take(organization_id=organization_id, source_id=source.id, parser="capstan", received=received, at=at)


def _told(organization_id: int) -> Mapping[str, Any]:
    from django.db import connection

    from routing.evidence.models import Outcome
    from routing.recommend.models import Recommendation

    rows = list(Recommendation.objects.filter(organization_id=organization_id, state="open"))
    switched = [row for row in rows if row.kind == "switch"]
    wrong = 0
    with connection.cursor() as cursor:
        for row in switched:
            given = {"t": int(row.task_type.removeprefix("type-")), "m": int(row.candidate.removeprefix("candidate-"))}
            cursor.execute(f"SELECT {_WORSE} FROM (SELECT {given['t']} AS t, {given['m']} AS m) AS one")
            worse = cursor.fetchone()
            wrong += worse is not None and worse[0] > 100 * float(MARGIN)
    return {
        "outcomes": Outcome.objects.filter(organization_id=organization_id).count(),
        "types": len({row.task_type for row in rows if row.task_type}),
        "by_kind": dict(sorted(Counter(row.kind for row in rows).items())),
        "saved_a_month": str(sum(row.saving for row in rows)),
        "switches": len(switched),
        "wrong": wrong,
    }
