"""`bench gateway`: model calls through our gateway against a bare pass-through, the LiteLLM proxy and Portkey's.

Ours does all it does: keys, four hard budgets a call, attribution, prices, the journal and its posting to the database.
Each gateway is one process with one worker; one mock upstream and one load generator serve all of them, one gateway at
a time, on the same cores. Rounds are interleaved (ours, bare, LiteLLM, Portkey, ours, …), figures are medians of
rounds, and what compares two is the median of what each round says, so that a machine that changes its pace hits all
alike. Afterwards every call that ours answered is a ledger charge, and the accounts say what the ledger says.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from operator import sub, truediv
from pathlib import Path
from statistics import median
from typing import Any, Final

from bench import peers, serving, support
from bench.company import Size, book, found
from bench.load import Load
from bench.racing import CALLERS, CONNECTIONS, Race, Racer, Upstream
from bench.serving import CannotServe, Server
from bench.upstream import MODEL

SIZE: Final = Size(teams=10, projects=50, people=CALLERS)
OURS, BARE, LITELLM, PORTKEY = "ours", "bare", "litellm", "portkey"
_CREDENTIAL: Final = "sk-of-the-benchmark"


def run(parameters: dict[str, str], say: Callable[[str], Any]) -> dict[str, Any]:
    """Keys: rps, vs_bare, vs_litellm, vs_portkey, added_p50_ms, added_ttfb_ms, stream_cpu_vs_bare, rss_mb_500_streams.

    A figure is None where one it needs is `missing`, which says why.
    """
    seconds, rounds = float(parameters.get("seconds", "5")), int(parameters.get("rounds", "5"))
    without = [name for name in parameters.get("without", "").split(",") if name]
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name, support.scratch_database(), ExitStack() as stack:
        upstream, load = Upstream(), Load()
        stack.callback(upstream.close)
        stack.callback(load.close)
        organization_id, secret = _company(upstream.port)
        racers, missing = _racers(Path(name), upstream, secret, without, stack, say)
        race = Race(upstream, load, list(racers.values()))
        direct = Racer("nobody", upstream.port, None, lambda _: {})
        say("warming up")
        for racer in (direct, *racers.values()):
            race.warm(racer, 2 * seconds)
        ceiling = race.do(direct, CONNECTIONS, seconds).per_s
        streaming = [racer for name, racer in racers.items() if name in (OURS, BARE)]
        for number in range(1, rounds + 1):
            say(f"round {number} of {rounds}")
            race.round(seconds, streaming)
        say("many streams at once")
        rss = {racer.name: race.rss_mb(racer) for racer in streaming}
        if OURS in racers:
            say("booking what ours answered")
            server = racers[OURS].server
            assert server is not None
            server.end()
            book(organization_id, racers[OURS].answered)
    return {
        "bench": "gateway",
        **_figures(race, rss),
        "ceiling_rps": round(ceiling),
        "missing": missing,
        "seconds": seconds,
        "rounds": rounds,
        "load_before": round(before, 2),
        "machine": support.machine(),
    }


def _figures(race: Race, rss: Mapping[str, float]) -> dict[str, Any]:
    told: dict[str, Any] = {"rps": _round(race.median("rps", OURS))}
    for name in (BARE, LITELLM, PORTKEY):
        told[f"vs_{name}"] = _middle(race.between("rps", OURS, name, truediv))
    told["added_p50_ms"] = _middle(race.between("p50_ms", OURS, BARE, sub))
    told["added_ttfb_ms"] = _middle(race.between("ttfb_ms", OURS, BARE, sub))
    told["stream_cpu_vs_bare"] = _middle(race.between("event_us", OURS, BARE, truediv))
    told["call_cpu_vs_bare"] = _middle(race.between("call_us", OURS, BARE, truediv))
    told["rss_mb_500_streams"] = _round(rss.get(OURS), 1)
    told["bare_rss_mb_500_streams"] = _round(rss.get(BARE), 1)
    for name in (BARE, LITELLM, PORTKEY):
        told[f"{name}_rps"] = _round(race.median("rps", name))
    # What everybody was measured as, round by round: how far they are to be trusted.
    told["by_round"] = {
        what: {name: [round(figure, 3) for figure in figures] for name, figures in by_name.items()}
        for what, by_name in race.figures.items()
    }
    return told


def _middle(figures: list[float]) -> float | None:
    return round(median(figures), 3) if figures else None


def _round(figure: float | None, digits: int | None = None) -> float | None:
    return None if figure is None else round(figure, digits)


# --- Who takes part ---------------------------------------------------------------------------------------------------
def _company(port: int) -> tuple[int, str]:
    """A company with the mock as its upstream, published."""
    from django.conf import settings
    from django.utils import timezone

    from finops.core.actors import system
    from routing.configuration.services import publish_changes
    from routing.upstreams.services import create_upstream, set_deployment
    from routing.upstreams.types import DeploymentDraft, UpstreamDraft

    organization_id, secret = found(SIZE, "calls.make")
    by, at = system("bench"), timezone.now()
    settings.INTERNAL_HOSTS = frozenset({f"127.0.0.1:{port}"})
    draft = UpstreamDraft(name="mock", dialect="openai", base_url=f"http://127.0.0.1:{port}/v1", provider="openai")
    row = create_upstream(organization_id=organization_id, draft=draft, credential=_CREDENTIAL, by=by, at=at)
    set_deployment(organization_id=organization_id, upstream_id=row.id, draft=DeploymentDraft(MODEL), by=by, at=at)
    publish_changes(timezone.now())
    return organization_id, secret


def _racers(
    folder: Path, upstream: Upstream, secret: str, without: list[str], stack: ExitStack, say: Callable[[str], Any]
) -> tuple[dict[str, Racer], dict[str, str]]:
    """Who serves, in the order of a round; and why the others do not."""
    address = f"127.0.0.1:{upstream.port}"
    starts: dict[str, Callable[[], Server]] = {
        OURS: lambda: serving.gateway(folder, {"CAPSTAN_INTERNAL_HOSTS": address}),
        BARE: lambda: peers.bare(folder, f"http://{address}"),
        LITELLM: lambda: peers.litellm(folder, f"http://{address}", secret),
        PORTKEY: lambda: peers.portkey(folder),
    }
    there = {"x-portkey-provider": "openai", "x-portkey-custom-host": f"http://{address}/v1"}
    racers, missing = {}, dict.fromkeys(without, "left out, as asked")
    for name, start in starts.items():
        if name in without:
            continue
        say(f"starting {name}")
        try:
            server = start()
        except CannotServe as error:
            if name in (OURS, BARE):
                raise
            missing[name] = str(error)
            continue
        stack.callback(server.end)
        more = there if name == PORTKEY else {}

        def headers(n: int, more: Mapping[str, str] = more) -> dict[str, str]:
            """The same for all, but where Portkey is told its upstream."""
            return {
                "authorization": f"Bearer {secret}",
                "x-capstan-person": f"p{n % SIZE.people}",
                "x-capstan-project": f"j{n % SIZE.projects}",
                **more,
            }

        racers[name] = Racer(name, server.port, server, headers)
    return racers, missing
