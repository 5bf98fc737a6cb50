"""Every provider that is made up: polled through pages, a limit, a revision, a revoked key; nothing lost or double."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import pytest

from finops.connectors.feeds import ACCOUNTS, FEEDS
from finops.connectors.fetching import Says
from finops.core.money import to_pico
from finops.core.tokens import METERS
from finops.polling import services
from finops.reconciliation.services import reconcile
from tests.factories.ledger import rows, small_book
from tests.factories.orgs import HOUSE, Cast
from tests.factories.polling import AT, Connected, calling, connected
from tests.fakes.reporting import Reporting
from tests.fakes.reports.registry import FAKES

# What these tell is not told otherwise later by what their fake revises: a line of a log is written once.
NEVER_OTHERWISE = {"bedrock-invocations"}


@pytest.fixture(params=sorted(ACCOUNTS))
def account(request: pytest.FixtureRequest, cast: Cast) -> Iterator[Connected]:
    fake: Reporting = FAKES[request.param](until=AT)
    with calling(fake):
        small_book()
        yield connected(cast.acme, fake)


def test_what_is_booked_is_what_the_provider_says(account: Connected) -> None:
    fake = account.fake
    # Limited in the middle: what was asked for is asked again when it is time.
    for name in account.names():
        fake.fail(429, headers={"retry-after": "30"})
        assert account.poll(name).state == "limited"
        assert account.later(name).state == "active"
    truths = {name: fake.truth(name) for name in account.names()}
    assert {name: account.kept(name) for name in account.names()} == truths
    assert all(truth.rows for truth in truths.values())

    fake.revise()
    for name in account.names():
        assert account.later(name).state == "active"
    revised = {name: fake.truth(name) for name in account.names()}
    assert {name: account.kept(name) for name in account.names()} == revised
    assert {name for name in truths if revised[name] == truths[name]} == NEVER_OTHERWISE & set(truths)

    fake.revoke()
    for name in account.names():
        assert account.later(name).state == "refused"
    fake.is_revoked, fake.credential = False, f"{fake.credential}-renewed"
    services.rotate(
        organization_id=account.organization.id, account_id=account.row.id, credential=fake.credential, by=HOUSE,
        at=account.clock(),
    )  # fmt: skip
    assert set(account.poll_all()) == {"active"}
    assert {name: account.kept(name) for name in account.names()} == revised
    for name in account.names():
        row = account.feed(name)
        assert row.rows == row.booked + row.revised + row.duplicates + row.held
        assert (row.booked, row.held) == (revised[name].rows, 0)


BY_TWINS = [(name, True) for name, fake in FAKES.items() if fake.twins]


@pytest.mark.parametrize(("kind", "by_twins"), [*((name, False) for name in sorted(FAKES)), *BY_TWINS])
def test_the_books_come_to_what_is_owed(kind: str, by_twins: bool, cast: Cast) -> None:
    """Through a limit in the middle of it and a revision; nobody reads what says the same twice."""
    fake: Reporting = FAKES[kind](until=AT)
    left = set(fake.twins) if by_twins else set(fake.twins.values())
    with calling(fake):
        small_book()
        account = connected(cast.acme, fake)
        for name in left:
            services.pause(organization_id=cast.acme.id, feed_id=account.feed(name).id, by=HOUSE, at=account.clock())
        read = [name for name in account.names() if name not in left]
        for name in read:
            fake.fail(429, headers={"retry-after": "30"})
            assert account.poll(name).state == "limited"
            assert account.later(name).state == "active"
        told = books(cast, account)
        assert told == fake.owed()
        fake.revise()
        for name in read:
            assert account.later(name).state == "active"
        assert books(cast, account) == fake.owed()
        assert fake.owed() != told or not told
        # Where nothing but calls is told, their tokens are in the books as the provider counts them.
        if all(FEEDS[name].says is Says.CHARGES for name in read):
            counts: Counter[str] = Counter()
            for name in read:
                counts.update(fake.truth(name).counts)
            assert tokens(cast) == dict(counts)


def books(cast: Cast, account: Connected) -> dict[str, int]:
    """What the ledger comes to a day later, in picodollars by currency; looked at again it is the same."""
    reconcile(organization_id=cast.acme.id, at=account.clock.at + timedelta(days=1))
    assert reconcile(organization_id=cast.acme.id, at=account.clock.at + timedelta(days=1)) == 0
    money = rows("SELECT currency, sum(effective_cost) FROM ledger_charge WHERE organization_id = %s GROUP BY 1",
                 cast.acme.id)  # fmt: skip
    return {currency: to_pico(cost) for currency, cost in money if cost}


def tokens(cast: Cast) -> dict[str, int]:
    meters = ", ".join(f"coalesce(sum(coalesce({meter}, 0)), 0)" for meter in METERS)
    (counts,) = rows(f"SELECT {meters} FROM ledger_charge WHERE organization_id = %s", cast.acme.id)
    return {meter: int(count) for meter, count in zip(METERS, counts, strict=True) if count}


def test_every_account_has_a_provider_that_is_made_up() -> None:
    # Other stories connect one that is none.
    assert set(FAKES) == set(ACCOUNTS) - {"invented"}
