"""How `bench gateway` measures: each gateway by itself, in rounds that take turns."""

from __future__ import annotations

import json
import multiprocessing
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any, Final, NamedTuple

from bench.load import Done, Job, Load, post
from bench.serving import Server
from bench.upstream import LAST_EVENTS, MODEL, serve

CONNECTIONS: Final = 16
STREAMS: Final = 32
OPEN: Final = 500
# So many different callers; requests of 1.5 KB.
CALLERS: Final = 100
_WORDS: Final = "Say in a few plain words what the following lines are about, and who should read them. " * 15
# Less than so much of a core is nothing.
_IDLE: Final = 0.08
_IDLE_WITHIN_S: Final = 10.0


class Script(NamedTuple):
    """So many events of a stream, and the milliseconds between them."""

    events: int
    pace_ms: int


# To look at a first byte; at the pace of a usual model; and to stay open.
SHORT, USUAL, LONG = Script(4, 2), Script(50, 20), Script(10, 500)


class Unlike(Exception):
    """Gateways did not do the same, so what was measured compares nothing."""


class Upstream:
    """The mock, in a process of its own."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._served = context.RawValue("Q", 0)
        ours, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, self._served), daemon=True)
        self._process.start()
        self.port: int = ours.recv()

    @property
    def served(self) -> int:
        return int(self._served.value)

    def close(self) -> None:
        self._process.terminate()
        self._process.join()


class Racer:
    """One gateway, or the upstream itself where there is no server between. `headers` are those of the n-th caller."""

    def __init__(
        self, name: str, port: int, server: Server | None, headers: Callable[[int], Mapping[str, str]]
    ) -> None:
        self.name = name
        self.port = port
        self.server = server
        self.answered = 0
        self._headers = headers

    def requests(self, script: Script | None = None) -> list[bytes]:
        """One of each caller; of a stream where there is a script."""
        return [
            post("/v1/chat/completions", _body(n, script), {**self._headers(n), "accept": "*/*"})
            for n in range(CALLERS)
        ]

    def cpu_s(self) -> float:
        return self.server.cpu_s() if self.server else 0.0


class Race:
    """The load, the upstream and who takes part. What is measured stands in `figures` by its name and the racer's."""

    def __init__(self, upstream: Upstream, load: Load, racers: Sequence[Racer]) -> None:
        self.racers = racers
        self.figures: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        self._upstream = upstream
        self._load = load

    def do(
        self, racer: Racer, connections: int, seconds: float, script: Script | None = None,
        meanwhile: Callable[[], object] = lambda: None,
    ) -> Done:  # fmt: skip
        """One job, once everybody is idle. Raises Unlike when the upstream did not answer every call, once."""
        self._idle()
        before = self._upstream.served
        done = self._load.do(Job(racer.port, racer.requests(script), connections, seconds), meanwhile)
        racer.answered += done.answers
        served = self._upstream.served - before
        if served != done.answers:
            raise Unlike(f"{racer.name} answered {done.answers} calls and the upstream {served}")
        return done

    def warm(self, racer: Racer, seconds: float) -> None:
        """Raises Unlike when an answer is not what the upstream said."""
        whole = self.do(racer, CONNECTIONS, seconds)
        if b"quick brown fox" not in whole.last or b'"prompt_tokens"' not in whole.last:
            raise Unlike(f"{racer.name} answered {whole.last!r}")
        stream = self.do(racer, CONNECTIONS, 0, USUAL)
        if b"[DONE]" not in stream.last or stream.events < CONNECTIONS * USUAL.events:
            raise Unlike(f"{racer.name} streamed {stream.events} events, the last of them {stream.last[-2000:]!r}")

    def round(self, seconds: float, streaming: Sequence[Racer]) -> None:
        """Everything, once for each racer, but events of streams, for `streaming` alone. `…_us` is processor time, of a
        call and of an event: what other work on the machine changes least.
        """
        for racer in self.racers:
            before = racer.cpu_s()
            done = self.do(racer, CONNECTIONS, seconds)
            self._note("rps", racer, done.per_s)
            self._note("call_us", racer, (racer.cpu_s() - before) * 1e6 / done.answers)
        for racer in self.racers:
            self._note("p50_ms", racer, self.do(racer, 1, seconds).whole_ms)
        for racer in self.racers:
            self._note("ttfb_ms", racer, self.do(racer, 1, seconds, SHORT).first_ms)
        for racer in streaming:
            self._note("event_us", racer, self._event_us(racer, seconds))

    def rss_mb(self, racer: Racer) -> float:
        """The most memory it has while as many streams as `OPEN` are open."""
        server, seen = racer.server, [0.0]
        assert server is not None
        done = self.do(racer, OPEN, 0, LONG, lambda: seen.append(server.rss_mb()))
        if done.open_most != OPEN:
            raise Unlike(f"{racer.name} had {done.open_most} streams open at once")
        return max(seen)

    def median(self, what: str, name: str) -> float | None:
        figures = self.figures[what].get(name)
        return median(figures) if figures else None

    def between(self, what: str, name: str, other: str, how: Callable[[float, float], float]) -> list[float]:
        """What each round says of two; nothing where one of them does not take part."""
        return [how(*pair) for pair in zip(self.figures[what][name], self.figures[what][other], strict=False)]

    def _event_us(self, racer: Racer, seconds: float) -> float:
        before = racer.cpu_s()
        done = self.do(racer, STREAMS, seconds, USUAL)
        used = racer.cpu_s() - before
        if done.events != done.answers * (USUAL.events + LAST_EVENTS):
            raise Unlike(f"{racer.name} streamed {done.events} events in {done.answers} answers")
        return used * 1e6 / done.events

    def _note(self, what: str, racer: Racer, figure: float) -> None:
        self.figures[what][racer.name].append(figure)

    def _idle(self) -> None:
        """Wait until nobody works any more: what a gateway puts off must not fall on the next one."""
        until = time.monotonic() + _IDLE_WITHIN_S
        while time.monotonic() < until:
            before = sum(racer.cpu_s() for racer in self.racers)
            time.sleep(0.25)
            if sum(racer.cpu_s() for racer in self.racers) - before < _IDLE * 0.25:
                return


def _body(n: int, script: Script | None) -> bytes:
    words = f"{_WORDS}This is caller {n}."
    told: dict[str, Any] = {"model": MODEL, "max_completion_tokens": 1_000}
    if script is not None:
        words += f" events={script.events} pace_ms={script.pace_ms}"
        told |= {"stream": True, "stream_options": {"include_usage": True}}
    messages = [
        {"role": "system", "content": "You are a careful assistant who answers briefly and says what is not known."},
        {"role": "user", "content": words},
    ]
    return json.dumps(told | {"messages": messages}).encode()
