"""A server on loopback that a test starts: real HTTP, with what went wrong last time said beforehand."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

Headers = dict[str, str]


class Asked(NamedTuple):
    method: str
    path: str
    query: dict[str, str]
    body: Any
    headers: Headers
    # As it came, where a name stands more than once.
    pairs: tuple[tuple[str, str], ...] = ()


class Fake:
    """Answers by `answer`; keeps what it was asked. `fail(…)` has the next requests answered so instead, and `hold(…)`
    has one wait for its answer until `let_go()`.
    """

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self._failures: list[tuple[int, Any, Headers] | None] = []
        self._holds_at = 0
        self._held, self._let_go = threading.Event(), threading.Event()
        self._lock = threading.RLock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def answer(self, asked: Asked) -> tuple[int, Any]:
        raise NotImplementedError

    def fail(self, *statuses: int, body: Any = None, headers: Headers | None = None, after: int = 0) -> None:
        """`after` requests more that are answered as ever."""
        with self._lock:
            self._failures += [None] * after
            self._failures += [(status, body if body is not None else {}, headers or {}) for status in statuses]

    def forgive(self) -> None:
        """Nothing fails any more."""
        with self._lock:
            self._failures.clear()

    def hold(self, number: int) -> None:
        """The request that is so many from now (1 is the next) waits for its answer; see `is_holding`."""
        with self._lock:
            self._holds_at = len(self.asked) + number
            self._held.clear()
            self._let_go.clear()

    @property
    def is_holding(self) -> bool:
        return self._held.is_set()

    def let_go(self) -> None:
        """What is held is answered, if somebody still waits for it, and nothing is held any more."""
        with self._lock:
            self._holds_at = 0
            self._held.clear()
            self._let_go.set()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def address(self) -> str:
        return f"http://{self.host}"

    def close(self) -> None:
        self.let_go()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answered(self, asked: Asked) -> tuple[int, Any, Headers]:
        with self._lock:
            self.asked.append(asked)
            is_held = len(self.asked) == self._holds_at
        if is_held:
            self._held.set()
            self._let_go.wait()
        with self._lock:
            failure = self._failures.pop(0) if self._failures else None
            return failure or (*self.answer(asked), {})

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Head and body are sent apart: the second would wait 40 ms for the first to be heard of.
            disable_nagle_algorithm = True

            def log_message(self, *_: Any) -> None:
                pass

            def _serve(self) -> None:
                parts = urlsplit(self.path)
                length = int(self.headers.get("Content-Length") or 0)
                said_by_it = self.rfile.read(length) if length else b""
                headers = {name.lower(): value for name, value in self.headers.items()}
                is_form = headers.get("content-type") == "application/x-www-form-urlencoded"
                body = said_by_it.decode() if is_form else json.loads(said_by_it) if said_by_it else None
                pairs = tuple(parse_qsl(parts.query))
                status, said, more = fake._answered(Asked(self.command, parts.path, dict(pairs), body, headers, pairs))
                raw = said if isinstance(said, bytes) else json.dumps(said).encode()
                self.send_response(status)
                for name, value in {
                    "Content-Type": "application/json",
                    "Content-Length": str(len(raw)),
                    **more,
                }.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(raw)

            def _answer(self) -> None:
                try:
                    self._serve()
                except (BrokenPipeError, ConnectionResetError):
                    # Whoever asked was killed.
                    self.close_connection = True

            do_GET = do_POST = _answer  # noqa: N815 - the library's names

        return Handler
