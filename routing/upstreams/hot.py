"""What a gateway needs of this room, without Django: credentials opened, in memory alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from finops.core.sealing import Sealer

PURPOSE: Final = "capstan.upstreams.credential.v1"


def sealer(secrets: Sequence[str]) -> Sealer:
    """`secrets` are the house's secret key and then the former ones (SECRET_KEY, SECRET_KEY_FALLBACKS)."""
    return Sealer(secrets, purpose=PURPOSE)
