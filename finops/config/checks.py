"""Django system checks of what the environment says: each has a stable id, and a hint that says how to mend it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004 - Django's own name
from django.db import connections

SECRET_CHARACTERS_MIN = 32
SECRET_DISTINCT_MIN = 8
POSTGRES_OLDEST = 160000
_LOCAL = {"localhost", "127.0.0.1", "[::1]", "::1", "testserver", "0.0.0.0"}  # noqa: S104 - names, not a bind
_BROKERS = {"redis", "rediss", "redis+socket", "sentinel"}
_RATE = re.compile(r"[1-9][0-9]*/(s|sec|m|min|h|hour|d|day)")


@register(Tags.security)
def check_secret(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """capstan.E001: the secret can be guessed."""
    secret = settings.SECRET_KEY
    if len(secret) >= SECRET_CHARACTERS_MIN and len(set(secret)) >= SECRET_DISTINCT_MIN:
        return []
    return [
        Error(
            "The secret key is too short or too regular: virtual keys and logins could be forged.",
            hint="Set CAPSTAN_SECRET_KEY (or CAPSTAN_SECRET_KEY_FILE) to 50 random characters, or unset it: one is "
            "then made and kept in the data folder.",
            id="capstan.E001",
        )
    ]


@register(Tags.security)
def check_hosts(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """capstan.E002, E003 and W001: what is reachable from elsewhere is named, encrypted and not in debug mode."""
    found: list[CheckMessage] = []
    if "*" in settings.ALLOWED_HOSTS:
        hint = "Set CAPSTAN_HOSTS to the names people use, such as capstan.example.com."
        found.append(Error("CAPSTAN_HOSTS lets any name in.", hint=hint, id="capstan.E002"))
    public = sorted(host for host in settings.ALLOWED_HOSTS if host not in _LOCAL and not host.endswith(".localhost"))
    if public and settings.DEBUG:
        hint = "Unset CAPSTAN_DEBUG: its error pages show settings and code."
        found.append(Error(f"Debug mode is on while {public[0]} is served.", hint=hint, id="capstan.E003"))
    if public and not settings.HTTPS:
        hint = "Put TLS in front and set CAPSTAN_HTTPS=1; until then passwords and keys travel in the open."
        found.append(Warning(f"{public[0]} is served without HTTPS.", hint=hint, id="capstan.W001"))
    return found


@register()
def check_broker(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """capstan.E004: the queue's address is of a kind Celery is installed for here."""
    scheme = urlsplit(settings.REDIS_URL).scheme
    if scheme in _BROKERS:
        return []
    hint = "Set REDIS_URL to redis://host:6379/0 (rediss:// with TLS), or unset it for the embedded Valkey."
    return [Error(f"REDIS_URL starts with {scheme!r}, which is no Redis or Valkey.", hint=hint, id="capstan.E004")]


@register()
def check_ledger_time(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """capstan.E005: ledger time is UTC, everywhere."""
    if settings.USE_TZ and settings.TIME_ZONE == "UTC" and settings.CELERY_TIMEZONE == "UTC":
        return []
    hint = "Leave USE_TZ on and TIME_ZONE and CELERY_TIMEZONE at UTC; zones belong to budgets and people."
    return [Error("Ledger time would not be UTC.", hint=hint, id="capstan.E005")]


@register()
def check_rate(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """capstan.E006: the rate limit can be read."""
    rate = settings.REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"]["caller"]
    if _RATE.fullmatch(rate):
        return []
    hint = "Set CAPSTAN_API_RATE to a number per unit, such as 6000/min."
    return [Error(f"CAPSTAN_API_RATE={rate!r} is not a rate.", hint=hint, id="capstan.E006")]


@register(Tags.database)
def check_server(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None, **_: Any
) -> list[CheckMessage]:
    """capstan.E007 and E008: the database server is new enough and stores UTF-8. Runs with `migrate` and on request."""
    found: list[CheckMessage] = []
    for alias in databases or ():
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT current_setting('server_version_num')::int, current_setting('server_encoding')")
            version, encoding = cursor.fetchone()
        if version < POSTGRES_OLDEST:
            hint = f"Point DATABASE_URL at PostgreSQL {POSTGRES_OLDEST // 10000} or newer."
            found.append(Error(f"PostgreSQL {version // 10000} is too old.", hint=hint, id="capstan.E007"))
        if encoding != "UTF8":
            hint = "Make the database with ENCODING 'UTF8'."
            found.append(Error(f"The database stores {encoding}, not UTF8.", hint=hint, id="capstan.E008"))
    return found
