"""Whose call it is, by what the request says: our own headers, and what clients send anyway. No Django, no memory but
of which sub-agent was started by which.

In this order, each filling only what is still empty: our headers; what the client itself says of its session and
sub-agents (Claude Code, Codex, opencode); headers of other gateways, which people keep when they change the base URL
(LiteLLM, Helicone, Portkey, Bifrost, Cloudflare, OpenRouter); the body; W3C baggage and the trace.

Our headers are a promise: one that cannot be read is refused by name. Everybody else's are hints: what is odd in them
is left out. Of what others say only ids of sessions, identities and tags are taken, and LiteLLM's agent id; an owner is
named by our headers, or found by identities and rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from finops.connectors.capstan.record import LONGEST, MOST_TAGS, Identities
from routing.gateway.dialects.types import Told
from routing.gateway.hints import (
    LONGEST_KEY,
    LONGEST_VALUE,
    baggage,
    clean,
    client_of,
    listed,
    pairs,
    text,
    trace_of,
)
from routing.gateway.requests import Dimensions, FieldInvalid

Headers = Iterable[tuple[bytes, bytes]]
OURS: Final = b"x-capstan-"
TAGS: Final = b"x-capstan-tags"
_OUR_NAMES: Final = frozenset(
    {TAGS, *(OURS + name.encode() for name in (*Dimensions.__struct_fields__, "session", "task"))}
)
_PROPERTY: Final = b"helicone-property-"
_PREFIXES: Final = (OURS, _PROPERTY)
_SESSION: Final = b"-session-id"
# Sessions as other gateways are told them, after what clients say themselves; and any other vendor's `x-…-session-id`.
_SESSIONS: Final = (
    b"x-litellm-session-id",
    b"x-litellm-trace-id",
    b"helicone-session-id",
    b"x-portkey-trace-id",
    b"x-bf-session-id",
    b"x-session-id",
    b"x-session-affinity",
    _SESSION,
)
_CODEX: Final = (b"session_id", b"session-id")
_CODEX_THREAD: Final = (b"thread-id", b"thread_id", b"conversation_id", b"conversation-id")
_PAIRS: Final = (b"x-litellm-spend-logs-metadata", b"x-portkey-metadata", b"cf-aig-metadata")
_OTHERS: Final = frozenset(
    {
        *_PAIRS,
        b"x-openai-subagent",
        b"x-litellm-tags",
        b"helicone-user-id",
        b"x-openrouter-title",
        b"x-title",
        b"http-referer",
    }
)
_READ: Final = frozenset(
    {
        *_OTHERS,
        *_SESSIONS,
        *_CODEX,
        *_CODEX_THREAD,
        b"user-agent",
        b"x-claude-code-session-id",
        b"x-claude-code-agent-id",
        b"x-claude-code-parent-agent-id",
        b"x-codex-parent-thread-id",
        b"x-parent-session-id",
        b"x-litellm-agent-id",
        b"baggage",
        b"traceparent",
    }
)
_NOBODY: Final = Dimensions()
_USER: Final = "_user"
# Sub-agents whose origin is remembered, for each organization; a session has a few.
_REMEMBERED: Final = 20_000


class Attribution(NamedTuple):
    """`session` is the root of the tree that the call belongs to. `agent` is the sub-agent's own id there, '' for the
    session itself, `parent` the sub-agent that started it, '' where that was the session. Both are tags too.
    """

    dimensions: Dimensions
    identities: Identities | None
    tags: dict[str, str]
    session: str
    task_type: str
    depth: int
    agent: str
    parent: str


class Tree:
    """Who was started by whom, as requests told: clients name only the one above. Who is known stays where they are, so
    that no two can each be below the other. One tree for each organization, or ids of one would say something of
    another. What another process was told is not known here: then the one above is taken to be just below the root.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[str, int]] = {}

    def agent(self, session: str, agent: str, parent: str) -> int:
        """How deep a sub-agent of a known session is; 1 is one that the session itself started."""
        above = self._known.get((session, parent), (session, 1))[1] if parent else 0
        return self._placed((session, agent), (session, above + 1))[1]

    def session(self, own: str, parent: str) -> tuple[str, int]:
        """The root above a session that another one started, and how deep it is below it."""
        root, above = self._known.get(("", parent), (parent, 0))
        return self._placed(("", own), (root, above + 1))

    def _placed(self, key: tuple[str, str], place: tuple[str, int]) -> tuple[str, int]:
        if len(self._known) >= _REMEMBERED and key not in self._known:
            self._known.clear()
        return self._known.setdefault(key, place)


