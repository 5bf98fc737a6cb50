"""Experiments made, started, stopped and resumed; worked on; and what they find recorded as evidence. Audited."""

from __future__ import annotations

from routing.experiments.services.advised import about
from routing.experiments.services.ending import end, put_away
from routing.experiments.services.working import Means, run
from routing.experiments.services.writing import create, resume, start, stop

__all__ = ["Means", "about", "create", "end", "put_away", "resume", "run", "start", "stop"]
