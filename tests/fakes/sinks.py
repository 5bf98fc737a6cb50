"""A mail server and a web server that keep what they are sent."""

from __future__ import annotations

import email
import email.policy
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class MailSink:
    """`letters` in the order they came; `answers` are codes for the next of them instead of taking them."""

    port: int = 0
    letters: list[EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)


@dataclass
class Posted:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class WebSink:
    """`posts` in the order they came; `answers` are statuses for the next of them, 200 when there is none."""

    port: int = 0
    posts: list[Posted] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    answer: bytes = b"ok"

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks/capstan"


@contextmanager
def mail_sink(port: int = 0) -> Iterator[MailSink]:
    """An SMTP server that knows what a client of the standard library says."""
    kept = MailSink()

    class Session(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say(220, "sink")
            recipients: list[str] = []
            while line := self.rfile.readline():
                word = line[:4].upper()
                if word == b"DATA":
                    self._say(354, "go on")
                    body = b""
                    while (line := self.rfile.readline()) != b".\r\n":
                        body += line
                    if kept.answers:
                        self._say(kept.answers.pop(0), "not taken")
                        continue
                    kept.letters.append(email.message_from_bytes(body, policy=email.policy.default))
                    kept.recipients.append(recipients)
                    self._say(250, "taken")
                elif word == b"QUIT":
                    self._say(221, "bye")
                    return
                else:
                    if word == b"RCPT":
                        recipients.append(line.split(b"<", 1)[1].split(b">", 1)[0].decode())
                    self._say(250, "well")

        def _say(self, code: int, words: str) -> None:
            self.wfile.write(f"{code} {words}\r\n".encode())

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

    with Server(("127.0.0.1", port), Session) as server:
        kept.port = int(server.server_address[1])
        with _serving(server):
            yield kept


@contextmanager
def web_sink(port: int = 0) -> Iterator[WebSink]:
    kept = WebSink()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            kept.posts.append(Posted(self.path, dict(self.headers.items()), body))
            # Who asked may have read enough and left.
            with suppress(ConnectionError):
                self._answer()

        def _answer(self) -> None:
            self.send_response(kept.answers.pop(0) if kept.answers else 200)
            for name, value in kept.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(kept.answer)))
            self.end_headers()
            self.wfile.write(kept.answer)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
            return

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        kept.port = int(server.server_address[1])
        with _serving(server):
            yield kept


@contextmanager
def _serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
