"""Of which calls the contents are kept, and those that are: sealed, and only until they expire."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from finops.orgs.models import Organization
from routing.captures import hot, rules


class CaptureSettings(models.Model):
    """One for each organization that ever said anything; without one it is off. `routing.captures.store` reads it."""

    organization = models.OneToOneField(Organization, primary_key=True, on_delete=models.PROTECT)
    # Changes with anything else here, so that it is published.
    token = models.UUIDField()
    is_on = models.BooleanField(default=False)
    # Of all calls, in percent.
    share = models.DecimalField(max_digits=5, decimal_places=rules.SHARE_PLACES)
    days_kept = models.IntegerField()
    most_a_day = models.IntegerField()
    most_kib = models.IntegerField()
    # Empty: all of them.
    task_types = ArrayField(models.CharField(max_length=rules.LONGEST_TASK_TYPE), default=list)
    project_ids = ArrayField(models.IntegerField(), default=list)
    changed_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="captures_share", condition=Q(share__range=(0, rules.MOST_SHARE))),
            models.CheckConstraint(name="captures_days", condition=Q(days_kept__range=(1, rules.MOST_DAYS))),
            models.CheckConstraint(name="captures_a_day", condition=Q(most_a_day__range=(1, rules.MOST_A_DAY))),
            models.CheckConstraint(name="captures_kib", condition=Q(most_kib__range=(rules.LEAST_KIB, rules.MOST_KIB))),
        ]

    def __str__(self) -> str:
        return f"captures of {self.organization_id}"


class Capture(models.Model):
    """One call. What was asked and answered is in `sealed` alone (`hot.Exchange`)."""

    SEALED: ClassVar = {"sealed": hot.PURPOSE}

    id = models.BigAutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    # As the client was told it: `x-capstan-call`.
    call_id = models.CharField(max_length=64)
    at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    dialect = models.CharField(max_length=40)
    # As it was asked for.
    model = models.CharField(max_length=200)
    task_type = models.CharField(max_length=rules.LONGEST_TASK_TYPE, blank=True)
    # 0 is none.
    project_id = models.IntegerField(default=0)
    status = models.IntegerField()
    stream = models.BooleanField()
    request_bytes = models.IntegerField()
    answer_bytes = models.IntegerField()
    sealed = models.BinaryField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["organization", "-at", "-id"], name="capture_newest")]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["organization", "call_id"], name="capture_once"),
            models.CheckConstraint(name="capture_sealed", condition=~Q(sealed=b"")),
            # Nothing stays longer than may be promised; a day more, for sessions whose days are not all of 24 hours.
            models.CheckConstraint(
                name="capture_expires",
                condition=Q(expires_at__lte=F("at") + timedelta(days=rules.MOST_DAYS + 1)),
            ),
        ]

    def __str__(self) -> str:
        return f"capture of {self.call_id}"
