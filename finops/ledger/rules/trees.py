"""A session as a tree: who called whom, and what each call of a sub-agent, and of those below it, came to.

Clients say of a call which of their sub-agents makes it and which one asked for that. Nothing makes them say so
truly: a parent may be unknown, its own descendant or itself. Every sub-agent stands in the tree once all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

# What a session calls itself: its own calls, which no sub-agent made.
ROOT: Final = ""


@dataclass(frozen=True, slots=True)
class Work:
    """The calls of one sub-agent in a session, or of the session itself (`agent` is '').

    `parent` is what was said, and `kind` what the client calls such an agent; `agents` and `models` are ids. The cost
    is in the reporting currency.
    """

    agent: str
    parent: str
    kind: str
    first_at: datetime
    last_at: datetime
    calls: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    reporting_cost: Decimal
    agents: tuple[int, ...]
    models: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Branch:
    """One of a tree. `depth` is 0 for the session's own calls; `cost_with_below` is its own and of all below it."""

    work: Work
    parent: str
    depth: int
    cost_with_below: Decimal


def tree(session: str, works: Iterable[Work]) -> tuple[Branch, ...]:
    """Depth first, the costliest of a parent first; the session's own calls come before its sub-agents.

    A sub-agent whose parent has no calls, or is below it, stands directly below the session.
    """
    known = {work.agent: work for work in works}
    parents = _parents(session, known)
    below: dict[str, list[str]] = {}
    for name, parent in parents.items():
        below.setdefault(parent, []).append(name)
    order = _ordered(below)
    costs = {name: work.reporting_cost for name, work in known.items()}
    for name, _ in reversed(order):
        costs[name] += sum((costs[one] for one in below.get(name, ())), Decimal(0))
    for names in below.values():
        names.sort(key=lambda name: (-costs[name], name))
    total = sum((costs[name] for name in below.get(ROOT, ())), Decimal(0))
    branches = [Branch(known[name], parents[name], depth, costs[name]) for name, depth in _ordered(below)]
    if ROOT in known:
        own = known[ROOT]
        branches.insert(0, Branch(own, ROOT, 0, own.reporting_cost + total))
    return tuple(branches)


def _parents(session: str, known: Mapping[str, Work]) -> dict[str, str]:
    """Of every sub-agent the one above it, without circles: the costliest of one comes to stand below the session."""
    said = {name: work.parent for name, work in known.items() if name != ROOT}
    parents = {name: parent if parent in said and parent != session else ROOT for name, parent in said.items()}
    for name in sorted(parents, key=lambda one: (-known[one].reporting_cost, one)):
        above, passed = parents[name], {name}
        while above not in passed and above != ROOT:
            passed.add(above)
            above = parents[above]
        if above == name:
            parents[name] = ROOT
    return parents


def _ordered(below: Mapping[str, list[str]]) -> list[tuple[str, int]]:
    """Names below the session with their depth, depth first. Not by recursion: a tree may be deeper than the stack."""
    found: list[tuple[str, int]] = []
    left = [(name, 1) for name in reversed(below.get(ROOT, []))]
    while left:
        name, depth = left.pop()
        found.append((name, depth))
        left += [(one, depth + 1) for one in reversed(below.get(name, []))]
    return found
