"""The demo's alerts are there once, and its caps have given rise to something."""

from __future__ import annotations

from finops.alerts import demo, selectors
from finops.alerts.models import Delivery
from tests.factories.alerts import incidents
from tests.factories.budgets import budget
from tests.factories.ledger import AT, Book, event


def test_the_demo_listens_and_tells_nobody(book: Book) -> None:
    acme = book.organization.id
    budget(acme, "0.012", at=AT)
    book.take(event("one", occurred_at=AT))
    for _ in range(2):
        demo.listen(acme, at=AT)
    assert [kind for kind, *_ in incidents(acme)] == ["budget.threshold"]
    assert selectors.channels(acme).count() == 1
    assert len({one.name for one in selectors.rules(acme)}) == selectors.rules(acme).count()
    assert not Delivery.objects.exists()
