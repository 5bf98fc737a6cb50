"""A company whose October and September can be added up by hand, for the questions the API answers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from finops.attribution.services import promote_tag
from finops.connectors.types import Dimensions
from tests.factories.company import Company, book, empty_company, event
from tests.factories.orgs import HOUSE

AT = datetime(2026, 10, 20, 12, tzinfo=UTC)


def on(day: int, month: int = 10) -> datetime:
    return datetime(2026, month, day, 10, tzinfo=UTC)


def spending_company() -> Company:
    """October: Search 4 calls (Bob 2, Alice 1, an agent 1), Chat 3 and one unpriced, nobody's 1. September: Bob 1."""
    made = empty_company(AT)
    promote_tag(organization_id=made.cast.acme.id, key="app/env", by=HOUSE, at=AT)
    bob = Dimensions(person="bob", team="search")
    project = Dimensions(project=made.projects[1].slug)
    book(
        made,
        [
            event(1, on(5), dimensions=bob, session="run-1", tags=(("app/env", "prod, eu"),)),
            event(2, on(5) + timedelta(hours=1), dimensions=bob, session="run-1", provider_request_id="req-2"),
            event(3, on(6), dimensions=Dimensions(person="alice", team="search"), session="run-2"),
            *(event(number, on(7), dimensions=project) for number in (4, 5, 6)),
            event(7, on(8), dimensions=Dimensions(agent=made.agent.slug), session="run-3"),
            event(8, on(9), dimensions=project, model="gpt-99-unheard-of"),
            event(9, on(10)),
            event(10, on(5, 9), dimensions=bob),
        ],
    )
    return made
