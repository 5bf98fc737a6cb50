"""Budgets as they are written: their terms, exceptions, increases and transfers. Accounts and leases, which change with
every call, are in `sql/0001_accounts.sql`.

Amounts are of the organization's reporting currency, which is fixed once anything is charged.
"""

from __future__ import annotations

from typing import ClassVar

import pghistory
from django.db import models
from django.db.models import F, Q

from finops.budgets.guard.terms import LIMITED, STOPPABLE, WATCHED, Measure
from finops.budgets.types import Enforcement, Period
from finops.orgs.models import Organization, Owned
from finops.sources.models import Source


class BudgetsVersion(models.Model):
    """Changes whenever any of an organization's budgets does, so that a process knows its snapshot is stale."""

    organization = models.OneToOneField(Organization, primary_key=True, on_delete=models.PROTECT)
    token = models.UUIDField()

    def __str__(self) -> str:
        return f"budgets of {self.organization_id}"


@pghistory.track()
class Budget(Owned):
    """One budget. Never deleted: it is archived, and its accounts stay."""

    name = models.CharField(max_length=200)
    # Dimension -> list of allowed values (ids as text for owners, words as they are); all must match. {} is everything.
    scope = models.JSONField(default=dict)
    # An account of its own for each value of this dimension; '' is one for all.
    each = models.CharField(max_length=10, blank=True)
    period = models.CharField(max_length=8, choices=[(one.value, one.value) for one in Period])
    timezone = models.CharField(max_length=60, default="UTC")
    limit_amount = models.DecimalField(max_digits=24, decimal_places=12)
    enforcement = models.CharField(max_length=9, choices=[(one.value, one.value) for one in Enforcement])
    # Percent of the limit at which somebody is told.
    thresholds = models.JSONField(default=list)
    rollover_amount = models.DecimalField(max_digits=24, decimal_places=12, default=0)
    # Whether calls go on when the database cannot be asked and the lease in hand is spent.
    fail_open = models.BooleanField(default=False)
    # Of a downgrade: where calls go, [{"provider", "model"}, …], and from which percent of the limit on.
    downgrade_to = models.JSONField(default=list)
    downgrade_at = models.SmallIntegerField(default=80)
    # Made by a team lead inside the team's envelope. Never an envelope itself, and leads change no other.
    by_lead = models.BooleanField(default=False)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["organization", "id"], name="budget_of_organization")]
        constraints: ClassVar = [
            models.CheckConstraint(name="budget_limit", condition=Q(limit_amount__gte=0)),
            models.CheckConstraint(
                name="budget_rollover",
                condition=Q(rollover_amount=0) | (Q(rollover_amount__gt=0) & ~Q(period__in=["total", "session"])),
            ),
            models.CheckConstraint(
                name="budget_ends_after_it_starts", condition=Q(ends_at__isnull=True) | Q(ends_at__gt=F("starts_at"))
            ),
            models.CheckConstraint(name="budget_downgrade_at", condition=Q(downgrade_at__gte=1, downgrade_at__lte=100)),
            models.CheckConstraint(name="budget_sessions_are_each", condition=~Q(period="session") | Q(each="session")),
        ]

    def __str__(self) -> str:
        return self.name


@pghistory.track()
class BudgetException(models.Model):
    """A subject with a limit of its own, or (no limit) one the budget does not concern."""

    id = models.AutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    budget = models.ForeignKey(Budget, on_delete=models.PROTECT, related_name="exceptions")
    subject = models.CharField(max_length=300)
    limit_amount = models.DecimalField(max_digits=24, decimal_places=12, null=True)
    note = models.TextField(blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["budget", "subject"], name="budget_exception_once"),
            models.CheckConstraint(
                name="budget_exception_limit", condition=Q(limit_amount__isnull=True) | Q(limit_amount__gte=0)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.subject} of budget {self.budget_id}"


