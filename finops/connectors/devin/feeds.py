"""What can be fetched of an enterprise or one organization at Devin: consumption by day, by version 3 of its API."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final

from finops.connectors.devin.parse import PARSER, PROVIDER, cut
from finops.connectors.fetching import Access, Account, Evidence, Feed, Need, Says, Server, Window
from finops.connectors.given import currency, price, slug

_DAY: Final = timedelta(days=1)
# When its days begin, after midnight UTC.
_BEGINS: Final = timedelta(hours=8)


def _server(access: Access) -> Server:
    return Server(access, headers={"Authorization": f"Bearer {access.credential}"})


def _path(access: Access) -> str:
    organization = slug(access, "organization")
    return f"/v3/organizations/{organization}/consumption/daily" if organization else "/v3/enterprise/consumption/daily"


def _daily(access: Access, window: Window) -> Iterator[Sequence[bytes]]:
    """The days of Devin's that begin in the window. Where none does yet, nothing is asked."""
    rate, unit = price(access, "acu_price"), currency(access)
    first = window.since.replace(hour=0, minute=0, second=0, microsecond=0) + _BEGINS
    first += _DAY if first < window.since else timedelta()
    days = -((first - window.until) // _DAY)
    if days < 1:
        return
    query = [
        ("time_after", str(int(first.timestamp()))),
        ("time_before", str(int((first + days * _DAY).timestamp()))),
    ]
    body = _server(access).get(_path(access), query)
    yield cut(body, account=slug(access, "organization"), rate=rate, currency=unit).rows


def _probe(access: Access) -> None:
    """Where no time is said it is the billing cycle of now, in at most as many rows as a month has days."""
    _server(access).get(_path(access))


ACCOUNT: Final = Account(
    name="devin",
    title="Devin",
    address="https://api.devin.ai",
    credential_help=(
        "A key (cog_…) of a service user that may ViewAccountConsumption of the enterprise, or ManageBilling of an "
        "organization."
    ),
    probe=_probe,
    needs=(
        Need("acu_price", "What one ACU costs by your contract, like 2.25; no answer of Devin's says it."),
        Need("currency", "The contract's currency; USD where it is not said.", needed=False),
        Need("organization", "One organization's id (org-…) instead of the whole enterprise.", needed=False),
    ),
    feeds=(
        Feed(
            name="devin-daily",
            evidence=frozenset({Evidence.METERED}),
            whole=True,
            title="Consumption by day and product",
            parser=PARSER,
            says=Says.CHARGES,
            pages=_daily,
            provider=PROVIDER,
            every=timedelta(hours=6),
            delay=_DAY,
            revised=timedelta(days=3),
            width=_DAY,
            longest=timedelta(days=31),
            history=timedelta(days=365),
            dedupe="the day's beginning, the account and the product",
            convention="no tokens are told",
            money="ACUs at the price that was said",
        ),
    ),
)
