"""Sources that the house makes itself, by what they are for."""

from __future__ import annotations

from typing import Final

# Of what is fetched from an account that was connected.
ACCOUNT: Final = "account"
# Of what plans of seats cost; the house makes it.
SEATS: Final = "seats"
# What our own gateway tells; the name of its source.
GATEWAY: Final = "capstan-gateway"
