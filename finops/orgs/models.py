"""Organizations and everyone and everything that can own spend. Nothing that owns spend is ever deleted: archived.

Ids of owners are 32-bit: charges and rollups carry them in every row.
"""

from __future__ import annotations

from typing import Any, ClassVar

import pgtrigger
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower

# No cycle in the team tree, even by raw SQL or by two moves at once: the lock makes them one after the other.
_NO_CYCLE = """
IF NEW.parent_id IS NOT NULL THEN
    PERFORM pg_advisory_xact_lock(hashtext('orgs_team'), NEW.organization_id);
    IF EXISTS (
        WITH RECURSIVE above(id, parent_id) AS (
            SELECT t.id, t.parent_id FROM orgs_team t WHERE t.id = NEW.parent_id
            UNION
            SELECT t.id, t.parent_id FROM orgs_team t JOIN above ON t.id = above.parent_id
        )
        SELECT 1 FROM above WHERE above.id = NEW.id
    ) THEN
        RAISE EXCEPTION 'team % would be above itself', NEW.id USING ERRCODE = 'check_violation';
    END IF;
END IF;
RETURN NEW;
"""


def never_deleted(name: str) -> pgtrigger.Protect:
    """What owns spend is archived; the database refuses a DELETE."""
    return pgtrigger.Protect(name=f"{name}_never_deleted", operation=pgtrigger.Delete)


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user


class User(AbstractBaseUser):
    """A login. What it may see and do follows from its memberships."""

    id = models.AutoField(primary_key=True)
    email = models.EmailField(unique=True)
    name = models.CharField(max_length=200, blank=True)
    is_active = models.BooleanField(default=True)
    # Shown as light, dark or as the system is.
    theme = models.CharField(max_length=8, default="system")
    # Single-letter keys can be switched off (WCAG 2.1.4).
    shortcuts = models.BooleanField(default=True)
    joined_at = models.DateTimeField(auto_now_add=True)

    objects = UserManager()
    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    def __str__(self) -> str:
        return self.name or self.email


class Organization(models.Model):
    """A tenant."""

    class Calendar(models.TextChoices):
        MONTHS = "months", "Calendar months"
        RETAIL_445 = "445", "4-4-5 weeks"

    id = models.AutoField(primary_key=True)
    slug = models.SlugField(max_length=60, unique=True)
    name = models.CharField(max_length=200)
    reporting_currency = models.CharField(max_length=3, default="USD")
    timezone = models.CharField(max_length=60, default="UTC")
    fiscal_calendar = models.CharField(max_length=8, choices=Calendar, default=Calendar.MONTHS)
    # The month (1-12) the fiscal year starts in; for 4-4-5 the year starts on the Monday nearest its first day.
    fiscal_start_month = models.PositiveSmallIntegerField(default=1)
    # Plainly labelled synthetic data.
    is_demo = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="org_fiscal_month", condition=Q(fiscal_start_month__gte=1, fiscal_start_month__lte=12)
            ),
            models.CheckConstraint(name="org_currency", condition=Q(reporting_currency__regex=r"^[A-Z]{3}$")),
        ]
        triggers: ClassVar = [never_deleted("organization")]

    def __str__(self) -> str:
        return self.name


class Owned(models.Model):
    """What every tenant table has."""

    id = models.AutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    created_at = models.DateTimeField(auto_now_add=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True


class Team(Owned):
    """A node of the team tree, with the cost centre it is charged to (inherited from above when blank)."""

    slug = models.SlugField(max_length=80)
    name = models.CharField(max_length=200)
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="children")
    cost_centre = models.CharField(max_length=40, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["organization", "slug"], name="team_slug_once"),
            models.CheckConstraint(name="team_not_its_own_parent", condition=~Q(parent=F("id"))),
        ]
        triggers: ClassVar = [
            never_deleted("team"),
            pgtrigger.Trigger(
                name="team_no_cycle",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert | pgtrigger.UpdateOf("parent_id"),
                func=_NO_CYCLE,
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Person(Owned):
    """Somebody who spends; may have a login. Erasure blanks the names and keeps the id, so charges stand."""

    slug = models.SlugField(max_length=80)
    name = models.CharField(max_length=200)
    email = models.EmailField(blank=True)
    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.PROTECT)
    user = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="persons")
    erased_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["organization", "slug"], name="person_slug_once"),
            models.UniqueConstraint(
                fields=["organization", "user"], name="person_login_once", condition=Q(user__isnull=False)
            ),
        ]
        triggers: ClassVar = [never_deleted("person")]

    def __str__(self) -> str:
        return self.name


