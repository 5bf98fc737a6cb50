"""What can be fetched of a team at Windsurf: how its add-on credits stand, which is all that its API says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from finops.connectors.fetching import Access, Account, Evidence, Feed, Need, Says, Server, Window
from finops.connectors.given import currency, price
from finops.connectors.windsurf.parse import PARSER, PROVIDER, cut

_BALANCE: Final = "/api/v1/GetTeamCreditBalance"
# So that a charge is dated when its cycle begins, whenever it was asked for: else each asking would be a revision.
_BEFORE_ALL: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _balance(access: Access) -> bytes:
    """The key stands in the body, and in no header."""
    return Server(access, headers={}).post(_BALANCE, {"service_key": access.credential})


def _credits(access: Access, _: Window) -> Iterator[Sequence[bytes]]:
    """All that was used in the cycle of now, whatever the window is: one charge, which grows until the cycle ends. It
    needs no balance of before, so none can be lost.
    """
    rate, unit = price(access, "credit_price"), currency(access)
    yield cut(_balance(access), taken_at=_BEFORE_ALL, rate=rate, currency=unit).rows


def _probe(access: Access) -> None:
    _balance(access)


ACCOUNT: Final = Account(
    name="windsurf",
    title="Windsurf",
    address="https://server.codeium.com",
    credential_help="A service key of an Enterprise team that may read billing, made in the team's settings.",
    probe=_probe,
    needs=(
        Need("credit_price", "What one add-on credit costs by your contract, like 0.04; no answer says it."),
        Need("currency", "The contract's currency; USD where it is not said.", needed=False),
    ),
    feeds=(
        Feed(
            name="windsurf-credits",
            evidence=frozenset({Evidence.METERED}),
            title="Add-on credits by billing cycle",
            parser=PARSER,
            says=Says.CHARGES,
            pages=_credits,
            provider=PROVIDER,
            # What is used after the last asking of a cycle is never told.
            every=timedelta(hours=1),
            delay=timedelta(),
            revised=timedelta(hours=1),
            width=timedelta(hours=1),
            longest=timedelta(days=31),
            # It only says how it stands now.
            history=timedelta(hours=1),
            dedupe="the billing cycle",
            convention="no tokens are told",
            money="credits at the price that was said",
        ),
    ),
)