class _Place(NamedTuple):
    session: str = ""
    agent: str = ""
    parent: str = ""
    depth: int = 0


def attributed(headers: Headers, told: Told, tree: Tree, *, also: frozenset[bytes] = frozenset()) -> Attribution:
    """`headers` have names in lower case, as ASGI gives them; `also` are ours that others read. Raises FieldInvalid,
    which names the header.
    """
    found: dict[bytes, bytes] = {}
    prefixed: list[tuple[bytes, bytes]] = []
    for name, value in headers:
        if name in _READ:
            found.setdefault(name, value)
        elif name.startswith(_PREFIXES):
            prefixed.append((name, value))
        elif name.endswith(_SESSION) and name.startswith(b"x-"):
            found.setdefault(_SESSION, value)
    ours, tags = _ours(prefixed, also) if prefixed else ({}, {})
    client = client_of(found.get(b"user-agent", b"")[:LONGEST])
    place = _place(found, told, client, tree)
    users = _tags(found, prefixed, told, tags, client, place)
    return Attribution(
        dimensions=_dimensions(found, ours),
        identities=_identities(users),
        tags=tags,
        session=ours.get("session") or place.session,
        task_type=ours.get("task", ""),
        depth=place.depth,
        agent=place.agent,
        parent=place.parent,
    )


def _ours(headers: list[tuple[bytes, bytes]], also: frozenset[bytes]) -> tuple[dict[str, str], dict[str, str]]:
    """Our headers by their names, and their tags."""
    said: dict[str, str] = {}
    tags: dict[str, str] = {}
    for name, raw in headers:
        if not name.startswith(OURS) or name in also:
            continue
        if name not in _OUR_NAMES:
            known = ", ".join(sorted(one.decode() for one in _OUR_NAMES))
            raise _bad(name, f"there is no such header; there are {known}")
        value = _strict(name, raw)
        if name == TAGS:
            _our_tags(value, tags)
            continue
        if len(value) > LONGEST:
            raise _bad(name, f"at most {LONGEST} characters")
        if said.setdefault(short := name[len(OURS) :].decode(), value) != value:
            raise _bad(name, f"it says {said[short]!r} and {value!r}")
    return said, tags


def _our_tags(value: str, tags: dict[str, str]) -> None:
    for pair in value.split(","):
        if not pair.strip():
            continue
        key, equals, text_ = (part.strip() for part in pair.partition("="))
        if not equals or not key:
            raise _bad(TAGS, "tags are written key=value, with commas between them")
        if len(key) > LONGEST_KEY or len(text_) > LONGEST_VALUE:
            raise _bad(TAGS, f"a key has at most {LONGEST_KEY} characters, a value {LONGEST_VALUE}")
        tags[key] = text_
    if len(tags) > MOST_TAGS:
        raise _bad(TAGS, f"at most {MOST_TAGS} tags")


def _strict(name: bytes, raw: bytes) -> str:
    try:
        value = raw.decode()
    except UnicodeDecodeError:
        raise _bad(name, "it is no UTF-8") from None
    if clean(value) != value:
        raise _bad(name, "control characters have no place in it")
    return value.strip()


def _bad(name: bytes, why: str) -> FieldInvalid:
    shown = clean(name.decode("latin-1"))[:LONGEST_KEY]
    return FieldInvalid(f"The header {shown}: {why}.", field=shown)


def _place(found: Mapping[bytes, bytes], told: Told, client: str, tree: Tree) -> _Place:
    """Which session, and where in its tree."""
    if session := text(found.get(b"x-claude-code-session-id")):
        return _of_claude_code(session, found, tree)
    if client == "codex" and (place := _of_codex(found, told, tree)):
        return place
    if parent := text(found.get(b"x-parent-session-id")):
        own = text(found.get(b"x-session-id")) or text(found.get(b"x-session-affinity"))
        if own and own != parent:
            return _below(own, parent, tree)
        return _Place(own or parent)
    for name in _SESSIONS:
        if session := text(found.get(name)):
            return _Place(session)
    if session := clean(told.session)[:LONGEST]:
        return _Place(session)
    return _Place(text(baggage(found.get(b"baggage")).get("session.id")) or trace_of(found.get(b"traceparent")))


