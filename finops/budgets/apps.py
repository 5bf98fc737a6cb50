from __future__ import annotations

from django.apps import AppConfig


class BudgetsConfig(AppConfig):
    name = "finops.budgets"
    label = "budgets"

    def ready(self) -> None:
        from finops.budgets.services.accounts import observe_spending
        from finops.ledger.services import listen

        listen(observe_spending)
