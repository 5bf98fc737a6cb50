"""How long decisions are kept."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db import connection

KEPT: Final = timedelta(days=30)
# Rows of one transaction, and of one run: what is over is deleted little by little, beside everything else.
AT_ONCE: Final = 2_000
MOST_A_RUN: Final = 40_000
_DELETE: Final = """
DELETE FROM rules_decision WHERE id IN (SELECT id FROM rules_decision WHERE at <= %s ORDER BY at, id LIMIT %s)
"""


def forget_decisions(*, at: datetime) -> int:
    """Delete decisions that are older than `KEPT`, of every organization, as many as one run may; gives how many."""
    done = 0
    while done < MOST_A_RUN:
        with connection.cursor() as cursor:
            cursor.execute(_DELETE, [at - KEPT, AT_ONCE])
            gone = cursor.rowcount
        done += gone
        if gone < AT_ONCE:
            break
    return done