@pghistory.track()
class Increase(models.Model):
    """More for a while: asked for by somebody, decided by another, and over by itself."""

    class State(models.TextChoices):
        ASKED = "asked", "Asked for"
        APPROVED = "approved", "Approved"
        REFUSED = "refused", "Refused"
        WITHDRAWN = "withdrawn", "Withdrawn"

    id = models.AutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    budget = models.ForeignKey(Budget, on_delete=models.PROTECT, related_name="increases")
    subject = models.CharField(max_length=300, blank=True)
    amount = models.DecimalField(max_digits=24, decimal_places=12)
    reason = models.TextField(blank=True)
    state = models.CharField(max_length=9, choices=State, default=State.ASKED)
    asked_by = models.CharField(max_length=80)
    asked_at = models.DateTimeField()
    decided_by = models.CharField(max_length=80, blank=True)
    decided_at = models.DateTimeField(null=True)
    note = models.TextField(blank=True)
    # It counts in [decided_at, expires_at) once approved.
    expires_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["organization", "state", "-asked_at"], name="increase_by_state")]
        constraints: ClassVar = [
            models.CheckConstraint(name="increase_amount", condition=Q(amount__gt=0)),
            models.CheckConstraint(
                name="increase_decided",
                condition=Q(state="asked", decided_at__isnull=True) | (~Q(state="asked") & Q(decided_at__isnull=False)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.amount} more of budget {self.budget_id}"


class Transfer(models.Model):
    """Money moved from one account to another for their present periods. Append-only; the other way is another one."""

    id = models.AutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    source = models.ForeignKey(Budget, on_delete=models.PROTECT, related_name="given")
    source_subject = models.CharField(max_length=300, blank=True)
    source_start = models.DateTimeField()
    target = models.ForeignKey(Budget, on_delete=models.PROTECT, related_name="received")
    target_subject = models.CharField(max_length=300, blank=True)
    target_start = models.DateTimeField()
    amount = models.DecimalField(max_digits=24, decimal_places=12)
    reason = models.TextField(blank=True)
    by = models.CharField(max_length=80)
    at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [models.CheckConstraint(name="transfer_amount", condition=Q(amount__gt=0))]

    def __str__(self) -> str:
        return f"{self.amount} from budget {self.source_id} to {self.target_id}"


@pghistory.track()
class Limit(models.Model):
    """What the calls of one key, person, team or agent may be, or of each; null is no limit of that kind."""

    id = models.AutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    dimension = models.CharField(max_length=10, choices=[(one, one) for one in LIMITED])
    # An id as text; '' is each.
    subject = models.CharField(max_length=10, blank=True)
    # Names or patterns with `*`.
    allowed_models = models.JSONField(null=True)
    requests_per_minute = models.IntegerField(null=True)
    tokens_per_minute = models.BigIntegerField(null=True)
    # Calls under way at once.
    max_concurrent = models.IntegerField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["organization", "dimension", "subject"], name="budget_limit_once"),
            models.CheckConstraint(
                name="budget_limit_says_something",
                condition=Q(allowed_models__isnull=False)
                | Q(requests_per_minute__isnull=False)
                | Q(tokens_per_minute__isnull=False)
                | Q(max_concurrent__isnull=False),
            ),
            models.CheckConstraint(
                name="budget_limit_of_a_minute",
                condition=(Q(requests_per_minute__isnull=True) | Q(requests_per_minute__gt=0))
                & (Q(tokens_per_minute__isnull=True) | Q(tokens_per_minute__gt=0)),
            ),
            models.CheckConstraint(
                name="budget_limit_at_once", condition=Q(max_concurrent__isnull=True) | Q(max_concurrent__gt=0)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.dimension} {self.subject or 'each'}"


@pghistory.track()
class BreakerRule(models.Model):
    """A breaker that replaces a default, or adds to them. For sessions the subject is an agent whose sessions it is
    about.
    """

    id = models.AutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    dimension = models.CharField(max_length=10, choices=[(one, one) for one in WATCHED])
    subject = models.CharField(max_length=10, blank=True)
    measure = models.CharField(max_length=20, choices=[(one.value, one.value) for one in Measure])
    # Amounts are of the reporting currency; null switches the breaker off.
    threshold = models.DecimalField(max_digits=24, decimal_places=12, null=True)
    pause_minutes = models.IntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["organization", "dimension", "subject", "measure"], name="budget_breaker_once"
            ),
            models.CheckConstraint(
                name="budget_breaker_threshold", condition=Q(threshold__isnull=True) | Q(threshold__gt=0)
            ),
            models.CheckConstraint(name="budget_breaker_pause", condition=Q(pause_minutes__gt=0)),
        ]

    def __str__(self) -> str:
        return f"{self.measure} of {self.dimension} {self.subject or 'each'}"


