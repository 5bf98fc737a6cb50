"""How to log in to the demo company: the people `seed_demo` makes and `up --demo` prints."""

from __future__ import annotations

from typing import Final

from finops.ingest.demo.company import LOGINS

DEMO_LOGINS: Final = LOGINS
DEMO_FINANCE, DEMO_OWNER, DEMO_LEAD, DEMO_ENGINEER = DEMO_LOGINS
