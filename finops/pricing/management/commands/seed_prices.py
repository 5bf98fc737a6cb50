"""Copies the installed release of the public price data into the price book."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from finops.core.actors import system
from finops.pricing.services import seed_price_book


class Command(BaseCommand):
    help = "Copy the installed release of genai-prices into the price book. Running it again changes nothing."

    def handle(self, *args: Any, **options: Any) -> None:
        book, changed = seed_price_book(by=system("seed_prices"), at=timezone.now())
        if not changed:
            self.stdout.write(f"{book} is already in the book; nothing to do.")
            return
        done = book.report
        self.stdout.write(
            f"{book}: {done['models']} models, {done['opened']} prices opened, {done['closed']} closed, "
            f"{done['withdrawn']} withdrawn."
        )
        for line in done["unread"]:
            self.stdout.write(f"not read: {line}")
