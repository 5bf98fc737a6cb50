"""What a draft split would move is what the job then moves, to the last digit, and telling it writes nothing."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from finops.attribution.services.shared import PoolInvalid
from finops.attribution.types import Method, WhenEmpty
from finops.ingest.services import preview_shared_cost
from finops.ingest.services.allocate import SharedTwice
from finops.ingest.services.preview_shared import SharedPreview
from tests.factories.attribution import shared_draft, shared_rule
from tests.factories.ledger import Book, rows
from tests.factories.orgs import Cast
from tests.rooms.ingest.test_allocation import OCTOBER, euros_at_other_rates, share, totals


def preview(book: Book, **changes: Any) -> SharedPreview:
    return preview_shared_cost(
        organization_id=book.organization.id, name="New", draft=shared_draft(**changes), month=OCTOBER, at=book.now()
    )


@pytest.mark.parametrize(("method", "percent"), [(Method.FIXED, "33.3333"), (Method.FIXED, "100"), (Method.EVEN, "")])
def test_it_tells_what_the_job_does(book: Book, cast: Cast, method: Method, percent: str) -> None:
    euros_at_other_rates(book)
    before = totals(book, "team_id")
    says: dict[str, Any] = {"pool": {"team": (cast.search.id,)}, "method": method}
    says |= {"percentages": {cast.chat.id: Decimal(percent)}} if percent else {"targets": (cast.chat.id,)}
    told = preview(book, **says)
    assert rows("SELECT count(*) FROM ledger_charge WHERE organization_id = %s", book.organization.id) == [(3,)]
    assert told.pool == before[cast.search.id][1]
    shared_rule(book.organization.id, shared_draft(**says))
    share(book)
    after = totals(book, "team_id")
    assert told.shares == ((cast.chat.id, after[cast.chat.id][1]),)
    assert told.pool - told.moved == after[cast.search.id][1]


def test_an_empty_pool_and_nobody_to_share_it(book: Book, cast: Cast) -> None:
    euros_at_other_rates(book)
    assert preview(book, pool={"team": (cast.chat.id,)}).pool == 0
    nobody = {"method": Method.USAGE, "dimension": "customer", "when_empty": WhenEmpty.KEEP}
    told = preview(book, pool={"team": (cast.search.id,)}, **nobody)
    assert told.pool > 0
    assert told.moved == 0
    assert not told.shares


def test_it_refuses_what_saving_or_running_would(book: Book, cast: Cast) -> None:
    euros_at_other_rates(book)
    with pytest.raises(PoolInvalid):
        preview(book, pool={})
    shared_rule(book.organization.id, shared_draft(pool={"team": (cast.search.id,)}), name="The first")
    with pytest.raises(SharedTwice, match="The first, New"):
        preview(book, pool={"source": (book.source().id,)})