def _of_claude_code(session: str, found: Mapping[bytes, bytes], tree: Tree) -> _Place:
    agent = text(found.get(b"x-claude-code-agent-id"))
    if not agent or agent == session:
        return _Place(session)
    parent = text(found.get(b"x-claude-code-parent-agent-id"))
    if parent in (agent, session):
        parent = ""
    return _Place(session, agent, parent, tree.agent(session, agent, parent))


def _of_codex(found: Mapping[bytes, bytes], told: Told, tree: Tree) -> _Place | None:
    """A thread is a sub-agent of its session, where it has another id; and of the thread above, where it says one."""
    session = _first(found, _CODEX) or clean(told.session)[:LONGEST]
    thread = _first(found, _CODEX_THREAD) or session
    parent = text(found.get(b"x-codex-parent-thread-id"))
    if not thread:
        return None
    if session not in ("", thread):
        parent = "" if parent in (session, thread) else parent
        return _Place(session, thread, parent, tree.agent(session, thread, parent))
    # A session that is just the thread's own id again says nothing of its root.
    return _below(thread, parent, tree) if parent not in ("", thread) else _Place(thread)


def _below(own: str, parent: str, tree: Tree) -> _Place:
    root, depth = tree.session(own, parent)
    return _Place(root, own, "" if parent == root else parent, depth)


def _first(found: Mapping[bytes, bytes], names: tuple[bytes, ...]) -> str:
    return next((value for name in names if (value := text(found.get(name)))), "")


def _dimensions(found: Mapping[bytes, bytes], ours: Mapping[str, str]) -> Dimensions:
    agent = ours.get("agent") or text(found.get(b"x-litellm-agent-id"))
    if not ours and not agent:
        return _NOBODY
    return Dimensions(
        team=ours.get("team", ""),
        person=ours.get("person", ""),
        project=ours.get("project", ""),
        agent=agent,
        customer=ours.get("customer", ""),
    )


def _tags(
    found: Mapping[bytes, bytes],
    prefixed: list[tuple[bytes, bytes]],
    told: Told,
    tags: dict[str, str],
    client: str,
    place: _Place,
) -> list[str]:
    """Adds what everybody else says to our tags, as long as there is room; gives the users they name, in order."""
    users: list[str] = []
    said = [("client", client), ("agent_id", place.agent), ("parent_agent_id", place.parent)]
    if not found.keys().isdisjoint(_OTHERS):
        said += _others(found, users)
    for name, raw in prefixed:
        if name.startswith(_PROPERTY):
            said.append((text(name[len(_PROPERTY) :]), text(raw)))
    for key, value in told.metadata.items():
        said.append((clean(key), clean(value)))
    for key, value in said:
        if value and len(tags) < MOST_TAGS and 0 < len(key) <= LONGEST_KEY:
            tags.setdefault(key, value[:LONGEST_VALUE])
    if told.user and (user := clean(told.user)[:LONGEST]):
        users.append(user)
    if b"baggage" in found:
        carried = baggage(found[b"baggage"])
        users += [user for name in ("user.id", "enduser.id") if (user := text(carried.get(name)))]
    return users


def _others(found: Mapping[bytes, bytes], users: list[str]) -> list[tuple[str, str]]:
    """Tags of other gateways, and of Codex; adds the users they name."""
    said = [
        ("subagent", text(found.get(b"x-openai-subagent"))),
        ("app", _first(found, (b"x-openrouter-title", b"x-title", b"http-referer"))),
        *listed(found.get(b"x-litellm-tags")),
    ]
    users += [user] if (user := text(found.get(b"helicone-user-id"))) else []
    for name in _PAIRS:
        if name in found:
            flat = pairs(found[name])
            users += [user] if (user := flat.pop(_USER, "")[:LONGEST]) else []
            said += flat.items()
    return said


def _identities(users: list[str]) -> Identities | None:
    """The first of each kind: what looks like an address of mail is one."""
    if not users:
        return None
    email = next((user for user in users if "@" in user and " " not in user), "")
    return Identities(email=email, provider_user=next((user for user in users if user != email), ""))
