"""Whether task types say anything of quality, by what is in the database."""

from __future__ import annotations

from datetime import datetime

import pytest

from routing.recommend import services
from routing.recommend.explaining import MOST_OF_A_TYPE, by_type
from tests.factories.orgs import HOUSE, NOON, Cast
from tests.factories.recommend import CHEAP, STRONG, known

pytestmark = pytest.mark.django_db


def worked_out(cast: Cast, shares: dict[str, float], at: datetime = NOON) -> None:
    for task_type, share in shares.items():
        known(cast.acme, {STRONG: share, CHEAP: share}, at=at, number=250, task_type=task_type, name=task_type)
    services.recompute(organization_id=cast.acme.id, by=HOUSE, at=at)


def test_types_of_other_difficulty_explain_scores(cast: Cast) -> None:
    worked_out(cast, {"triage": 0.95, "proofs": 0.3})
    found = by_type(cast.acme.id)
    assert found is not None
    assert found.explained.splits
    assert (found.explained.types, found.explained.items) == (2, 2 * MOST_OF_A_TYPE)
    assert by_type(cast.globex.id) is None


def test_types_that_are_alike_do_not(cast: Cast) -> None:
    worked_out(cast, {f"repository-{number}": 0.6 for number in range(4)})
    found = by_type(cast.acme.id)
    assert found is not None
    assert not found.explained.splits
    assert found.explained.share < 0.02


def test_one_type_alone_says_nothing(cast: Cast) -> None:
    worked_out(cast, {"triage": 0.9})
    assert by_type(cast.acme.id) is None