class Identity(Owned):
    """One name a person goes by somewhere: an e-mail address, a provider's user id, a key alias, a GitHub login."""

    class Kind(models.TextChoices):
        EMAIL = "email", "E-mail"
        PROVIDER_USER = "provider_user", "Provider user id"
        KEY_ALIAS = "key_alias", "Key alias"
        GITHUB = "github", "GitHub login"

    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="identities")
    kind = models.CharField(max_length=20, choices=Kind)
    # Compared without case.
    value = models.CharField(max_length=200)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                F("organization"),
                F("kind"),
                Lower("value"),
                name="identity_names_one_person",
                condition=Q(archived_at__isnull=True),
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind}:{self.value}"


class Project(Owned):
    slug = models.SlugField(max_length=80)
    name = models.CharField(max_length=200)
    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.PROTECT)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["organization", "slug"], name="project_slug_once")]
        triggers: ClassVar = [never_deleted("project")]

    def __str__(self) -> str:
        return self.name


class Agent(Owned):
    """An autonomous program, with a person who answers for it."""

    slug = models.SlugField(max_length=80)
    name = models.CharField(max_length=200)
    owner = models.ForeignKey(Person, null=True, blank=True, on_delete=models.PROTECT)
    project = models.ForeignKey(Project, null=True, blank=True, on_delete=models.PROTECT)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["organization", "slug"], name="agent_slug_once")]
        triggers: ClassVar = [never_deleted("agent")]

    def __str__(self) -> str:
        return self.name


class Customer(Owned):
    """Whom cost is rebilled to."""

    slug = models.SlugField(max_length=80)
    name = models.CharField(max_length=200)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["organization", "slug"], name="customer_slug_once")]
        triggers: ClassVar = [never_deleted("customer")]

    def __str__(self) -> str:
        return self.name


class VirtualKey(Owned):
    """Our credential for gateway and API. The secret is shown once; only its keyed hash stays."""

    name = models.CharField(max_length=200)
    # `cap_` and eight characters: public, shown in lists, unique over all organizations.
    prefix = models.CharField(max_length=16, unique=True)
    # HMAC-SHA256 of the whole key under a key derived from SECRET_KEY, hex.
    digest = models.CharField(max_length=64)
    # The same of the secret before, which is good until then; both or neither.
    former_digest = models.CharField(max_length=64, blank=True, default="", db_default="")
    former_until = models.DateTimeField(null=True, blank=True)
    # Permissions of `orgs.rules` this key carries, e.g. ["usage.write", "spend.read"].
    permissions = models.JSONField(default=list)
    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.PROTECT)
    person = models.ForeignKey(Person, null=True, blank=True, on_delete=models.PROTECT)
    project = models.ForeignKey(Project, null=True, blank=True, on_delete=models.PROTECT)
    agent = models.ForeignKey(Agent, null=True, blank=True, on_delete=models.PROTECT)
    customer = models.ForeignKey(Customer, null=True, blank=True, on_delete=models.PROTECT)
    task_type = models.CharField(max_length=60, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        triggers: ClassVar = [never_deleted("key")]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="key_former_secret",
                condition=Q(former_digest="", former_until__isnull=True)
                | (~Q(former_digest="") & Q(former_until__isnull=False)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class Membership(Owned):
    """What a login is in an organization. A team lead's reach is the teams named here and those below them."""

    class Role(models.TextChoices):
        OWNER = "owner", "Owner"
        ADMIN = "admin", "Admin"
        FINANCE = "finance", "Finance"
        TEAM_LEAD = "team_lead", "Team lead"
        ENGINEER = "engineer", "Engineer"
        VIEWER = "viewer", "Viewer"

    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="memberships")
    role = models.CharField(max_length=12, choices=Role)
    teams = models.ManyToManyField(Team, blank=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["organization", "user"], name="membership_once")]

    def __str__(self) -> str:
        return f"{self.user} as {self.role}"