class Stop(models.Model):
    """What somebody stopped, or a breaker. The table is in `sql/0010_guard.sql`: gateways read and write it too, and
    hear of every change.
    """

    class Kind(models.TextChoices):
        MANUAL = "manual", "Stopped by hand"
        BREAKER = "breaker", "A breaker tripped"

    id = models.BigAutoField(primary_key=True)
    organization_id = models.IntegerField()
    kind = models.CharField(max_length=10, choices=Kind)
    dimension = models.CharField(max_length=20, choices=[(one, one) for one in STOPPABLE])
    subject = models.CharField(max_length=300, blank=True)
    reason = models.CharField(max_length=500, blank=True)
    by = models.CharField(max_length=120)
    at = models.DateTimeField()
    until = models.DateTimeField(null=True)
    lifted_at = models.DateTimeField(null=True)
    lifted_by = models.CharField(max_length=120, blank=True)

    class Meta:
        managed = False
        db_table = "budgets_stop"

    def __str__(self) -> str:
        return f"{self.dimension} {self.subject}"


class Enforceable(Owned):
    """A key at a provider or a proxy that Capstan may block there, and whose spend it makes: that of one owner."""

    source = models.ForeignKey(Source, on_delete=models.PROTECT)
    # As the provider names it, never the key itself.
    external_id = models.CharField(max_length=200)
    label = models.CharField(max_length=200, blank=True)
    # A dimension of owners, and the owner's id as text.
    dimension = models.CharField(max_length=10)
    subject = models.CharField(max_length=20)
    # Until when somebody is talking to the provider about it.
    acting_until = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["source", "external_id"],
                name="budgets_enforceable_once",
                condition=Q(archived_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"key {self.external_id} of source {self.source_id}"


class Block(models.Model):
    """That an account needs a key blocked ahead of its limit, and what became of it: one at a time for each of both."""

    class State(models.TextChoices):
        WANTED = "wanted", "To be blocked"
        BLOCKED = "blocked", "Blocked"
        UNBLOCK_WANTED = "unblock_wanted", "To be given back"
        UNBLOCKED = "unblocked", "Given back"

    id = models.AutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    budget = models.ForeignKey(Budget, on_delete=models.PROTECT, related_name="blocks")
    account_id = models.BigIntegerField()
    subject = models.CharField(max_length=300, blank=True)
    enforceable = models.ForeignKey(Enforceable, on_delete=models.PROTECT, related_name="blocks")
    state = models.CharField(max_length=14, choices=State, default=State.WANTED)
    reason = models.TextField()
    # How it stood when it was decided: the limit, what was reported, and what that was thought to be by then.
    limit_amount = models.DecimalField(max_digits=38, decimal_places=12)
    spent = models.DecimalField(max_digits=38, decimal_places=12)
    likely = models.DecimalField(max_digits=38, decimal_places=12)
    most = models.DecimalField(max_digits=38, decimal_places=12)
    crosses_at = models.DateTimeField(null=True)
    wanted_at = models.DateTimeField()
    # When the provider was first asked by us; what is blocked there before is not ours to give back.
    called_at = models.DateTimeField(null=True)
    found_blocked = models.BooleanField(default=False)
    blocked_at = models.DateTimeField(null=True)
    unblock_reason = models.TextField(blank=True)
    unblock_wanted_at = models.DateTimeField(null=True)
    unblocked_at = models.DateTimeField(null=True)
    tries = models.IntegerField(default=0)
    next_try_at = models.DateTimeField()
    # Since when a person is needed; it is tried again now and then all the same.
    failed_at = models.DateTimeField(null=True)
    last_error = models.TextField(blank=True)
    # Once all was reported: what went past the limit, and what of it was never used.
    settled_at = models.DateTimeField(null=True)
    overshoot = models.DecimalField(max_digits=38, decimal_places=12, null=True)
    unused = models.DecimalField(max_digits=38, decimal_places=12, null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["account_id", "enforceable"], name="budgets_block_once", condition=~Q(state="unblocked")
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["next_try_at"], name="budgets_block_due", condition=Q(state__in=["wanted", "unblock_wanted"])
            ),
            models.Index(fields=["organization", "budget", "-id"], name="budgets_block_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.state} for account {self.account_id}"

    @property
    def shown_state(self) -> str:
        """The state in the word that people are told: `failed` while a person is needed."""
        return "failed" if self.failed_at else str(self.state)
