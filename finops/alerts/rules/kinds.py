"""What a rule of each kind may say. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Any, Final

from finops.alerts.types import Kind
from finops.core.errors import Invalid

MOST_BUDGETS: Final = 200
_LARGEST_ID: Final = 2**31 - 1
_LARGEST_AMOUNT: Final = Decimal(10**12)
# What anomalies are looked for by.
DIMENSIONS: Final = ("total", "team", "project", "agent", "customer", "provider", "model")


class RuleInvalid(Invalid):
    """A rule that cannot be; `field` says where."""

    code = "alerts.rule_invalid"


Read = Callable[[object, str], Any]


def _whole(low: int, high: int) -> Read:
    def read(said: object, field: str) -> int:
        if isinstance(said, bool) or not isinstance(said, int) or not low <= said <= high:
            raise RuleInvalid(f"say a whole number from {low} to {high}", field=field)
        return said

    return read


def _amount(said: object, field: str) -> str:
    """An amount as text: JSON has no exact numbers."""
    try:
        found = Decimal(said) if isinstance(said, str) and len(said) <= 30 else None
    except InvalidOperation:
        found = None
    if found is None or not found.is_finite() or not 0 <= found < _LARGEST_AMOUNT:
        raise RuleInvalid("say an amount from 0 on, as text", field=field)
    return f"{found:f}"


def _budgets(said: object, field: str) -> list[int]:
    if not isinstance(said, list) or not 1 <= len(said) <= MOST_BUDGETS:
        raise RuleInvalid(f"name 1 to {MOST_BUDGETS} budgets by their ids", field=field)
    return sorted({_whole(1, _LARGEST_ID)(one, field) for one in said})


def _dimensions(said: object, field: str) -> list[str]:
    if not isinstance(said, list) or not said or not all(isinstance(one, str) and one in DIMENSIONS for one in said):
        raise RuleInvalid(f"name some of {', '.join(DIMENSIONS)}", field=field)
    return [one for one in DIMENSIONS if one in said]


# What each kind takes: name -> (how it is read, what holds when it is unsaid; None: nothing is narrowed).
PARAMS: Final[Mapping[Kind, Mapping[str, tuple[Read, Any]]]] = MappingProxyType(
    {
        Kind.THRESHOLD: {"budgets": (_budgets, None), "least_percent": (_whole(1, 1_000), None)},
        Kind.FORECAST: {"budgets": (_budgets, None)},
        Kind.ANOMALY: {"dimensions": (_dimensions, ["total", "team", "model"]), "least_amount": (_amount, "10")},
        Kind.UNATTRIBUTED: {
            "percent": (_whole(1, 100), 10),
            "days": (_whole(1, 92), 7),
            "least_amount": (_amount, "10"),
        },
        Kind.UNPRICED: {"days": (_whole(1, 92), 7), "calls": (_whole(1, 10**9), 1)},
        Kind.QUIET: {"times": (_whole(2, 100), 3), "least_minutes": (_whole(5, 10_080), 60)},
        Kind.CAP: {"budgets": (_budgets, None)},
        Kind.BREAKER: {},
        Kind.STOP: {},
        Kind.HOLD: {},
        Kind.EXPIRED: {},
        Kind.BLOCKED: {"budgets": (_budgets, None)},
        Kind.NOT_BLOCKED: {"budgets": (_budgets, None)},
        Kind.STUCK: {},
        Kind.RULE_PAUSED: {},
        Kind.ROLLED_BACK: {},
        Kind.DRIFTING: {},
        Kind.CONCENTRATED: {},
        Kind.FEED: {},
        Kind.MONTH: {"least_amount": (_amount, "10")},
    }
)


def check_params(kind: str, said: Mapping[str, Any]) -> dict[str, Any]:
    """What a rule of this kind says, each value checked. Raises RuleInvalid naming the field."""
    if kind not in set(Kind):
        raise RuleInvalid(f"a rule listens for one of {', '.join(Kind)}", field="kind")
    known = PARAMS[Kind(kind)]
    for name in said:
        if name not in known:
            takes = f"it takes {', '.join(known)}" if known else "it takes none"
            raise RuleInvalid(f"{kind} has no parameter {str(name)[:40]!r}; {takes}", field=f"params.{name[:40]}")
    return {name: known[name][0](value, f"params.{name}") for name, value in said.items() if value is not None}


def meant(kind: str, params: Mapping[str, Any], name: str) -> Any:
    """A parameter as said, or what holds when it is unsaid."""
    return params.get(name, PARAMS[Kind(kind)][name][1])


def check_name(said: str) -> str:
    """A name of 1 to 200 printable characters. Raises RuleInvalid."""
    name = " ".join(said.split())
    if not 1 <= len(name) <= 200 or not name.isprintable():
        raise RuleInvalid("a name has 1 to 200 printable characters", field="name")
    return name
