from __future__ import annotations

from django.apps import AppConfig


class SeatsConfig(AppConfig):
    name = "finops.seats"
    label = "seats"

    def ready(self) -> None:
        from finops.ingest.services import cover_by, forget_by
        from finops.seats.selectors import load_coverage
        from finops.seats.services.plans import forget_holder

        cover_by(load_coverage)
        forget_by(forget_holder)
