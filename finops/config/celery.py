"""Celery's application and the schedule. Queues: ingest, control, alerts, routing, experiments, polling."""

from __future__ import annotations

import os

from celery import Celery
from celery.signals import worker_init
from django.conf import settings

from finops.runtime.collecting import calm_collector

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "finops.config.settings")

app = Celery("capstan")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_init.connect
def _calm(**_: object) -> None:
    calm_collector()


# name -> (task, seconds). Synchronised into django-celery-beat's tables when beat starts.
app.conf.beat_schedule = {
    "fold rollups": {"task": "ledger.fold_rollups", "schedule": 2.0, "options": {"queue": "control", "expires": 10}},
    "fold observed": {"task": "budgets.fold_observed", "schedule": 2.0, "options": {"queue": "control", "expires": 10}},
    "follow increases": {
        "task": "budgets.follow_increases",
        "schedule": 10.0,
        "options": {"queue": "control", "expires": 30},
    },
    "book inbox": {"task": "ingest.book_inbox", "schedule": 1.0, "options": {"queue": "ingest", "expires": 5}},
    "forget series": {"task": "ingest.forget_series", "schedule": 6 * 3600.0, "options": {"queue": "control"}},
    "follow batches": {"task": "batches.follow", "schedule": 20.0, "options": {"queue": "routing", "expires": 60}},
    "forget minutes": {
        "task": "budgets.forget_minutes",
        "schedule": 300.0,
        "options": {"queue": "control", "expires": 300},
    },
    "plan blocks": {
        "task": "budgets.plan_blocks",
        "schedule": float(settings.ENFORCE_EVERY_S),
        "options": {"queue": "control", "expires": settings.ENFORCE_EVERY_S},
    },
    "act on blocks": {
        "task": "budgets.act_on_blocks",
        "schedule": float(min(5, settings.ENFORCE_EVERY_S)),
        "options": {"queue": "control", "expires": 10},
    },
    "settle days": {"task": "ledger.settle", "schedule": 3600.0, "options": {"queue": "control", "expires": 3600}},
    "rematch": {
        "task": "ledger.rematch",
        "schedule": 30.0,
        "kwargs": {"hours": 1},
        "options": {"queue": "ingest", "expires": 30},
    },
    "rematch late": {
        "task": "ledger.rematch",
        "schedule": 3600.0,
        "kwargs": {"hours": 72},
        "options": {"queue": "ingest", "expires": 3600},
    },
    "make partitions": {"task": "ledger.make_partitions", "schedule": 6 * 3600.0, "options": {"queue": "control"}},
    "forget answers": {"task": "api.forget_answers", "schedule": 6 * 3600.0, "options": {"queue": "control"}},
    "forget captures": {
        "task": "captures.forget_expired",
        "schedule": 60.0,
        "options": {"queue": "control", "expires": 60},
    },
    "reconcile": {
        "task": "reconciliation.reconcile",
        "schedule": 300.0,
        "options": {"queue": "ingest", "expires": 300},
    },
    "follow seats": {"task": "seats.follow", "schedule": 300.0, "options": {"queue": "control", "expires": 300}},
    "train classifiers": {"task": "classify.train_daily", "schedule": 24 * 3600.0, "options": {"queue": "routing"}},
    "take sampled calls": {
        "task": "classify.take_sampled",
        "schedule": 60.0,
        "options": {"queue": "routing", "expires": 60},
    },
    "resume trainings": {
        "task": "classify.resume_trainings",
        "schedule": 60.0,
        "options": {"queue": "routing", "expires": 60},
    },
    "forget decisions": {
        "task": "rules.forget_decisions",
        "schedule": 60.0,
        "options": {"queue": "control", "expires": 60},
    },
    "follow concentration": {
        "task": "rules.follow_concentration",
        "schedule": 3600.0,
        "options": {"queue": "routing", "expires": 3600},
    },
    "follow prospects": {
        "task": "prospects.follow",
        "schedule": 900.0,
        "options": {"queue": "routing", "expires": 900},
    },
    "follow evidence": {
        "task": "recommend.follow",
        "schedule": 60.0,
        "options": {"queue": "routing", "expires": 120},
    },
    "follow rollouts": {
        "task": "rollouts.follow",
        "schedule": 20.0,
        "options": {"queue": "routing", "expires": 20},
    },
    "follow experiments": {
        "task": "experiments.follow",
        "schedule": 10.0,
        "options": {"queue": "control", "expires": 10},
    },
    "measure savings": {
        "task": "rollouts.measure",
        "schedule": 900.0,
        "options": {"queue": "routing", "expires": 900},
    },
    "take signals": {"task": "alerts.take_signals", "schedule": 1.0, "options": {"queue": "alerts", "expires": 5}},
    "deliver alerts": {"task": "alerts.deliver", "schedule": 3.0, "options": {"queue": "alerts", "expires": 10}},
    "evaluate thresholds": {"task": "alerts.evaluate", "schedule": 30.0, "options": {"queue": "alerts", "expires": 60}},
    "watch sources and shares": {
        "task": "alerts.watch",
        "schedule": 120.0,
        "options": {"queue": "alerts", "expires": 240},
    },
    "foresee": {"task": "alerts.foresee", "schedule": 900.0, "options": {"queue": "alerts", "expires": 900}},
    "poll feeds": {"task": "polling.poll_due", "schedule": 30.0, "options": {"queue": "control", "expires": 30}},
    "resume backfills": {
        "task": "polling.resume_backfills",
        "schedule": 30.0,
        "options": {"queue": "control", "expires": 30},
    },
    "resume jobs": {"task": "ingest.resume_jobs", "schedule": 15.0, "options": {"queue": "control", "expires": 30}},
}
