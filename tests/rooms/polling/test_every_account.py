"""Every provider that is made up: polled through pages, a limit, a revision, a revoked key; nothing lost or double."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from finops.connectors.feeds import ACCOUNTS
from finops.polling import services
from tests.factories.ledger import small_book
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


def test_every_account_has_a_provider_that_is_made_up() -> None:
    # Other stories connect one that is none.
    assert set(FAKES) == set(ACCOUNTS) - {"invented"}
