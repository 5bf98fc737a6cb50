"""What may be said of captures, and the same in one plain sentence for everybody. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final

from finops.core.errors import Invalid
from finops.orgs.rules import Caller, OutOfReach
from routing.captures.types import Capturing

MOST_SHARE: Final = Decimal(100)
SHARE_PLACES: Final = 2
MOST_DAYS: Final = 30
MOST_A_DAY: Final = 10_000
LEAST_KIB: Final = 16
MOST_KIB: Final = 1_024
MOST_NAMED: Final = 50
LONGEST_TASK_TYPE: Final = 200
WHO_READS: Final = (
    "Owners, admins and unbound keys with captures.read can read it, and each reading is in the audit trail."
)


class CapturingInvalid(Invalid):
    """What cannot be said of captures; `field` says where."""

    code = "captures.invalid"


def check(said: Capturing) -> Capturing:
    """As it is kept. Raises CapturingInvalid."""
    share = said.share
    if not share.is_finite() or not 0 <= share <= MOST_SHARE or share != round(share, SHARE_PLACES):
        raise CapturingInvalid("a share is 0 to 100 percent, with two places", field="share")
    _whole(said.days_kept, 1, MOST_DAYS, field="days_kept")
    _whole(said.most_a_day, 1, MOST_A_DAY, field="most_a_day")
    _whole(said.most_kib, LEAST_KIB, MOST_KIB, field="most_kib")
    task_types = tuple(sorted({one.strip() for one in said.task_types} - {""}))
    if len(task_types) > MOST_NAMED or any(len(one) > LONGEST_TASK_TYPE or not one.isprintable() for one in task_types):
        raise CapturingInvalid(
            f"at most {MOST_NAMED} task types, each one line of at most {LONGEST_TASK_TYPE}", field="task_types"
        )
    project_ids = tuple(sorted(set(said.project_ids)))
    if len(project_ids) > MOST_NAMED:
        raise CapturingInvalid(f"at most {MOST_NAMED} projects", field="projects")
    return replace(said, share=round(share, SHARE_PLACES), task_types=task_types, project_ids=project_ids)


def check_reader(caller: Caller) -> None:
    """Captures are of everybody's calls: who reaches a part of the organization reads none. Raises OutOfReach."""
    if caller.reach:
        raise OutOfReach("Captures are of the whole organization; a key that is bound to a part of it reads none.")


def in_words(said: Capturing, projects: Sequence[str] = ()) -> str:
    """What is stored, for how long, and who can read it. `projects` are the names of those that it is about."""
    if not said.is_on:
        return "Off: no prompt and no answer is stored."
    about = [f"of {_any_of('task type', said.task_types)}"] if said.task_types else []
    about += [f"of {_any_of('project', projects)}"] if said.project_ids else []
    calls = f"{said.share.normalize():f} % of calls{' ' if about else ''}{' and '.join(about)}"
    days = "1 day" if said.days_kept == 1 else f"{said.days_kept} days"
    return (
        f"On: of {calls} through the gateway, the whole request and the answer are stored sealed, up to "
        f"{said.most_kib} KiB each and {said.most_a_day:,} calls a day, and deleted after {days}. {WHO_READS}"
    )


def _any_of(what: str, names: Sequence[str]) -> str:
    return f"the {what if len(names) == 1 else f'{what}s'} {', '.join(names)}"


def _whole(value: int, least: int, most: int, *, field: str) -> None:
    if not least <= value <= most:
        raise CapturingInvalid(f"{field} is {least} to {most:,}", field=field)
