"""A misconfigured setting is named at the start, with the way to mend it."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.checks import CheckMessage
from pytest_django import Settings

from finops.config import checks, env


def ids(found: list[CheckMessage]) -> list[str]:
    assert all(message.hint for message in found)
    return [str(message.id) for message in found]


@pytest.mark.parametrize("secret", ["short", "a" * 60, "0" * 31])
def test_a_guessable_secret_is_an_error(settings: Settings, secret: str) -> None:
    settings.SECRET_KEY = secret
    assert ids(checks.check_secret(None)) == ["capstan.E001"]


def test_a_random_secret_is_none(settings: Settings) -> None:
    settings.SECRET_KEY = "kW3l-8Zq_2mX9vB1nR7tY5uI0oP4aS6d"
    assert checks.check_secret(None) == []


@pytest.mark.parametrize(
    ("hosts", "https", "debug", "expected"),
    [
        (["localhost", "127.0.0.1"], False, False, []),
        (["capstan.example.com"], True, False, []),
        (["capstan.example.com"], False, False, ["capstan.W001"]),
        (["capstan.example.com"], True, True, ["capstan.E003"]),
        (["*"], True, False, ["capstan.E002"]),
    ],
)
def test_what_others_reach_is_named_encrypted_and_not_in_debug(
    settings: Settings, hosts: list[str], https: bool, debug: bool, expected: list[str]
) -> None:
    settings.ALLOWED_HOSTS, settings.HTTPS, settings.DEBUG = hosts, https, debug
    assert ids(checks.check_hosts(None)) == expected


@pytest.mark.parametrize(("url", "expected"), [("redis://h:6379/0", []), ("http://h", ["capstan.E004"])])
def test_the_broker_speaks_redis(settings: Settings, url: str, expected: list[str]) -> None:
    settings.REDIS_URL = url
    assert ids(checks.check_broker(None)) == expected


def test_ledger_time_is_utc(settings: Settings) -> None:
    assert checks.check_ledger_time(None) == []
    settings.TIME_ZONE = "Europe/Berlin"
    assert ids(checks.check_ledger_time(None)) == ["capstan.E005"]


@pytest.mark.parametrize(
    ("rate", "expected"), [("60/min", []), ("0/min", ["capstan.E006"]), ("many", ["capstan.E006"])]
)
def test_the_rate_can_be_read(settings: Settings, rate: str, expected: list[str]) -> None:
    settings.REST_FRAMEWORK = {"DEFAULT_THROTTLE_RATES": {"caller": rate}}
    assert ids(checks.check_rate(None)) == expected


@pytest.mark.parametrize(
    ("value", "reading"),
    [
        ("maybe", lambda: env.boolean("CAPSTAN_X", default=False)),
        ("0", lambda: env.integer("CAPSTAN_X", 5, low=1, high=9)),
        ("ten", lambda: env.integer("CAPSTAN_X", 5, low=1, high=9)),
        ("LOUD", lambda: env.choice("CAPSTAN_X", "INFO", ["INFO", "DEBUG"])),
    ],
)
def test_an_unreadable_setting_names_itself_its_value_and_what_to_set(
    monkeypatch: pytest.MonkeyPatch, value: str, reading: Any
) -> None:
    monkeypatch.setenv("CAPSTAN_X", value)
    with pytest.raises(env.SettingInvalid, match=rf"CAPSTAN_X='{value}' cannot be used: .*\. Set it to"):
        reading()


def test_a_secret_is_read_from_the_file_that_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    (tmp_path / "key").write_text("from the file\n")
    monkeypatch.setenv("CAPSTAN_X_FILE", str(tmp_path / "key"))
    assert env.secret("CAPSTAN_X") == "from the file"
    monkeypatch.setenv("CAPSTAN_X_FILE", str(tmp_path / "absent"))
    with pytest.raises(env.SettingInvalid, match="CAPSTAN_X_FILE"):
        env.secret("CAPSTAN_X")


def test_a_bad_database_url_is_refused_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    def parse(_: str) -> str:
        raise ValueError("it names no database")

    monkeypatch.setenv("CAPSTAN_X", "postgresql://u:hunter2@h")
    with pytest.raises(env.SettingInvalid, match="CAPSTAN_X cannot be used: it names no database") as refused:
        env.read("CAPSTAN_X", "", parse, "Set it.", shown=False)
    assert "hunter2" not in str(refused.value)
