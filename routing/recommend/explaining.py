"""Whether task types say anything of quality, by what was measured last. Where they do not, rules by type are coins."""

from __future__ import annotations

from collections import Counter
from typing import Final, NamedTuple

import numpy as np
from django.db import connection

from routing.classify.explaining import CannotExplain, Explained, explains
from routing.recommend import selectors

# Of each type, the outcomes that were recorded last, and so many types: an answer is waited for.
MOST_OF_A_TYPE: Final = 200
MOST_TYPES: Final = 100
_SHUFFLES: Final = 199
_SCORES: Final = """
SELECT v.task_type, o.score FROM (
    SELECT task_type FROM evidence_typeversion
    WHERE organization_id = %(organization)s AND outcomes > 0 ORDER BY outcomes DESC, task_type LIMIT %(types)s
) AS v CROSS JOIN LATERAL (
    SELECT score FROM evidence_outcome AS s JOIN evidence_evaluation AS e ON e.id = s.evaluation_id
    WHERE s.organization_id = %(organization)s AND s.task_type = v.task_type AND s.model = %(model)s
        AND s.randomised AND e.withdrawn_at IS NULL
    ORDER BY s.id DESC LIMIT %(most)s
) AS o
"""


class ByType(NamedTuple):
    """`model` is the one that was measured on most types: scores are its own, so that types alone differ."""

    model: str
    explained: Explained


def by_type(organization_id: int) -> ByType | None:
    """None where too little is measured, or one type alone."""
    examined = selectors.examined(organization_id)
    often = Counter(point.model for one in examined.values() for point in one.points)
    if not often:
        return None
    model = min(often, key=lambda name: (-often[name], name))
    with connection.cursor() as cursor:
        cursor.execute(
            _SCORES,
            {"organization": organization_id, "model": model, "types": MOST_TYPES, "most": MOST_OF_A_TYPE},
        )
        rows = cursor.fetchall()
    try:
        found = explains([name for name, _ in rows], np.array([score for _, score in rows]), shuffles=_SHUFFLES)
    except CannotExplain:
        return None
    return ByType(model, found)
