"""Brings the database to what a capstan.toml says, and keeps the key to it."""

from __future__ import annotations

from routing.laptop.services.access import keep_key, keep_login
from routing.laptop.services.bring import Brought, bring

__all__ = ["Brought", "bring", "keep_key", "keep_login"]
