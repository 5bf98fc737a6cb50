"""What the price book brought, as an organization sees it: which models are new, and what calls would cost there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from finops.core.money import from_pico
from finops.core.periods import DayRange
from finops.ledger import selectors as ledger
from finops.ledger.types import SpendQuestion
from finops.pricing import selectors as pricing
from finops.pricing.rules.quoting import quote
from routing.recommend.arrivals import NOTHING, Arrived, Incumbent, News, answers_in_text
from routing.recommend.hosts import same_name
from routing.recommend.rules import DAYS_COUNTED, NEWS_FOR
from routing.recommend.selectors import Spending
from routing.recommend.types import Examined
from routing.tiers import selectors as tiers
from routing.tiers.hot import Register
from routing.upstreams import selectors as upstreams


class Market:
    """Read when recommendations are worked out. Without a recent release that brought models two small queries."""

    def __init__(self, organization_id: int, spent: Spending, types: Mapping[str, Examined], at: datetime) -> None:
        self._organization_id = organization_id
        self._spent = spent
        self._at = at
        came = [one for one in pricing.arrivals(at - NEWS_FOR) if answers_in_text(one[1])] if spent.by_type else []
        self.news = self._news(came, types) if came else NOTHING

    def incumbents(self) -> dict[str, Incumbent]:
        """What most is spent on in each task type that has a name."""
        found = {}
        for task_type, rows in self._spent.by_type.items():
            first = min(rows, key=lambda one: (-one.volume.spend, one.model), default=None)
            if first is not None and first.volume.spend > 0:
                found[task_type] = Incumbent(first, self._sellers.get(first.model, ""))
        return found

    def register(self) -> Register:
        return tiers.register(self._organization_id, self._at)

    def price(self, model: str, provider: str, usual: tuple[int, ...]) -> Decimal | None:
        """Dollars of a call of these meters, with what was agreed; None where nobody knows."""
        rated = quote(
            self._pricer, provider=provider, model=model, tier="", host="", counts=usual, at=self._at
        ).rated  # fmt: skip
        return from_pico(rated.effective_pico) if rated.priced and rated.currency == "USD" else None

    def _news(self, came: list[tuple[str, str]], types: Mapping[str, Examined]) -> News:
        self._pricer = pricing.load_pricer(self._organization_id)
        self._sellers = self._sold_by()
        known = self.register()
        arrived = self._had(came, known)
        plain = {one.model: same_name(one.model) for one in arrived}
        terms = ledger.term_ids(self._organization_id, "model", {*plain, *plain.values()})
        tried = {row.model for one in types.values() for row in one.candidates}
        tried |= {row.model for one in types.values() for row in one.points}
        tried |= {model for one in types.values() for model in one.asked}
        tried |= {same_name(model) for model in tried}
        return News(
            arrived,
            frozenset(model for model, name in plain.items() if model in terms or name in terms),
            frozenset(model for model, name in plain.items() if model in tried or name in tried),
        )

    def _had(self, came: list[tuple[str, str]], known: Register) -> list[Arrived]:
        """Each model once, where the organization has others already, or else from its maker: the cheapest by list of
        those. What only somebody else sells is left out.
        """
        ours = {*self._sellers.values(), *self._deployed()}
        price = tiers.list_prices(self._pricer, self._at.astimezone(UTC).date())
        best: dict[str, tuple[bool, Decimal, str, str]] = {}
        for provider, model in came:
            listed = price(provider, model)
            is_ours = provider in ours
            if listed is None or not (is_ours or known.provider(known.of(model, provider).vendor) == provider):
                continue
            offer = (not is_ours, listed, provider, model)
            plain = same_name(model)
            best[plain] = min(best.get(plain, offer), offer)
        return [
            Arrived(model, provider, self._price_id(model, provider)) for _, _, provider, model in sorted(best.values())
        ]

    def _price_id(self, model: str, provider: str) -> int:
        cards = self._pricer.find(provider, model, "", "", self._at.astimezone(UTC).date()).cards
        return cards[-1].price_id if cards else 0

    def _deployed(self) -> set[str]:
        rows = upstreams.deployments_in_use(self._organization_id).order_by()
        places = rows.values_list("upstream__provider", "upstream__host").distinct()
        return {word for place in places for word in place if word}

    def _sold_by(self) -> dict[str, str]:
        """By model the provider that most is spent at."""
        today = self._at.astimezone(UTC).date()
        period = DayRange(today - timedelta(days=DAYS_COUNTED - 1), today + timedelta(days=1))
        rows = ledger.spend(SpendQuestion(self._organization_id, period, group_by=("provider", "model")))
        called = ledger.named(
            self._organization_id,
            {"provider": {row.values[0] for row in rows}, "model": {row.values[1] for row in rows}},
        )
        found: dict[str, str] = {}
        for row in rows:
            if row.values[0] and row.values[1]:
                found.setdefault(called["model"][row.values[1]].value, called["provider"][row.values[0]].value)
        return found
