"""What the rules would do with a call, and why: answered by what gateways decide with, from what they are published."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from finops.attribution.rules import Snapshot, attribute
from finops.attribution.selectors import load_snapshot
from finops.attribution.types import DIMENSIONS, Owner
from finops.connectors.types import NO_COUNTS, Dimensions, UsageEvent
from finops.sources.kinds import GATEWAY
from routing.rules import rules, selectors
from routing.rules.concentration import put_last, why_last
from routing.rules.hot import Decided, Subject
from routing.rules.selectors import Ready
from routing.rules.shown import Shown, told
from routing.upstreams.rules import AUTO

MOST_CALLS: Final = 1_000
MOST_TAGS: Final = 50
MOST_TOOLS: Final = 10
LONGEST_SESSION: Final = 300
# Of a text whose tokens nobody has counted.
CHARACTERS_A_TOKEN: Final = 4

Name = Annotated[str, Meta(max_length=rules.LONGEST_MODEL)]
Count = Annotated[int, Meta(ge=0, le=rules.MOST_TOKENS)]


class Asked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A call that somebody might make. Owners go by their slugs or ids, the key by its prefix; what is not said follows
    from what is, as it does for a call. `text` is what is asked of the model: it is read, and kept nowhere. Without
    `session` it is drawn for by what it says. `sensitive` where it is known; else its label and its text decide, and
    what nobody can tell is sensitive.
    """

    model: Annotated[str, Meta(min_length=1, max_length=rules.LONGEST_MODEL)]
    task_type: Name = ""
    team: Name = ""
    project: Name = ""
    agent: Name = ""
    customer: Name = ""
    key: Name = ""
    tags: Annotated[dict[Name, Name], Meta(max_length=MOST_TAGS)] = {}
    tools: Count = 0
    recent_tools: Annotated[tuple[Name, ...], Meta(max_length=MOST_TOOLS)] = ()
    depth: Count = 0
    tokens: Count | None = None
    text: str | None = None
    session: Annotated[str, Meta(max_length=LONGEST_SESSION)] = ""
    sensitive: bool | None = None


class Several(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    calls: Annotated[list[Asked], Meta(min_length=1, max_length=MOST_CALLS)]


def read_one(said: Any) -> Asked:
    """Raises RuleInvalid, which names the field."""
    found: Asked = _read(said, Asked)
    return found


def read_several(said: Any) -> list[Asked]:
    """Raises RuleInvalid, which names the field."""
    found: Several = _read(said, Several)
    return found.calls


def answers(organization_id: int, calls: Sequence[Asked], at: datetime, *, batch: bool) -> list[dict[str, Any]]:
    """What would become of each. Raises RuleInvalid for an owner or a key that there is not; it names the field, as of
    `calls` where they are a batch.
    """
    ready, snapshot = selectors.ready(organization_id, at), load_snapshot(organization_id)
    source_id = next((row for row, slug in snapshot.sources.items() if slug == GATEWAY), 0)
    measuring = selectors.measuring_keys(organization_id, {asked.key for asked in calls} - {""})
    found = []
    for place, asked in enumerate(calls):
        _check_owners(asked, snapshot, f"calls[{place}]." if batch else "")
        owner = attribute(snapshot, _event(asked, at), source_id)
        found.append(_answer(ready, asked, owner, measures=asked.key in measuring))
    return found


def _read(said: Any, kind: Any) -> Any:
    try:
        return msgspec.convert(said, kind)
    except msgspec.ValidationError as error:
        raise rules.unreadable(error) from None


def _check_owners(asked: Asked, snapshot: Snapshot, path: str) -> None:
    for place, name in enumerate(DIMENSIONS):
        said = getattr(asked, name, "")
        if said and said not in snapshot.names[place]:
            raise rules.RuleInvalid(f"there is no {name} {said[:60]!r}", field=path + name)
    if asked.key and asked.key not in snapshot.keys:
        raise rules.RuleInvalid(f"there is no key {asked.key[:60]!r}", field=f"{path}key")


def _event(asked: Asked, at: datetime) -> UsageEvent:
    return UsageEvent(
        external_id="",
        occurred_at=at,
        provider="",
        model=asked.model,
        counts=NO_COUNTS,
        session=asked.session,
        task_type=asked.task_type,
        dimensions=Dimensions(team=asked.team, project=asked.project, agent=asked.agent, customer=asked.customer),
        key_prefix=asked.key,
        tags=tuple(sorted(asked.tags.items())),
    )


def _answer(ready: Ready, asked: Asked, owner: Owner, *, measures: bool) -> dict[str, Any]:
    """As `gateway.routes` decides it."""
    text = asked.text or ""
    shown = Shown(
        asked.text, tools=asked.tools, depth=asked.depth, tags=asked.tags, whole=True, recent_tools=asked.recent_tools
    )
    task_type, confidence = shown.task_type(owner.task_type, ready.classifier)
    known = asked.sensitive
    subject = Subject(
        model=asked.model,
        key=asked.session or blake2b(msgspec.msgpack.encode(asked), digest_size=16).hexdigest(),
        sensitive=shown.sensitive if known is None else lambda: known,
        words=shown.words,
        task_type=task_type,
        team=owner.team_id,
        project=owner.project_id,
        agent=owner.agent_id,
        customer=owner.customer_id,
        key_prefix=asked.key,
        tags=asked.tags,
        tokens=len(text) // CHARACTERS_A_TOKEN if asked.tokens is None else asked.tokens,
        tools=asked.tools,
        depth=asked.depth,
        characters=len(text),
        measures=measures,
    )
    models, decided = _tried(ready, subject, ready.rules.decide(subject))
    foreseen = shown.foreseen(ready.prospects)
    return told(decided) | {
        "models": models,
        "use": [msgspec.to_builtins(one) for one in decided.use],
        "task_type": task_type,
        "confidence": confidence,
        "difficulty": None if foreseen is None else foreseen.difficulty,
        "chances": {} if foreseen is None else foreseen.chances,
    }


def _tried(ready: Ready, subject: Subject, decided: Decided) -> tuple[list[str], Decided]:
    """Models as a gateway tries them: what is asked for comes last, where no rule names it; and behind it, of what a
    rule chose, whose makers have too much of the spend.
    """
    models = list(dict.fromkeys([*(one.model for one in decided.use), subject.model]))
    if not decided.use or not ready.shares:
        return models, decided

    def why(model: str) -> str:
        return why_last(ready.makers_of(model), ready.shares, ready.rules.limits(subject, decided, model))

    # Nobody made what leaves the choice to routing.
    found, behind = put_last([model for model in models if model != AUTO], why)
    decided = decided._replace(passed_over=(*decided.passed_over, *behind))
    return found + [model for model in models if model == AUTO], decided
