"""What a supervisor starts, and what it tells its children."""

from __future__ import annotations

import pytest

from finops.runtime import programs
from finops.runtime.programs import Door


def told(host: str) -> str | None:
    web = programs.web(Door(host, 8000), Door(host, 8100), workers=1, told="warning")
    return web.environment.get("CAPSTAN_GATEWAY_URL")


def measuring(host: str) -> str | None:
    worker = programs.worker("alerts", "alerts", told="warning", gateway=Door(host, 8100))
    return worker.environment.get("CAPSTAN_GATEWAY_URL")


def test_a_worker_that_measures_models_knows_how_this_machine_reaches_the_gateway(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CAPSTAN_GATEWAY_URL", raising=False)
    assert measuring("0.0.0.0") == "http://localhost:8100"  # noqa: S104
    assert measuring("10.0.0.7") == "http://10.0.0.7:8100"
    assert "CAPSTAN_GATEWAY_URL" not in programs.worker("worker", "ingest", told="warning").environment
    monkeypatch.setenv("CAPSTAN_GATEWAY_URL", "https://ai.acme.example")
    assert measuring("10.0.0.7") is None


def test_the_web_knows_where_the_gateway_is_unless_somebody_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CAPSTAN_GATEWAY_URL", raising=False)
    assert told("127.0.0.1") == "http://localhost:8100"
    assert told("::1") == "http://localhost:8100"
    assert told("0.0.0.0") is None  # noqa: S104  every address: nobody knows by which name people come
    monkeypatch.setenv("CAPSTAN_GATEWAY_URL", "https://ai.acme.example")
    assert told("127.0.0.1") is None
