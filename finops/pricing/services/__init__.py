"""Makes prices so: seeding the public book, and what an organization writes over it."""

from __future__ import annotations

from finops.pricing.services.seeding import Seeded, seed_price_book
from finops.pricing.services.versions import touch

__all__ = ["Seeded", "seed_price_book", "touch"]
