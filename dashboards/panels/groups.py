"""Spend by one dimension or by two: the rows of a table, each figure a link to what makes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from dashboards import reading
from dashboards.access import Here
from dashboards.charts.spec import slots
from dashboards.reading import Line
from dashboards.scope import Scope
from dashboards.templatetags.figures import places_of, tied


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A group. `shown` is the cost rounded so that the column adds up; `href` narrows to it, `charges` lists it."""

    names: tuple[str, ...]
    line: Line
    shown: Decimal
    before: Decimal | None
    slot: int
    href: str
    charges: str
    # Calls of this group that no price is known for, and that are in no amount.
    unpriced: int = 0


@dataclass(frozen=True, slots=True)
class GroupTable:
    """Rows, what they leave out, and the total of all. `rest` is None when nothing is left out."""

    dimensions: tuple[str, ...]
    labels: tuple[str, ...]
    rows: tuple[GroupRow, ...]
    rest: GroupRow | None
    total: Line
    total_shown: Decimal
    total_before: Decimal | None
    compared: bool

    @property
    def anything(self) -> bool:
        return bool(self.rows)


Link = Callable[[Scope], str]


def groups(
    here: Here,
    scope: Scope,
    dimensions: tuple[str, ...],
    *,
    whole: Line,
    whole_before: Line | None,
    unpriced_state: int,
    limit: int,
    narrow: Link,
    charges: Link | None,
) -> GroupTable:
    """The `limit` largest groups and the rest. Two or three questions, and the names of each dimension."""
    caller = here.caller
    top = reading.lines(here.reader.ask(scope.question(caller, group_by=dimensions, limit=limit)))[:limit]
    before = _before(here, scope, dimensions, top) if whole_before is not None else None
    called = [
        here.reader.names(scope, name, {line.values[index] for line in top}) for index, name in enumerate(dimensions)
    ]
    rest = _difference(whole, top)
    has_rest = bool(rest.calls or rest.cost)
    shown = tied([line.cost for line in top] + ([rest.cost] if has_rest else []), places_of(here.currency))
    unpriced = _unpriced(here, scope, dimensions, top, unpriced_state)
    colours = slots([line.values[0] for line in top if line.values[0]]) if len(dimensions) == 1 else {}
    rows = []
    for index, line in enumerate(top):
        narrowed = scope.narrowed_to(dict(zip(dimensions, line.values, strict=True)))
        rows.append(
            GroupRow(
                names=tuple(called[place][value] for place, value in enumerate(line.values)),
                line=line,
                shown=shown[index],
                before=None if before is None else before.get(line.values, Decimal(0)),
                slot=colours.get(line.values[0], 0),
                href=narrow(narrowed),
                charges=charges(narrowed) if charges else "",
                unpriced=unpriced.get(line.values, 0),
            )
        )
    left = None
    if has_rest:
        old = None if before is None or whole_before is None else whole_before.cost - sum(before.values(), Decimal(0))
        left = GroupRow(("Everything else",), rest, shown[-1], old, 0, "", "")
    return GroupTable(
        dimensions=dimensions,
        labels=tuple(scope.dimensions.label(name) for name in dimensions),
        rows=tuple(rows),
        rest=left,
        total=whole,
        total_shown=sum(shown, Decimal(0)),
        total_before=whole_before.cost if whole_before else None,
        compared=whole_before is not None,
    )


def _before(here: Here, scope: Scope, dimensions: tuple[str, ...], top: list[Line]) -> dict[tuple[int, ...], Decimal]:
    """What the same groups cost in the period before."""
    if not top:
        return {}
    only = {name: frozenset(line.values[index] for line in top) for index, name in enumerate(dimensions)}
    rows = here.reader.ask(scope.question(here.caller, group_by=dimensions, days=scope.period.previous, only=only))
    wanted = {line.values for line in top}
    return {line.values: line.cost for line in reading.lines(rows) if line.values in wanted}


def _unpriced(
    here: Here, scope: Scope, dimensions: tuple[str, ...], top: list[Line], state: int
) -> dict[tuple[int, ...], int]:
    """Unpriced calls per group, asked only where a group of calls came to nothing: it must not look free."""
    if not state or all(line.cost or not line.calls for line in top):
        return {}
    only = {name: frozenset(line.values[index] for line in top) for index, name in enumerate(dimensions)}
    only["state"] = only.get("state", frozenset({state})) & {state}
    rows = here.reader.ask(scope.question(here.caller, group_by=dimensions, only=only))
    return {line.values: line.calls for line in reading.lines(rows)}


def _difference(whole: Line, parts: list[Line]) -> Line:
    return Line(
        calls=whole.calls - sum(line.calls for line in parts),
        input_tokens=whole.input_tokens - sum(line.input_tokens for line in parts),
        cached_tokens=whole.cached_tokens - sum(line.cached_tokens for line in parts),
        output_tokens=whole.output_tokens - sum(line.output_tokens for line in parts),
        cost=whole.cost - sum((line.cost for line in parts), Decimal(0)),
    )
