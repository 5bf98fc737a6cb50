"""Whom a call is charged to, from what LiteLLM knows: the key it authenticated, its tags and the client's headers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from capstan_litellm.settings import Settings
from capstan_litellm.values import clean, get, text

MOST_TAGS: Final = 50
_SUBAGENT: Final = "x-claude-code-agent-id"
_SUBSUBAGENT: Final = "x-claude-code-parent-agent-id"
_AUTHENTICATED: Final = frozenset({"team_alias", "team_id", "key_alias", "user_email"})
_DIMENSIONS: Final = ("team", "person", "project", "agent", "customer")


@dataclass(slots=True)
class Owner:
    dimensions: dict[str, str] = field(default_factory=dict)
    identities: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    session: str = ""
    task_type: str = ""
    depth: int = 0


def owner_of(data: Mapping[str, Any], auth: Any, settings: Settings) -> Owner:
    """`auth` is LiteLLM's UserAPIKeyAuth."""
    known = _Known(data, auth)
    owner = Owner(tags=known.tags, depth=known.depth())
    said = {target: known.first(sources) for target, sources in settings.mapping.items()}
    owner.dimensions = {name: said[name] for name in _DIMENSIONS if said.get(name)}
    owner.session, owner.task_type = said.get("session", ""), said.get("task_type", "")
    identities = {
        "email": text(auth, "user_email"),
        "provider_user": _user(auth),
        "key_alias": text(auth, "key_alias"),
    }
    owner.identities = {name: value for name, value in identities.items() if value}
    return owner


def _user(auth: Any) -> str:
    found = text(auth, "user_id")
    return "" if found == "default_user_id" else found


class _Known:
    def __init__(self, data: Mapping[str, Any], auth: Any) -> None:
        self._auth = auth
        self._metadata: dict[str, Any] = {}
        for name in ("metadata", "litellm_metadata"):
            bucket = data.get(name)
            if isinstance(bucket, Mapping):
                self._metadata.update(bucket)
        request = get(data.get("proxy_server_request"), "headers") or self._metadata.get("headers")
        self._headers = (
            {str(name).lower(): value for name, value in request.items()} if isinstance(request, Mapping) else {}
        )
        self.tags = _tags(self._metadata.get("tags"))

    def first(self, sources: tuple[str, ...]) -> str:
        return next((found for source in sources if (found := self._read(source))), "")

    def depth(self) -> int:
        """How far below the one a person speaks to; Claude Code says so in its headers."""
        return 2 if self._headers.get(_SUBSUBAGENT) else int(bool(self._headers.get(_SUBAGENT)))

    def _read(self, source: str) -> str:
        kind, colon, name = source.partition(":")
        if colon:
            places = {"header": self._headers, "tag": self.tags, "metadata": self._metadata}
            return text(places[kind], name)
        if source == "session":
            return text(self._metadata, "session_id") or text(self._metadata, "trace_id")
        if source == "end_user":
            return _end_user(text(self._auth, "end_user_id") or text(self._metadata, "user_api_key_end_user_id"))
        if source == "user_id":
            return _user(self._auth)
        if source == "agent_id":
            return text(self._metadata, "agent_id") or text(self._auth, "agent_id")
        found = text(self._auth, source)
        # Metadata begins as the client's own; what says who may spend is never read from there.
        return found if found or source in _AUTHENTICATED else text(self._metadata, f"user_api_key_{source}")


def _end_user(said: str) -> str:
    """Claude Code writes a device, an account and a session into that field; it names no customer."""
    return "" if said.startswith("{") or "_session_" in said else said


def _tags(said: Any) -> dict[str, str]:
    """`key:value` tags. Those that LiteLLM adds from the User-Agent are nobody's."""
    made: dict[str, str] = {}
    for tag in said if isinstance(said, list) else ():
        if isinstance(tag, str) and not tag.startswith("User-Agent:"):
            key, _, value = tag.partition(":")
            name = clean(key, 60).lower()
            if name and len(made) < MOST_TAGS:
                made.setdefault(name, clean(value, 200))
    return {key: value for key, value in made.items() if value}
