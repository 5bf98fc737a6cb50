"""How letters get there: webhooks to nobody's inner network, chats by their own formats."""

from __future__ import annotations

import json
import logging
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from apprise.plugins import pagerduty, slack, workflows

from finops.alerts.senders import chats, webhook
from finops.alerts.types import Letter, Medium, Outcome, Story
from tests.factories.alerts import ADDRESSES
from tests.factories.orgs import NOON
from tests.fakes.sinks import WebSink

BREAKER = Story(
    id=7, kind="breaker.tripped", key="session:8f3a", severity="critical", event="opened",
    title="A breaker stopped session 8f3a", sentences=("Why: a loop.",), details={}, opened_at=NOON, seen=1, href="",
)  # fmt: skip
LETTER = Letter("d1", "Acme", NOON, (BREAKER,))


@contextmanager
def names(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> Iterator[list[str]]:
    """Every name leads to these addresses; gives who was asked for."""
    asked: list[str] = []

    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    yield asked


@pytest.mark.parametrize("inner", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "::ffff:192.168.0.1"])
def test_a_name_that_leads_inside_is_not_connected_to(monkeypatch: pytest.MonkeyPatch, inner: str) -> None:
    connected: list[Any] = []
    monkeypatch.setattr(socket, "create_connection", lambda *a, **_: connected.append(a))
    with names(monkeypatch, "8.8.8.8", inner):
        outcome = webhook.send("https://hooks.acme.example/x", "s", LETTER)
    assert outcome == Outcome("The name leads to an address that is not on the public net.", permanent=True)
    assert connected == []


def test_the_connection_goes_to_the_address_that_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that answers differently the second time leads nowhere: it is asked once."""
    connected: list[Any] = []

    def connect(address: Any, **_: Any) -> Any:
        connected.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", connect)
    with names(monkeypatch, "93.184.216.34") as asked:
        outcome = webhook.send("https://hooks.acme.example:8443/x", "s", LETTER)
    assert (asked, connected) == (["hooks.acme.example"], [("93.184.216.34", 8443)])
    assert outcome == Outcome("It cannot be reached (ConnectionRefusedError).")


def test_this_machine_only_where_the_settings_say_so(web: WebSink, settings: Any) -> None:
    assert webhook.send(web.address, "s", LETTER) == Outcome()
    settings.ALERTS_LOOPBACK = False
    assert webhook.send(web.address, "s", LETTER).permanent
    assert len(web.posts) == 1


def test_a_huge_answer_is_not_read_to_its_end(web: WebSink) -> None:
    web.answer = b"x" * 5_000_000
    assert webhook.send(web.address, "s", LETTER) == Outcome()


def test_an_answer_that_drips_is_cut_off(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.ALERTS_LOOPBACK = True
    monkeypatch.setattr(webhook, "WHOLE_S", 0.4)
    over = threading.Event()

    class Drips(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            try:
                while not over.wait(0.05):
                    self.request.sendall(b"H")
            except OSError:
                return

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Drips) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        began = time.monotonic()
        outcome = webhook.send(f"http://127.0.0.1:{server.server_address[1]}/", "s", LETTER)
        taken = time.monotonic() - began
        over.set()
        server.shutdown()
        thread.join()
    assert outcome.problem.startswith("It cannot be reached")
    assert taken < 5


@pytest.fixture
def redirected(monkeypatch: pytest.MonkeyPatch, web: WebSink) -> WebSink:
    """What apprise posts to fixed hosts arrives here; it follows no redirects and checks certificates."""
    real = requests.request
    web.answer = b"ok"

    def request(method: str, url: str, **given: Any) -> Any:
        assert url.startswith("https://")
        assert (given["allow_redirects"], given["verify"], given["timeout"]) == (False, True, (5.0, 10.0))
        return real(method, url.replace("https://", f"http://127.0.0.1:{web.port}/"), **given)

    for plugin in (slack, workflows, pagerduty):
        monkeypatch.setattr(plugin.requests, "request", request)
        monkeypatch.setattr(plugin.requests, "post", lambda url, **given: request("post", url, **given))
    monkeypatch.setattr(chats, "_reachable", lambda _: True)
    return web


def test_slack_gets_it(redirected: WebSink) -> None:
    assert chats.send(Medium.SLACK, ADDRESSES["slack"], LETTER) == Outcome()
    [post] = redirected.posts
    assert post.path == "/hooks.slack.com/services/T0AAAAAAA/B0AAAAAAA/abcdefghijklmnopqrstuvwx"
    assert b"A breaker stopped session 8f3a" in post.body


def test_teams_gets_it(redirected: WebSink) -> None:
    assert chats.send(Medium.TEAMS, ADDRESSES["teams"], LETTER) == Outcome()
    [post] = redirected.posts
    assert post.path.startswith("/prod-01.westeurope.logic.azure.com:443/workflows/0123456789abcdef/triggers/manual/")
    assert b"A breaker stopped session 8f3a" in post.body


@pytest.mark.parametrize(("event", "action"), [("opened", "trigger"), ("resolved", "resolve")])
def test_pagerduty_opens_and_closes_our_incident(redirected: WebSink, event: str, action: str) -> None:
    letter = LETTER._replace(stories=(BREAKER._replace(event=event),))
    assert chats.send(Medium.PAGERDUTY, ADDRESSES["pagerduty"], letter) == Outcome()
    said = json.loads(redirected.posts[0].body)
    assert (said["event_action"], said["dedup_key"]) == (action, "capstan-incident-7")
    assert said["routing_key"] == ADDRESSES["pagerduty"]


def test_a_refusal_is_told_without_the_address(redirected: WebSink, caplog: pytest.LogCaptureFixture) -> None:
    redirected.answers = [403]
    with caplog.at_level(logging.INFO):
        outcome = chats.send(Medium.SLACK, ADDRESSES["slack"], LETTER)
    assert "403" in outcome.problem
    assert not outcome.permanent
    for told in (outcome.problem, caplog.text):
        assert "abcdefghijklmnopqrstuvwx" not in told


def test_a_workflow_that_leads_inside_is_not_posted_to(monkeypatch: pytest.MonkeyPatch) -> None:
    with names(monkeypatch, "10.0.0.4"):
        outcome = chats.send(Medium.TEAMS, ADDRESSES["teams"], LETTER)
    assert outcome == Outcome("That host is not on the public net.", permanent=True)
