"""How to log in to the demo company: the people `seed_demo` makes and `up --demo` prints."""

from __future__ import annotations

from typing import Final

# e-mail, password, who it is and what they may do. These are printed on purpose: the company is invented.
DEMO_LOGINS: Final = [
    ("finance@acme.example", "capstan-demo-finance", "Dana, finance: all spend, prices and reports"),
    ("owner@acme.example", "capstan-demo-owner", "Alice, owner: everything"),
    ("lead@acme.example", "capstan-demo-lead", "Erin, team lead: her own teams"),
    ("engineer@acme.example", "capstan-demo-engineer", "Bob, engineer: his own spend"),
]
DEMO_FINANCE, DEMO_OWNER, DEMO_LEAD, DEMO_ENGINEER = DEMO_LOGINS
