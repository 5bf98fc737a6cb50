"""Calls under way at once: exact for those of this process, and of others as they last told.

What is told are counts as they stand, by the number a subject goes by: said twice or late, they are the same. A process
that tells nothing more of a subject has no calls of it after `FORGOTTEN_S`, so those of one that died count no longer.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

# How often counts that do not change are told again, and how long they hold.
AGAIN_S: Final = 2.0
FORGOTTEN_S: Final = 5.0
# Whoever asks again a second later finds some call over.
RETRY_S: Final = 1.0


class UnderWay:
    """One process's calls among those of others. Not for use by two threads at once."""

    def __init__(self) -> None:
        self._own: dict[int, int] = {}
        self._untold: dict[int, None] = {}
        self._again_at = 0.0
        # By subject and then by who told: how many, and until when that holds.
        self._others: dict[int, dict[int, tuple[int, float]]] = {}

    def has_room(self, subject: int, limit: int, now: float) -> bool:
        """Whether one more may begin."""
        others = sum(count for count, until in self._others.get(subject, {}).values() if until > now)
        return self._own.get(subject, 0) + others < limit

    def begin(self, subjects: Iterable[int]) -> None:
        for one in subjects:
            self._own[one] = self._own.get(one, 0) + 1
            self._untold[one] = None

    def end(self, subjects: Iterable[int]) -> None:
        for one in subjects:
            left = self._own[one] - 1
            if left:
                self._own[one] = left
            else:
                del self._own[one]
            self._untold[one] = None

    def told(self, most: int) -> list[tuple[int, int]]:
        """Subjects whose count changed since it was told, with it; each is given once."""
        subjects = list(self._untold)[:most]
        for one in subjects:
            del self._untold[one]
        return [(one, self._own.get(one, 0)) for one in subjects]

    def heard(self, sender: int, counts: Iterable[tuple[int, int]], now: float) -> None:
        for subject, count in counts:
            if count > 0:
                self._others.setdefault(subject, {})[sender] = count, now + FORGOTTEN_S
            else:
                self._others.get(subject, {}).pop(sender, None)

    def tidy(self, now: float) -> None:
        """Tell anew what nobody changed, and forget what was not told anew."""
        if now - self._again_at < AGAIN_S:
            return
        self._again_at = now
        self._untold.update(dict.fromkeys(self._own))
        for subject, by in list(self._others.items()):
            for sender in [sender for sender, (_, until) in by.items() if until <= now]:
                del by[sender]
            if not by:
                del self._others[subject]
