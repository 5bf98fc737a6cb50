"""The corridor, telemetry's and webhooks' way into it, and work that goes through it again: replay, re-rating,
re-attribution, allocation.
"""

from __future__ import annotations

from finops.ingest.services.allocate import ALLOCATE, open_allocation, run_allocation
from finops.ingest.services.corridor import cover_by
from finops.ingest.services.erase import erase_person, forget_by
from finops.ingest.services.inbox import book_inbox
from finops.ingest.services.preview import preview_rule
from finops.ingest.services.preview_shared import preview_shared_cost
from finops.ingest.services.quarantine import Replayed, discard, replay, replay_held
from finops.ingest.services.rework import COVER, REATTRIBUTE, RERATE, open_rework, run_rework
from finops.ingest.services.take import PAUSED, take
from finops.ingest.services.tally import note_refused
from finops.ingest.services.telemetry import forget_series, take_calls, take_metrics
from finops.ingest.services.webhooks import remove_webhook, set_webhook, webhook_for

__all__ = [
    "ALLOCATE",
    "COVER",
    "PAUSED",
    "REATTRIBUTE",
    "RERATE",
    "Replayed",
    "book_inbox",
    "cover_by",
    "discard",
    "erase_person",
    "forget_by",
    "forget_series",
    "note_refused",
    "open_allocation",
    "open_rework",
    "preview_rule",
    "preview_shared_cost",
    "remove_webhook",
    "replay",
    "replay_held",
    "run_allocation",
    "run_rework",
    "set_webhook",
    "take",
    "take_calls",
    "take_metrics",
    "webhook_for",
]
