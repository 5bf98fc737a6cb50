"""What crosses rooms about captures: of which calls the contents are kept, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Capturing:
    """As an organization has it. `share` is a percentage of calls. Empty `task_types` and `project_ids` are all of
    them; named, a call must be of one of each. `most_kib` bounds the request and the answer, each.
    """

    is_on: bool = False
    share: Decimal = Decimal("1.00")
    days_kept: int = 7
    most_a_day: int = 1_000
    most_kib: int = 256
    task_types: tuple[str, ...] = ()
    project_ids: tuple[int, ...] = ()


OFF = Capturing()
