"""The grammar of a question about spend, whatever an address looks like: the names it may use, and what it may ask.

An interface reads its own parameters with these, and answers what they raise in its own form. `question` is the one
place where a caller's reach meets what was asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from finops.core.errors import FinopsError
from finops.core.periods import DayRange
from finops.ledger.types import DIMENSIONS, MOST_GROUPED, TAG_SLOTS, Grain, SpendQuestion
from finops.orgs.rules import PEOPLE_DIMENSIONS, Caller, charge_filters, spend_filters

Ids = Mapping[str, frozenset[int]]
ANYTHING: Final[Ids] = MappingProxyType({})
# How many values one filter may have.
VALUES_MOST: Final = 100


class QuestionUnclear(FinopsError):
    """A parameter that is not understood; `field` names it."""

    code = "ledger.question_unclear"
    status = 400


class Dimensions:
    """The names a question may use: the ledger's dimensions, and `tag:<key>` for each promoted tag.

    `tags` are promoted keys with their slots (1-10); in the ledger such a tag is the dimension `tag<slot>`.
    """

    def __init__(self, tags: Iterable[tuple[str, int]] = ()) -> None:
        self._columns = {name: name for name in DIMENSIONS if name not in TAG_SLOTS}
        self._columns |= {f"tag:{key}": f"tag{slot}" for key, slot in tags}

    def __contains__(self, name: object) -> bool:
        return name in self._columns

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def column(self, name: str) -> str:
        return self._columns[name]

    def columns(self, filters: Ids) -> dict[str, frozenset[int]]:
        """The same filters by the ledger's names."""
        return {self._columns[name]: ids for name, ids in filters.items()}

    def charge_filters(self, caller: Caller, filters: Ids) -> dict[str, frozenset[int]]:
        """Filters of single charges by the ledger's names, within the caller's reach; an empty one allows nothing.

        Raises what `orgs.rules.charge_filters` raises.
        """
        return self.columns(charge_filters(caller, filters=filters))

    def offered(self, caller: Caller) -> dict[str, str]:
        """Name and label of those this caller may group by."""
        return {name: self.label(name) for name in self if caller.sees_people or name not in PEOPLE_DIMENSIONS}

    @staticmethod
    def label(name: str) -> str:
        return f"Tag {name[4:]}" if name.startswith("tag:") else name.replace("_", " ").capitalize()


def question(
    caller: Caller,
    known: Dimensions,
    days: DayRange,
    *,
    group_by: tuple[str, ...] = (),
    filters: Ids = ANYTHING,
    grain: Grain = Grain.TOTAL,
    limit: int | None = None,
    only: Ids = ANYTHING,
) -> SpendQuestion:
    """The question to the ledger, within the caller's reach. `only` narrows further (the largest groups of a chart).

    Names are those of the address. Raises what `orgs.rules.spend_filters` raises.
    """
    allowed = dict(spend_filters(caller, group_by=group_by, filters=filters))
    for name, ids in only.items():
        allowed[name] = allowed[name] & ids if name in allowed else ids
    return SpendQuestion(
        organization_id=caller.organization_id,
        period=days,
        group_by=tuple(known.column(name) for name in group_by),
        filters=known.columns(allowed),
        grain=grain,
        limit=limit,
    )


def filters_told(names: Iterable[str], known: Dimensions, others: Iterable[str], *, prefix: str = "") -> dict[str, str]:
    """Which parameters are filters: each with its dimension. Raises QuestionUnclear for one that is nothing here."""
    found = {}
    for name in names:
        dimension = name.removeprefix(prefix)
        if name.startswith(prefix) and dimension in known:
            found[name] = dimension
        elif name not in others:
            raise QuestionUnclear(f"There is no parameter {shown(name)}.", field=shown(name))
    return found


def grouping(texts: Iterable[str], known: Dimensions, *, field: str) -> tuple[str, ...]:
    """Names of dimensions, each once. Raises QuestionUnclear."""
    chosen = tuple(dict.fromkeys(parts(texts)))
    for name in chosen:
        if name not in known:
            raise QuestionUnclear(f"There is no dimension {shown(name)} to group by.", field=field)
    if len(chosen) > MOST_GROUPED:
        raise QuestionUnclear(f"Group by at most {MOST_GROUPED} dimensions.", field=field)
    return chosen


def one_of(word: str, choices: Iterable[str], *, field: str, default: str) -> str:
    """Raises QuestionUnclear."""
    offered = list(choices)
    if word and word not in offered:
        raise QuestionUnclear(f"{field} is one of {', '.join(offered)}.", field=field)
    return word or default


def parts(texts: Iterable[str]) -> list[str]:
    """What was told separated by commas, or told again; blanks are left out."""
    return [part for text in texts for part in text.split(",") if part]


def shown(name: str) -> str:
    """What a caller wrote, fit to be repeated in an answer: short, and in ASCII whatever it was."""
    return name[:60].encode("ascii", "backslashreplace").decode().replace("\0", "")
