"""Conditions of rules: which fields and operators there are, what is refused, and their compilation into fast tests.

A condition looks at the call as it was told, never at what was decided about it, but for the task type, which may come
from the key. Text is compared exactly; identities without case, as everywhere in the house. A tag or an identity kind
may have several values: a condition holds when any of them does, and `is_not` when none of them is.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from finops.attribution.patterns import LONGEST_VALUE, compile_pattern
from finops.attribution.types import DIMENSIONS, Assignment, Condition, Operator
from finops.core.errors import Invalid

# Field of a condition -> attribute of UsageEvent. `source` (the slug) is not on the event, `task_type` may be the
# key's, and the five owners are the names as told, so that a rule may translate names that are not ours.
EVENT_FIELDS: Final[Mapping[str, str]] = {
    "provider": "provider",
    "model": "model",
    "service_tier": "service_tier",
    "region": "region",
    "host": "host",
    "provider_account": "provider_account",
    "session": "session",
    "category": "category",
    "evidence": "evidence",
    "task_type": "task_type",
    "key": "key_prefix",
    **{name: f"dimensions.{name}" for name in DIMENSIONS},
}
FIELDS: Final = (*EVENT_FIELDS, "source")
IDENTITY_KINDS: Final = ("email", "provider_user", "key_alias", "github")
TAG: Final = "tag:"
IDENTITY: Final = "identity:"

MAX_CONDITIONS: Final = 20
MAX_VALUES: Final = 500
MAX_TASK_TYPE: Final = 60
_SINGLE: Final = frozenset({Operator.IS, Operator.IS_NOT, Operator.MATCHES})
_NONE: Final = frozenset({Operator.EXISTS, Operator.ABSENT})

ScalarTest = Callable[[str], object]
MultiTest = Callable[[tuple[str, ...]], object]


class BadCondition(Invalid):
    """A condition or an assignment that cannot be accepted; `field` is the path of the offending part."""

    code = "attribution.bad_condition"


def is_multi(field: str) -> bool:
    """The field is a tag or an identity kind: it has any number of values."""
    return field.startswith((TAG, IDENTITY))


def check_pattern(pattern: str, *, field: str) -> None:
    """Raises BadCondition when the pattern is not a safe regular expression (see `attribution.patterns`)."""
    try:
        compile_pattern(pattern)
    except ValueError as error:
        raise BadCondition(str(error), field=field) from error


def check_conditions(conditions: Iterable[Condition], *, field: str = "conditions") -> tuple[Condition, ...]:
    """The conditions as a tuple. Raises BadCondition naming the first that cannot be accepted."""
    checked = tuple(conditions)
    if len(checked) > MAX_CONDITIONS:
        raise BadCondition(f"a rule has at most {MAX_CONDITIONS} conditions", field=field)
    for index, condition in enumerate(checked):
        _check(condition, f"{field}[{index}]")
    return checked


def _check(condition: Condition, path: str) -> None:
    name, wanted, values = condition
    if name.startswith(TAG):
        known = 0 < len(name) - len(TAG) <= LONGEST_VALUE
    else:
        known = name in FIELDS or (name.startswith(IDENTITY) and name.removeprefix(IDENTITY) in IDENTITY_KINDS)
    if not known or "\0" in name:
        raise BadCondition(f"there is no field {name[:80]!r} to look at", field=f"{path}.field")
    if wanted not in Operator.__members__.values():
        raise BadCondition(f"there is no operator {str(wanted)[:40]!r}", field=f"{path}.operator")
    if wanted in _NONE and values:
        raise BadCondition(f"{wanted} takes no value", field=f"{path}.values")
    if wanted not in _NONE and not values:
        raise BadCondition(f"{wanted} needs a value", field=f"{path}.values")
    if wanted in _SINGLE and len(values) > 1:
        raise BadCondition(f"{wanted} takes one value; use one_of, or a rule each", field=f"{path}.values")
    if len(values) > MAX_VALUES:
        raise BadCondition(f"at most {MAX_VALUES} values", field=f"{path}.values")
    for value in values:
        if not value:
            raise BadCondition("an empty value matches nothing; use absent", field=f"{path}.values")
        if len(value) > LONGEST_VALUE or "\0" in value:
            raise BadCondition(f"a value has at most {LONGEST_VALUE} characters and no NUL", field=f"{path}.values")
    if wanted is Operator.MATCHES:
        check_pattern(values[0], field=f"{path}.values")


def check_assignment(assignment: Assignment, *, field: str = "assignment") -> Assignment:
    """The assignment itself. Raises BadCondition when it sets nothing, or something that is no dimension."""
    if not assignment.owners and not assignment.task_type:
        raise BadCondition("a rule sets at least one of team, person, project, agent, customer, task_type", field=field)
    for name, value in assignment.owners.items():
        if name not in DIMENSIONS:
            raise BadCondition(f"a rule cannot set {name[:80]!r}", field=f"{field}.{name[:80]}")
        if not 0 < value < 2**31:
            raise BadCondition(f"{name} is set by its id, a positive whole number", field=f"{field}.{name}")
    if len(assignment.task_type) > MAX_TASK_TYPE or "\0" in assignment.task_type:
        raise BadCondition(f"a task type has at most {MAX_TASK_TYPE} characters", field=f"{field}.task_type")
    return assignment


def scalar_test(wanted: Operator, values: tuple[str, ...]) -> ScalarTest:
    """A callable of one text that is true when the condition holds; C functions where possible, for speed."""
    if wanted is Operator.IS:
        return values[0].__eq__
    if wanted is Operator.IS_NOT:
        return values[0].__ne__
    if wanted is Operator.ONE_OF:
        return frozenset(values).__contains__
    if wanted is Operator.STARTS_WITH:
        return operator.methodcaller("startswith", values)
    if wanted is Operator.ENDS_WITH:
        return operator.methodcaller("endswith", values)
    if wanted is Operator.CONTAINS:
        if len(values) == 1:
            return operator.methodcaller("__contains__", values[0])
        return lambda text: any(value in text for value in values)
    if wanted is Operator.MATCHES:
        search = compile_pattern(values[0]).search
        return lambda text: search(text, 0, LONGEST_VALUE)
    return bool if wanted is Operator.EXISTS else operator.not_


def multi_test(wanted: Operator, values: tuple[str, ...]) -> MultiTest:
    """The same for a field of any number of values."""
    if wanted is Operator.EXISTS:
        return bool
    if wanted is Operator.ABSENT:
        return operator.not_
    if wanted is Operator.IS_NOT:
        return lambda told: values[0] not in told
    holds = scalar_test(wanted, values)

    def any_holds(told: tuple[str, ...]) -> bool:
        for text in told:  # noqa: SIM110 - a generator costs more than the loop
            if holds(text):
                return True
        return False

    return any_holds


def folded(condition: Condition) -> Condition:
    """The condition as it is compared: identities without case."""
    if condition.field.startswith(IDENTITY) and condition.operator is not Operator.MATCHES:
        return condition._replace(values=tuple(value.lower() for value in condition.values))
    return condition
