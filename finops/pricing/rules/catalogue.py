"""The public price data of `genai-prices`, read into effective-dated prices by our own meters. Pure.

Its rules are followed (docs/decisions/0006-pricing-catalogue.md): what has no price of its own is priced as what it is
a part of; a tier costs the standard price until the day its own is stated from; thresholds are cliffs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, time
from decimal import Decimal
from typing import Any, Final, NamedTuple

from finops.core.money import to_price
from finops.pricing.rules.names import STANDARD_TIERS, canonical_tier

# For each meter the fields that may price it, the most specific first (the catalogue's own order of descent), and how
# many of the field's units a million of ours are: prices per thousand are multiplied by 1000.
_TOKENS: Final = 1
_THOUSANDS: Final = 1000
METER_FIELDS: Final[Mapping[str, tuple[int, tuple[str, ...]]]] = {
    "input_uncached": (_TOKENS, ("input_mtok",)),
    "cache_read": (_TOKENS, ("cache_read_mtok", "input_mtok")),
    "cache_write_5m": (_TOKENS, ("cache_write_5m_mtok", "cache_write_mtok", "input_mtok")),
    "cache_write_1h": (_TOKENS, ("cache_write_1h_mtok", "cache_write_mtok", "input_mtok")),
    "output_text": (_TOKENS, ("output_text_mtok", "output_mtok")),
    "output_reasoning": (_TOKENS, ("output_reasoning_mtok", "output_mtok")),
    "input_audio": (_TOKENS, ("input_audio_mtok", "input_mtok")),
    "cache_read_audio": (_TOKENS, ("cache_audio_read_mtok", "input_audio_mtok", "cache_read_mtok", "input_mtok")),
    "output_audio": (_TOKENS, ("output_audio_mtok", "output_mtok")),
    "input_image": (_TOKENS, ("input_image_mtok", "input_mtok")),
    "output_image": (_TOKENS, ("output_image_mtok", "output_mtok")),
    "requests": (_THOUSANDS, ("requests_kcount",)),
    "web_searches": (_THOUSANDS, ("web_searches_kcount",)),
    "tool_calls": (_THOUSANDS, ("storage_searches_kcount",)),
}
# Request contexts whose value is a service tier's name; another key becomes part of it (`route:mistral/eu`).
_TIER_KEYS: Final = frozenset({"processing", "service_tier", "speed"})
_CLAUSES: Final = ("equals", "starts_with", "ends_with", "contains", "regex")


class ModelFacts(NamedTuple):
    model: str
    name: str
    match: dict[str, Any]
    context_window: int | None
    comment: str


class ProviderFacts(NamedTuple):
    provider: str
    name: str
    match: dict[str, Any] | None
    model_match: dict[str, Any] | None
    fallbacks: list[str]
    models: list[ModelFacts]


@dataclass(frozen=True, slots=True)
class Draft:
    """A price as it is to stand in the book. `steps` and `raw` are JSON (see models.Price)."""

    provider: str
    model: str
    tier: str
    window: str
    effective_from: date | None
    effective_to: date | None
    steps: list[dict[str, Any]]
    raw: dict[str, Any]
    source: str

    @property
    def line(self) -> tuple[str, str, str, str]:
        return (self.provider, self.model, self.tier, self.window)


@dataclass(frozen=True, slots=True)
class Content:
    """A release as we read it. `unread` names what it says that we have no place for."""

    providers: list[ProviderFacts]
    drafts: list[Draft]
    unread: list[str]

    def digest(self) -> str:
        """SHA-256 of everything read, hex; two releases that say the same have the same."""
        told = [self.providers, [asdict(draft) for draft in self.drafts]]
        text = json.dumps(told, sort_keys=True, separators=(",", ":"), default=str)
        return hashlib.sha256(text.encode()).hexdigest()


def read(providers: Iterable[Any]) -> Content:
    """`genai_prices.data.providers`, or a list shaped like it, as the content of a price book."""
    facts, drafts, unread = [], [], []
    for provider in providers:
        models = []
        for model in provider.models:
            models.append(
                ModelFacts(
                    model.id,
                    model.name or "",
                    clause_json(model.match),
                    model.context_window,
                    model.price_comments or "",
                )
            )
            try:
                drafts += list(_drafts(provider.id, model))
            except _Unread as reason:
                unread.append(f"{provider.id}/{model.id}: {reason}")
        facts.append(
            ProviderFacts(
                provider.id,
                provider.name,
                clause_json(provider.provider_match) if provider.provider_match else None,
                clause_json(provider.model_match) if provider.model_match else None,
                list(provider.fallback_model_providers or ()),
                models,
            )
        )
    return Content(facts, drafts, unread)


class _Unread(Exception):
    """The release says something about this model that we have no place for."""


def clause_json(clause: Any) -> dict[str, Any]:
    """A match clause of the package as JSON; `rules.names.compile_clause` reads it."""
    for kind in _CLAUSES:
        if (word := getattr(clause, kind, None)) is not None:
            return {kind: word}
    for kind in ("or", "and"):
        if (parts := getattr(clause, f"{kind}_", None)) is not None:
            return {kind: [clause_json(part) for part in parts]}
    raise ValueError(f"unknown match clause {clause!r}")


def _drafts(provider: str, model: Any) -> Iterator[Draft]:
    conditions = (
        [(one.constraint, one.prices) for one in model.prices]
        if isinstance(model.prices, list)
        else [(None, model.prices)]
    )
    if not conditions:
        raise _Unread("no prices")
    variants = list(model.price_variants or ())
    for tier, context in _contexts(variants).items():
        own = [variant for variant in variants if all(context.get(key) == word for key, word in variant.when.items())]
        if any(hasattr(variant.constraint, "start_time") for variant in own):
            raise _Unread("a tier with a price by time of day")
        lines: dict[str, list[Draft]] = {}
        for start, end in _segments(
            [constraint for constraint, _ in conditions] + [variant.constraint for variant in own]
        ):
            overrides: dict[str, Any] = {}
            for variant in own:
                if _active(variant.constraint, start):
                    for field, price in _fields(variant.prices).items():
                        overrides.setdefault(field, price)
            for window, prices in _day(conditions, start):
                fields = _fields(prices) | overrides
                note = "" if overrides or not tier else "the standard price; this tier's own is stated from later"
                draft = Draft(provider, model.id, tier, window, start, end, steps_json(fields), raw_json(fields), note)
                _extend(lines.setdefault(window, []), draft)
        for drafts in lines.values():
            yield from drafts


def _contexts(variants: Sequence[Any]) -> dict[str, dict[str, str]]:
    """Tier name to the request context that selects it; '' is no context."""
    found: dict[str, dict[str, str]] = {"": {}}
    for variant in variants:
        words = [word if key in _TIER_KEYS else f"{key}:{word}" for key, word in sorted(variant.when.items())]
        tier = canonical_tier("+".join(words))
        if tier in STANDARD_TIERS:
            if _fields(variant.prices):
                raise _Unread("a standard tier with prices of its own")
            continue
        found.setdefault(tier, {}).update(variant.when)
    return found


def _segments(constraints: Iterable[Any]) -> list[tuple[date | None, date | None]]:
    starts = sorted({one.start_date for one in constraints if hasattr(one, "start_date")})
    edges = [None, *starts, None]
    return [(edges[index], edges[index + 1]) for index in range(len(edges) - 1)]


def _active(constraint: Any, start: date | None) -> bool:
    if constraint is None:
        return True
    return start is not None and constraint.start_date <= start


def _day(conditions: Sequence[tuple[Any, Any]], start: date | None) -> Iterator[tuple[str, Any]]:
    """(window, prices) of a day: the last active condition holds; off-peak windows written after it go before it."""
    base = 0
    for index, (constraint, _) in enumerate(conditions):
        if not hasattr(constraint, "start_time") and _active(constraint, start):
            base = index
    yield "", conditions[base][1]
    taken: list[tuple[time, time]] = []
    for constraint, prices in reversed(conditions[base + 1 :]):
        if not hasattr(constraint, "start_time"):
            continue
        begin, end = constraint.start_time, constraint.end_time
        if any(_overlap((begin, end), other) for other in taken):
            raise _Unread("windows of the day that overlap")
        for edge in (begin, end):
            if edge.second or edge.microsecond or (edge.tzinfo is not None and edge.utcoffset()):
                raise _Unread("a window that is not in whole minutes of UTC")
        taken.append((begin, end))
        yield f"{begin:%H:%M}-{end:%H:%M}", prices


def _overlap(one: tuple[time, time], other: tuple[time, time]) -> bool:
    return any(
        begin < other_end and other_begin < end
        for begin, end in _minutes(*one)
        for other_begin, other_end in _minutes(*other)
    )


def _minutes(begin: time, end: time) -> list[tuple[int, int]]:
    start, stop = begin.hour * 60 + begin.minute, end.hour * 60 + end.minute
    return [(start, stop)] if start <= stop else [(start, 24 * 60), (0, stop)]


def _extend(drafts: list[Draft], draft: Draft) -> None:
    """Append, or lengthen the last one when nothing about it changes."""
    if drafts:
        last = drafts[-1]
        if last.effective_to == draft.effective_from and (last.raw, last.source) == (draft.raw, draft.source):
            drafts[-1] = Draft(*last.line, last.effective_from, draft.effective_to, last.steps, last.raw, last.source)
            return
    drafts.append(draft)


def _fields(prices: Any) -> dict[str, Any]:
    return {field: price for field, price in vars(prices).items() if price is not None and not field.startswith("_")}


def steps_json(fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The package's fields as steps by our meters, rounded half-even to six places per million: here, once."""
    thresholds = sorted({tier.start for price in fields.values() for tier in getattr(price, "tiers", ())})
    steps = []
    for threshold in (0, *(one for one in thresholds if one > 0)):
        rates = {}
        for meter, (factor, names) in METER_FIELDS.items():
            price = next((fields[name] for name in names if name in fields), None)
            if price is not None:
                rates[meter] = format(to_price(_above(price, threshold) * factor), "f")
        steps.append({"above_input_tokens": threshold, "rates": rates})
    return steps


def _above(price: Any, threshold: int) -> Decimal:
    if isinstance(price, Decimal):
        return price
    chosen: Decimal = price.base
    for tier in price.tiers:
        if tier.start <= threshold:
            chosen = tier.price
    return chosen


def raw_json(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The package's fields as they were written, for the record."""
    return {
        name: str(price)
        if isinstance(price, Decimal)
        else {"base": str(price.base), "tiers": [[tier.start, str(tier.price)] for tier in price.tiers]}
        for name, price in sorted(fields.items())
    }
