"""What crosses rooms about ownership: whose a call is, and why."""

from __future__ import annotations

from typing import NamedTuple


class Step(NamedTuple):
    """One reason: `dimension` was set to `value` (our id) because of `by` (explicit, key, identity, derived, rule)."""

    dimension: str
    value: int
    by: str
    # The rule version's id, the identity's id, the key's id; 0 where there is none.
    reference: int
    detail: str


class Owner(NamedTuple):
    """Ids of ours; 0 is "nobody". `steps` says why, in the order it was decided."""

    team_id: int
    person_id: int
    project_id: int
    agent_id: int
    customer_id: int
    key_id: int
    task_type: str
    steps: tuple[Step, ...]

    @property
    def attributed(self) -> bool:
        """Somebody answers for it: a team, a project or a person is known."""
        return bool(self.team_id or self.person_id or self.project_id)
