from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.fakes.sinks import MailSink, WebSink, mail_sink, web_sink


@pytest.fixture
def mail(settings: Any) -> Iterator[MailSink]:
    """A mail server of the test's own, which the settings name."""
    with mail_sink() as sink:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_USE_TLS = "127.0.0.1", sink.port, False
        settings.DEFAULT_FROM_EMAIL = "Capstan <capstan@acme.example>"
        yield sink


@pytest.fixture
def web(settings: Any) -> Iterator[WebSink]:
    """A web server of the test's own, which webhooks may go to."""
    settings.ALERTS_LOOPBACK = True
    with web_sink() as sink:
        yield sink
