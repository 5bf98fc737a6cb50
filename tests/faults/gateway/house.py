"""The rest of the house beside gateways under stress: publishes, books, folds, and does what an admin is told to.

Reads one JSON object a line, answers with one. Started with the environment of a database of its own.
"""

from __future__ import annotations

import json
import os
import select
import sys
from datetime import timedelta
from decimal import Decimal
from typing import Any


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "finops.config.settings")
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import Error, connection
    from django.utils import timezone

    call_command("migrate", verbosity=0)
    house = House()
    say({"secret": house.secret, "caller": house.caller, "people": house.people})
    while True:
        try:
            if select.select([sys.stdin], [], [], 0.1)[0]:
                line = sys.stdin.readline()
                if not line:
                    return
                asked = json.loads(line)
                say(getattr(house, asked.pop("do"))(**asked))
            house.tick(timezone.now())
        except Error:
            connection.close()


def say(answer: Any) -> None:
    sys.stdout.write(json.dumps(answer, default=str) + "\n")
    sys.stdout.flush()


class House:
    def __init__(self) -> None:
        from django.utils import timezone

        from finops.orgs import services
        from tests.factories.gateway import key
        from tests.factories.ledger import small_book
        from tests.factories.orgs import HOUSE, the_cast

        self.by = HOUSE
        small_book()
        now = timezone.now()
        self.acme = the_cast().acme
        self.people = {
            f"p{n}": services.add_person(organization_id=self.acme.id, name=f"P{n}", slug=f"p{n}", by=HOUSE, at=now).id
            for n in range(8)
        }
        self.secret = key(self.acme.id, at=now)
        self.caller = key(self.acme.id, "calls.make", at=now)

    def tick(self, at: Any) -> None:
        from finops.budgets.services import fold_observed, follow_increases
        from finops.ingest.services import book_inbox
        from routing.configuration.services import publish_changes

        publish_changes(at)
        book_inbox(at)
        fold_observed()
        follow_increases(since=at - timedelta(minutes=5), at=at)

    def budget(
        self, limit: str, each: str = "", ends_in_s: float | None = None, starts_in_s: float | None = None
    ) -> Any:
        from django.utils import timezone

        from tests.factories.budgets import budget

        now = timezone.now()
        dated = {
            name: now + timedelta(seconds=seconds)
            for name, seconds in (("ends_at", ends_in_s), ("starts_at", starts_in_s))
            if seconds is not None
        }
        return {"id": budget(self.acme.id, limit, at=now, each=each, **dated).id}

    def upstream(self, address: str, **given: Any) -> Any:
        from types import SimpleNamespace

        from django.utils import timezone

        from tests.factories.relaying import deployed

        deployed(self.acme.id, SimpleNamespace(address=address), at=timezone.now(), **given)
        return {}

    def charges(self) -> Any:
        """Of each call: its id at its provider, how sure its figure is, and what it cost."""
        from tests.factories.ledger import rows

        return rows(
            "SELECT c.provider_request_id, t.value, c.reporting_cost, c.external_id FROM ledger_charge AS c"
            " JOIN ledger_term AS t ON t.id = c.evidence_id ORDER BY c.id"
        )

    def limit(self, budget: int, amount: str) -> Any:
        from django.utils import timezone

        from finops.budgets.services.budgets import change_budget

        change_budget(
            organization_id=self.acme.id, budget_id=budget, limit_amount=Decimal(amount), by=self.by, at=timezone.now()
        )
        return {}

    def increase(self, budget: int, amount: str, seconds: float) -> Any:
        from django.utils import timezone

        from finops.budgets.models import Increase

        now = timezone.now()
        Increase.objects.create(
            organization=self.acme, budget_id=budget, amount=Decimal(amount), state=Increase.State.APPROVED,
            asked_by="tests", asked_at=now, decided_by="tests", decided_at=now,
            expires_at=now + timedelta(seconds=seconds),
        )  # fmt: skip
        from finops.budgets.services import accounts

        accounts.set_limits(organization_id=self.acme.id, budget_id=budget, at=now)
        return {}

    def standing(self) -> Any:
        """Every account beside what the ledger says of its subject, and each call's cost."""
        from tests.factories.ledger import rows

        accounts = rows(
            "SELECT a.budget_id, a.subject, a.limit_amount, a.ceiling, a.authorised, a.leased, a.observed"
            " + coalesce((SELECT sum(amount) FROM budgets_observed WHERE account_id = a.id), 0), coalesce((SELECT"
            " sum(c.reporting_cost) FROM ledger_charge AS c WHERE c.organization_id = a.organization_id"
            " AND c.occurred_at >= a.starts_at AND (a.ends_at IS NULL OR c.occurred_at < a.ends_at)"
            " AND (a.subject = '' OR a.subject = c.person_id::text)), 0) FROM budgets_account AS a ORDER BY a.id"
        )
        return {
            "accounts": accounts,
            "waiting": rows("SELECT count(*) FROM ingest_inbox")[0][0],
            "costs": rows(
                "SELECT external_id, sum(reporting_cost) FROM ledger_charge GROUP BY external_id ORDER BY external_id"
            ),
        }


if __name__ == "__main__":
    main()
