"""`manage.py publish`: keeps what gateways decide by up to date, until it is stopped. One at a time does the work."""

from __future__ import annotations

import logging
import signal
import threading
from typing import Any, Final

from django.core.management.base import BaseCommand
from django.db import Error, connection
from django.utils import timezone

from finops.runtime.collecting import calm_collector
from routing.configuration.services import publish_changes

log = logging.getLogger(__name__)
# A change reaches gateways in under a second.
EVERY_S: Final = 0.2


class Command(BaseCommand):
    help = "Publish budgets, prices, keys and owners to gateways as they change."

    def handle(self, *_: Any, **__: Any) -> None:
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        calm_collector()
        mine = False
        while not stopping.wait(EVERY_S):
            try:
                mine = mine or _alone()
                if mine:
                    publish_changes(timezone.now())
            except Error as error:
                log.warning("publishing waits for the database: %s", error)
                mine = False
                connection.close()


def _alone() -> bool:
    """Whether this process publishes: a lock of the session, which another gets when this one is gone."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtext('configuration'), 0)")
        row = cursor.fetchone()
        return bool(row and row[0])
