"""Accounts connected to providers that are made up, polled by a clock of their own."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import msgspec
from django.test import override_settings

from finops.connectors.feeds import ACCOUNTS, FEEDS
from finops.connectors.fetching import Access, Account, Evidence, Feed, Pages, Says, Window
from finops.connectors.types import UsageEvent
from finops.core.money import to_pico
from finops.core.tokens import METERS
from finops.orgs.models import Organization
from finops.polling import services
from finops.polling.models import ConnectedAccount, PolledFeed
from finops.polling.services.common import seal
from finops.polling.services.connecting import keep
from finops.sources.models import Source
from finops.statements.models import Statement
from tests.factories.ledger import rows
from tests.factories.orgs import HOUSE
from tests.fakes.reporting import Reporting, Truth

# Fakes make up the days before this one's midnight; nobody asks them for later.
AT = datetime(2026, 11, 1, 9, 30, tzinfo=UTC)


def kept(source: Source) -> Truth:
    """What Capstan has of a source: rows, meters that are not 0, and picodollars by currency, without what is reversed.

    The one place that says where the rows of a source are.
    """
    if source.states:
        return _stated(source)
    meters = ", ".join(f"coalesce(sum(coalesce({meter}, 0)), 0)" for meter in METERS)
    standing = (
        " FROM ledger_charge c WHERE c.organization_id = %s AND c.source_id = %s AND c.reverses IS NULL AND NOT EXISTS"
        " (SELECT FROM ledger_charge r WHERE r.organization_id = c.organization_id AND r.reverses = c.id)"
    )
    mine = (source.organization_id, source.id)
    ((number, *counts),) = rows(f"SELECT count(*), {meters} {standing}", *mine)
    money = rows(f"SELECT currency, sum(effective_cost) {standing} GROUP BY currency", *mine)
    return Truth(
        number,
        {meter: int(count) for meter, count in zip(METERS, counts, strict=True) if count},
        {currency: to_pico(cost) for currency, cost in money if cost},
    )


def _stated(source: Source) -> Truth:
    counts: Counter[str] = Counter()
    pico: Counter[str] = Counter()
    bodies = Statement.objects.filter(source=source).values_list("event", flat=True)
    for body in bodies:
        event = msgspec.msgpack.decode(bytes(body), type=UsageEvent)
        counts.update({meter: count for meter, count in zip(METERS, event.counts, strict=True) if count})
        if event.cost is not None and event.cost.pico:
            pico[event.cost.currency] += event.cost.pico
    return Truth(len(bodies), dict(counts), dict(pico))


@dataclass
class Clock:
    """Stands still until it is moved; each look at it is a moment later."""

    at: datetime = AT

    def __call__(self) -> datetime:
        self.at += timedelta(milliseconds=1)
        return self.at

    def moves(self, **by: float) -> datetime:
        self.at += timedelta(**by)
        return self.at


@dataclass
class Connected:
    """An organization's account at a provider that is made up."""

    organization: Organization
    fake: Reporting
    row: ConnectedAccount
    clock: Clock = field(default_factory=Clock)

    def feed(self, name: str) -> PolledFeed:
        return PolledFeed.objects.select_related("source", "account").get(account=self.row, name=name)

    def names(self) -> list[str]:
        return [feed.name for feed in self.row.feeds.order_by("id")]

    def poll(self, name: str) -> PolledFeed:
        """One turn, if it is due."""
        services.poll(self.feed(name).id, self.clock)
        return self.feed(name)

    def poll_all(self) -> Counter[str]:
        """Each feed once; which states they are in."""
        return Counter(self.poll(name).state for name in self.names())

    def later(self, name: str) -> PolledFeed:
        """A turn when its time has come."""
        self.clock.at = max(self.clock.at, self.feed(name).next_at)
        return self.poll(name)

    def kept(self, name: str) -> Truth:
        return kept(self.feed(name).source)


