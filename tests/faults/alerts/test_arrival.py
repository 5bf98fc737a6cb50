"""A signal arrives as one letter and one webhook, by a real worker and beat: soon, once, and although nobody listened
at first.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
from django.db import connection

from finops.alerts.models import Delivery, Incident
from finops.config.celery import app
from finops.runtime.places import CHECKOUT
from tests.factories.alerts import channel, signal
from tests.factories.gateway import Gateway, call, key, published
from tests.factories.ledger import small_book
from tests.factories.orgs import NOON, Cast, the_cast
from tests.fakes.sinks import mail_sink, web_sink
from tests.waiting import until

PATIENCE_S = 60


class Running(NamedTuple):
    queue: str
    mail_port: int
    web_port: int


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def running(transactional_db: None, broker_url: str) -> Iterator[Running]:
    """A worker and beat as in production, and ports on which nobody listens yet."""
    made = Running(f"test-{uuid4().hex}", free_port(), free_port())
    settings = connection.settings_dict
    environment = os.environ | {
        "CAPSTAN_TEST_DATABASE": json.dumps(
            {key: settings[key] for key in ("NAME", "HOST", "PORT", "USER", "PASSWORD")}
        ),
        "DJANGO_SETTINGS_MODULE": "finops.config.settings",
        "REDIS_URL": broker_url,
        "CAPSTAN_SMTP_HOST": "127.0.0.1",
        "CAPSTAN_SMTP_PORT": str(made.mail_port),
        "CAPSTAN_SMTP_TLS": "none",
        "CAPSTAN_ALERTS_LOOPBACK": "1",
        # What was sealed here is opened there.
        "CAPSTAN_SECRET_KEY": _secret(),
    }
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.faults.alerts.celery_process", role, made.queue],
            cwd=CHECKOUT,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for role in ("worker", "beat")
    ]
    yield made
    for process in reversed(processes):
        process.terminate()
        process.wait(timeout=PATIENCE_S)
    with app.connection_for_write(broker_url) as broker:
        channels: Any = broker.default_channel
        channels.queue_delete(made.queue)


def _secret() -> str:
    from django.conf import settings

    return str(settings.SECRET_KEY)


def told_twice(queue: str, broker_url: str) -> None:
    """Every task once more, as a broker may."""
    with app.connection_for_write(broker_url) as broker:
        for name in ("take_signals", "deliver", "deliver", "evaluate"):
            app.send_task(f"alerts.{name}", kwargs={"from_a_later_version": 1}, queue=queue, connection=broker)


def test_an_alert_arrives_once_by_each_way(running: Running, broker_url: str) -> None:
    cast = the_cast()
    hook = f"http://127.0.0.1:{running.web_port}/hook"
    channel(cast.acme.id, "email", at=NOON)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAPSTAN_ALERTS_LOOPBACK", "1")
        patch.setattr("django.conf.settings.ALERTS_LOOPBACK", True)
        channel(cast.acme.id, "webhook", address=hook, at=NOON)
    _announce(cast, "session:first")
    # Nobody listens: it is noted and will be tried again.
    until(lambda: Delivery.objects.filter(state="waiting", tries__gte=1).count() == 2)
    assert all("reached" in error for error in Delivery.objects.values_list("last_error", flat=True))
    with ExitStack() as stack:
        mail = stack.enter_context(mail_sink(running.mail_port))
        web = stack.enter_context(web_sink(running.web_port))
        until(lambda: Delivery.objects.filter(state="delivered").count() == 2)
        told_twice(running.queue, broker_url)
        began = time.monotonic()
        _announce(cast, "session:second")
        until(lambda: len(web.posts) == 2 and len(mail.letters) == 2)
        took_s = time.monotonic() - began
        told_twice(running.queue, broker_url)
        _announce(cast, "session:second")
        until(lambda: Incident.objects.get(key="session:second").count == 2)
        until(lambda: Delivery.objects.filter(state="delivered").count() == 4)
        told = [[one["key"] for one in json.loads(post.body)["incidents"]] for post in web.posts]
        assert told == [["session:first"], ["session:second"]]
        subjects = [letter["Subject"] for letter in mail.letters]
        assert subjects == ["[Acme] A breaker stopped session first", "[Acme] A breaker stopped session second"]
    # About two seconds on a quiet machine: a second until the signal is taken, and its way through the broker.
    assert took_s < 10, took_s


def test_a_runaway_agent_is_stopped_within_a_second_and_told_of_once(
    running: Running, broker_url: str, tmp_path: Path
) -> None:
    small_book()
    cast = the_cast()
    secret = key(cast.acme.id, at=NOON)
    hook = f"http://127.0.0.1:{running.web_port}/hook"
    channel(cast.acme.id, "email", at=NOON)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("django.conf.settings.ALERTS_LOOPBACK", True)
        channel(cast.acme.id, "webhook", address=hook, at=NOON)
    published()
    with ExitStack() as stack:
        mail = stack.enter_context(mail_sink(running.mail_port))
        web = stack.enter_context(web_sink(running.web_port))
        gateway = Gateway(tmp_path)
        stack.callback(gateway.stop)
        began, calls = time.monotonic(), 0
        while (said := gateway.ask(secret, body=call(session="s-1", fingerprint="the same"))).status == 200:
            calls += 1
            # Fifty a second.
            time.sleep(max(0.0, began + calls / 50 - time.monotonic()))
        assert (said.body["code"], calls) == ("budgets.stopped", 20)
        assert time.monotonic() - began < 1, "it went on for too long"
        until(lambda: len(web.posts) == 1 and len(mail.letters) == 1)
        for _ in range(20):
            assert gateway.ask(secret, body=call(session="s-1", fingerprint="the same")).status == 429
        told_twice(running.queue, broker_url)
        until(lambda: Delivery.objects.filter(state="delivered").count() == 2)
        assert (len(web.posts), len(mail.letters)) == (1, 1)
        (incident,) = json.loads(web.posts[0].body)["incidents"]
        assert incident["key"] == "session:s-1"


def _announce(cast: Cast, key: str) -> None:
    signal(cast.acme.id, key=key, at=datetime.now(UTC), reason="50 identical calls in a row")
