"""What the environment says. Read once, when the proxy loads the plug-in; a mistake ends the start with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CLOSED: Final = "closed"
OPEN: Final = "open"
LOCAL: Final = "local"
OFF: Final = "off"
ON: Final = "on"
NONE: Final = "none"
FIRST: Final = "first"
REFUSE: Final = "refuse"
ALLOW: Final = "allow"

# Whom a call is charged to, from what LiteLLM knows of it. The first source that says something wins. Team and person
# are read only from what the proxy has authenticated: a header is the client's word, and no cap is escaped by a word.
DEFAULT_MAP: Final = (
    "team=team_alias"
    ",project=header:x-capstan-project|tag:project|project_alias"
    ",agent=header:x-capstan-agent|tag:agent|agent_id"
    ",customer=header:x-capstan-customer|tag:customer|end_user"
    ",session=header:x-capstan-session|session"
    ",task_type=header:x-capstan-task|tag:task"
)
TARGETS: Final = ("team", "person", "project", "agent", "customer", "session", "task_type")
PLAIN_SOURCES: Final = frozenset(
    {"team_alias", "team_id", "org_alias", "project_alias", "key_alias", "user_id", "user_email", "end_user"}
    | {"agent_id", "session"}
)
NAMED_SOURCES: Final = ("header", "tag", "metadata")


class SettingsWrong(ValueError):
    """The environment says something that cannot be meant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Times are in seconds."""

    url: str
    key: str
    spool: Path
    usage_url: str = ""
    when_unreachable: str = CLOSED
    unmetered: str = REFUSE
    timeout: float = 5.0
    expires: float = 3600.0
    spool_bytes: int = 64 * 1024 * 1024
    most_tries: int = 16
    route: str = OFF
    route_timeout: float = 0.15
    route_kept: float = 1.0
    route_when_unreachable: str = OPEN
    route_text: str = NONE
    mapping: Mapping[str, tuple[str, ...]]


def from_environment(environment: Mapping[str, str]) -> Settings:
    """Raises SettingsWrong."""
    url = environment.get("CAPSTAN_URL", "").rstrip("/")
    if not url.startswith(("http://", "https://")):
        raise SettingsWrong("CAPSTAN_URL is the address of Capstan's gateway, such as https://capstan.example.com")
    key = environment.get("CAPSTAN_KEY", "").strip()
    if not key:
        raise SettingsWrong("CAPSTAN_KEY is a key of Capstan that may authorise calls (cap_…)")
    return Settings(
        url=url,
        key=key,
        usage_url=environment.get("CAPSTAN_USAGE_URL", "").rstrip("/") or url,
        spool=Path(environment.get("CAPSTAN_SPOOL", "") or Path.home() / ".capstan" / "litellm"),
        when_unreachable=_one_of(environment, "CAPSTAN_WHEN_UNREACHABLE", (CLOSED, OPEN)),
        unmetered=_one_of(environment, "CAPSTAN_UNMETERED", (REFUSE, ALLOW)),
        timeout=_number(environment, "CAPSTAN_TIMEOUT", 5.0, 0.05, 120.0),
        expires=_number(environment, "CAPSTAN_EXPIRES", 3600, 30, 86_400),
        spool_bytes=int(_number(environment, "CAPSTAN_SPOOL_MEGABYTES", 64, 1, 10_000) * 1024 * 1024),
        most_tries=int(_number(environment, "CAPSTAN_MOST_TRIES", 16, 1, 100)),
        route=_one_of(environment, "CAPSTAN_ROUTE", (OFF, ON)),
        route_timeout=_number(environment, "CAPSTAN_ROUTE_TIMEOUT", 0.15, 0.01, 5.0),
        route_kept=_number(environment, "CAPSTAN_ROUTE_KEPT", 1.0, 0.0, 60.0),
        route_when_unreachable=_one_of(environment, "CAPSTAN_ROUTE_WHEN_UNREACHABLE", (OPEN, LOCAL, CLOSED)),
        route_text=_one_of(environment, "CAPSTAN_ROUTE_TEXT", (NONE, FIRST)),
        mapping=mapping_of(environment.get("CAPSTAN_MAP", "")),
    )


def mapping_of(text: str) -> dict[str, tuple[str, ...]]:
    """`target=source|source,…`. What is said replaces the default of that target only; `target=` empties it."""
    made: dict[str, tuple[str, ...]] = {}
    for part in f"{DEFAULT_MAP},{text}".split(","):
        if not part.strip():
            continue
        target, equals, said = part.strip().partition("=")
        if not equals or target not in TARGETS:
            raise SettingsWrong(f"CAPSTAN_MAP: {part.strip()!r} does not begin with one of {', '.join(TARGETS)} and =")
        sources = tuple(source.strip().lower() for source in said.split("|") if source.strip())
        for source in sources:
            kind, colon, name = source.partition(":")
            if not (source in PLAIN_SOURCES or (colon and name and kind in NAMED_SOURCES)):
                raise SettingsWrong(f"CAPSTAN_MAP: there is no source {source!r}")
        made[target] = sources
    return made


def _one_of(environment: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    said = environment.get(name, "").strip().lower() or choices[0]
    if said not in choices:
        raise SettingsWrong(f"{name} is {' or '.join(choices)}, not {said!r}")
    return said


def _number(environment: Mapping[str, str], name: str, default: float, least: float, most: float) -> float:
    said = environment.get(name, "").strip()
    try:
        number = float(said) if said else float(default)
    except ValueError:
        number = float("nan")
    if not least <= number <= most:
        raise SettingsWrong(f"{name} is a number from {least:g} to {most:g}, not {said!r}")
    return number