def put(organization: Organization, *, label: str = "", credential: str = "a-secret", at: datetime) -> ConnectedAccount:
    """An Anthropic account that nobody asked: for pages and answers, which call nobody."""
    spec = ACCOUNTS["anthropic"]
    row = ConnectedAccount(
        organization=organization, account=spec.name, label=label or spec.title, address=spec.address,
        sealed=seal(credential), connected_at=at, connected_by=HOUSE.reference, credential_set_at=at,
    )  # fmt: skip
    return keep(row, tuple(feed for feed in spec.feeds if not feed.optional), since=None, by=HOUSE)


class Provider:
    """One that lives in memory: a feed of records of ours, a page for each list. A page may be a call, made when it is
    asked for, which gives the rows or raises.
    """

    def __init__(self, **said: Any) -> None:
        self.pages: list[Sequence[bytes] | Callable[[], Sequence[bytes]]] = []
        self.asked: list[Window] = []
        usual: dict[str, Any] = {
            "name": "invented", "title": "Calls", "parser": "capstan", "says": Says.CHARGES, "pages": self._read,
            "every": timedelta(minutes=10), "delay": timedelta(hours=1), "revised": timedelta(hours=6),
            "width": timedelta(hours=1), "longest": timedelta(hours=24), "history": timedelta(days=90),
            "dedupe": "the id", "convention": "disjoint", "money": "none", "evidence": frozenset({Evidence.METERED}),
        }  # fmt: skip
        self.feed = Feed(**usual | said)
        self.account = Account(
            name="invented", title="Invented", address="https://invented.example", credential_help="Any will do.",
            feeds=(self.feed,), probe=lambda _: None,
        )  # fmt: skip

    def _read(self, _: Access, window: Window) -> Iterator[Sequence[bytes]]:
        self.asked.append(window)
        for page in self.pages:
            yield page if isinstance(page, Sequence) else page()

    @contextmanager
    def known(self) -> Iterator[None]:
        with patch.dict(ACCOUNTS, {"invented": self.account}), patch.dict(FEEDS, {"invented": self.feed}):
            yield

    @contextmanager
    def replaced(self, pages: Pages) -> Iterator[None]:
        """Its pages come otherwise."""
        with patch.dict(FEEDS, {"invented": replace(self.feed, pages=pages)}):
            yield

    def connected(self, organization: Organization, **said: Any) -> PolledFeed:
        usual: dict[str, Any] = {"credential": "a-secret", "since": AT - timedelta(days=3), "by": HOUSE, "at": AT}
        row = services.connect(organization_id=organization.id, account="invented", **usual | said)
        return PolledFeed.objects.get(account=row)


def record(number: int, *, at: datetime = AT - timedelta(hours=2), output: int = 100) -> bytes:
    """One call, as our own format has it."""
    usage = {"input_uncached": 1_000, "output_text": output}
    said = {"id": f"call-{number}", "occurred_at": at.isoformat(), "provider": "openai", "model": "gpt", "usage": usage}
    return json.dumps(said).encode()


@contextmanager
def calling(*fakes: Reporting) -> Iterator[None]:
    """Fakes may be called, and are closed at the end."""
    with override_settings(INTERNAL_HOSTS=frozenset(fake.host for fake in fakes)):
        try:
            yield
        finally:
            for fake in fakes:
                fake.close()


def connected(organization: Organization, fake: Reporting, **said: Any) -> Connected:
    """With every feed there is, optional ones too, read from the fake's first day on."""
    clock = Clock()
    spec = ACCOUNTS[fake.account]
    usual: dict[str, Any] = {
        "account": fake.account,
        "credential": fake.credential,
        "address": fake.address,
        "settings": dict(fake.settings),
        "feeds": tuple(feed.name for feed in spec.feeds),
        "since": fake.until - timedelta(days=fake.days + 1),
        "by": HOUSE,
        "at": clock(),
    }
    row = services.connect(organization_id=organization.id, **usual | said)
    return Connected(organization, fake, row, clock)
