"""Copies a release of the public price data into the book. What a past day cost is never rewritten."""

from __future__ import annotations

import importlib
import importlib.metadata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any, Final, NamedTuple

from django.db import connection, transaction

from finops.audit.services import record
from finops.core.actors import Actor
from finops.pricing.models import CatalogueModel, CatalogueProvider, Price, PriceBook
from finops.pricing.rules import catalogue
from finops.pricing.rules.catalogue import Content, Draft
from finops.pricing.services.versions import touch

PACKAGE: Final = "genai-prices"
# The audit trail's organization for what belongs to none.
_NOBODY: Final = 0
_BATCH: Final = 1000


class Seeded(NamedTuple):
    """What a seeding did: `book` is the release in force, `changed` False when it had been copied before."""

    book: PriceBook
    changed: bool


@transaction.atomic
def seed_price_book(
    *, by: Actor, at: datetime, providers: Iterable[Any] | None = None, version: str | None = None
) -> Seeded:
    """Copy the installed release of genai-prices (or `providers`, shaped like its data) into the book.

    The same content again changes nothing. Other content closes the prices it changes on the day of `at` and opens the
    new ones from that day; a model or tier that had no price before gets its whole history, which fills a gap and
    rewrites nothing; a model no longer listed keeps its last price.
    """
    if providers is None:
        # A megabyte and a half of literals that only seeding needs; not for every web process to carry.
        providers = importlib.import_module("genai_prices.data").providers
        version = importlib.metadata.version(PACKAGE)
    content = catalogue.read(providers)
    digest = content.digest()
    with connection.cursor() as cursor:
        # One seeding at a time: the second finds what the first wrote.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('pricing.seed_price_book', 0))")
    last = PriceBook.objects.order_by("-id").first()
    if last is not None and last.digest == digest:
        return Seeded(last, changed=False)
    touch(organization_id=None, at=at)
    book = PriceBook.objects.create(package=PACKAGE, version=version or "", digest=digest, seeded_at=at)
    _write_names(content)
    done = _write_prices(book, content, at)
    book.report = {**done, "models": sum(len(one.models) for one in content.providers), "unread": content.unread}
    book.save(update_fields=["report"])
    record(
        organization_id=_NOBODY,
        verb="pricing.book_seeded",
        subject_kind="price_book",
        subject_id=book.id,
        subject_label=str(book),
        by=by,
        at=at,
        details={"digest": digest, **done},
    )
    return Seeded(book, changed=True)


def _write_names(content: Content) -> None:
    CatalogueProvider.objects.update(listed=False)
    CatalogueModel.objects.update(listed=False)
    CatalogueProvider.objects.bulk_create(
        [
            CatalogueProvider(
                provider=one.provider,
                name=one.name,
                match=one.match,
                model_match=one.model_match,
                fallbacks=one.fallbacks,
                position=position,
                listed=True,
            )
            for position, one in enumerate(content.providers)
        ],
        update_conflicts=True,
        unique_fields=["provider"],
        update_fields=["name", "match", "model_match", "fallbacks", "position", "listed"],
    )
    CatalogueModel.objects.bulk_create(
        [
            CatalogueModel(
                provider_id=one.provider,
                model=model.model,
                name=model.name,
                match=model.match,
                context_window=model.context_window,
                comment=model.comment,
                position=position,
                listed=True,
            )
            for one in content.providers
            for position, model in enumerate(one.models)
        ],
        batch_size=_BATCH,
        update_conflicts=True,
        unique_fields=["provider", "model"],
        update_fields=["name", "match", "context_window", "comment", "position", "listed"],
    )


def _write_prices(book: PriceBook, content: Content, at: datetime) -> dict[str, int]:
    today = at.date()
    standing: defaultdict[tuple[str, str, str, str], list[Price]] = defaultdict(list)
    for price in Price.objects.filter(withdrawn_at__isnull=True).order_by("id"):
        standing[(price.provider, price.model, price.tier, price.window)].append(price)
    had_a_price = {line[:3] for line in standing}
    wanted: defaultdict[tuple[str, str, str, str], list[Draft]] = defaultdict(list)
    for draft in content.drafts:
        wanted[draft.line].append(draft)
    listed = {(one.provider, model.model) for one in content.providers for model in one.models}

    opened: list[Draft] = []
    changed: list[Price] = []
    done: Counter[str] = Counter(opened=0, closed=0, withdrawn=0)
    for line in sorted(standing.keys() | wanted.keys()):
        if line[:3] not in had_a_price:
            opened += wanted[line]
        elif line[:2] in listed:
            new = [clipped for draft in wanted[line] if (clipped := _from_day(draft, today))]
            opened += _follow(standing[line], new, today=today, at=at, changed=changed, done=done)
    done["opened"] = len(opened)
    # In this order, or the database would see two prices for one day.
    Price.objects.bulk_update([one for one in changed if one.withdrawn_at], ["withdrawn_at"], batch_size=_BATCH)
    Price.objects.bulk_update([one for one in changed if not one.withdrawn_at], ["effective_to"], batch_size=_BATCH)
    Price.objects.bulk_create([_price(book, draft) for draft in opened], batch_size=_BATCH)
    return dict(done)


def _follow(
    old: Sequence[Price], new: list[Draft], *, today: date, at: datetime, changed: list[Price], done: Counter[str]
) -> list[Draft]:
    """Let one line follow the new release from today on; gives what is to be opened."""
    coming = [price for price in old if price.effective_to is None or price.effective_to > today]
    if [_told(max(price.effective_from or date.min, today), price.effective_to, price.steps) for price in coming] == [
        _told(draft.effective_from, draft.effective_to, draft.steps) for draft in new
    ]:
        return []
    for price in coming:
        if price.effective_from is not None and price.effective_from >= today:
            price.withdrawn_at = at
            done["withdrawn"] += 1
        elif new and new[0].effective_from == today and new[0].steps == price.steps:
            price.effective_to = new.pop(0).effective_to
            done["closed"] += price.effective_to is not None
        else:
            price.effective_to = today
            done["closed"] += 1
        changed.append(price)
    return new


def _told(start: date | None, end: date | None, steps: Any) -> tuple[date | None, date | None, Any]:
    return (start, end, steps)


def _from_day(draft: Draft, day: date) -> Draft | None:
    if draft.effective_to is not None and draft.effective_to <= day:
        return None
    return replace(draft, effective_from=max(draft.effective_from or date.min, day))


def _price(book: PriceBook, draft: Draft) -> Price:
    return Price(
        book=book,
        provider=draft.provider,
        model=draft.model,
        tier=draft.tier,
        window=draft.window,
        currency="USD",
        effective_from=draft.effective_from,
        effective_to=draft.effective_to,
        steps=draft.steps,
        raw=draft.raw,
        source=f"{book.package} {book.version}" + (f": {draft.source}" if draft.source else ""),
    )
