"""Accounts connected, and their feeds read."""

from __future__ import annotations

from finops.polling.selectors import BACKFILL
from finops.polling.services.backfilling import open_backfill, run_backfill
from finops.polling.services.connecting import connect, disconnect, rotate, switch_on
from finops.polling.services.steering import pause, poll_now, resume
from finops.polling.services.walking import poll

__all__ = [
    "BACKFILL",
    "connect",
    "disconnect",
    "open_backfill",
    "pause",
    "poll",
    "poll_now",
    "resume",
    "rotate",
    "run_backfill",
    "switch_on",
]
