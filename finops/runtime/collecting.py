"""Python's cycle collector, told what these processes are like."""

from __future__ import annotations

import gc
from typing import Final

_OBJECTS: Final = 20_000


def calm_collector() -> None:
    """Call once a process has imported what it needs. What is loaded by then stays, so it is left out of every later
    collection; and a batch makes some hundred thousand small objects without a cycle among them, so looking through the
    young ones every 700 allocations, as is the default, finds nothing and costs a tenth of the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_OBJECTS, 20, 20)
