"""Which upstream has what calls go on from: responses and conversations, by their ids. A hint of one process: where it
does not know, upstreams say themselves that they do not have it, and the next is asked.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

MOST_KNOWN: Final = 100_000
# Of an id as much as answers are read for.
_LONGEST: Final = 300


class Whereabouts:
    """Used by the event loop alone."""

    def __init__(self) -> None:
        # By organization and id, whichever was heard of last at the end.
        self._at: OrderedDict[tuple[int, str], int] = OrderedDict()

    def seen(self, organization_id: int, name: str, upstream_id: int) -> None:
        """The upstream has what goes by this id."""
        if not name:
            return
        key = organization_id, name[:_LONGEST]
        self._at[key] = upstream_id
        self._at.move_to_end(key)
        if len(self._at) > MOST_KNOWN:
            self._at.popitem(last=False)

    def of(self, organization_id: int, name: str) -> int:
        """The upstream that has it, 0 where nobody knows."""
        return self._at.get((organization_id, name[:_LONGEST]), 0)
