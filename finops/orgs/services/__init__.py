"""Writes: keyword-only, audited in the same transaction."""

from __future__ import annotations

from finops.orgs.services.keys import issue_key, revoke_key, rotate_key
from finops.orgs.services.members import change_role, invite, remove_member
from finops.orgs.services.organizations import change_organization, create_organization
from finops.orgs.services.owners import (
    add_agent,
    add_customer,
    add_project,
    add_team,
    archive,
    change_owner,
    move_team,
    restore,
)
from finops.orgs.services.people import add_identity, add_person, assign_identity, erase_person, remove_identity
from finops.orgs.services.preferences import change_preferences

__all__ = [
    "add_agent",
    "add_customer",
    "add_identity",
    "add_person",
    "add_project",
    "add_team",
    "archive",
    "assign_identity",
    "change_organization",
    "change_owner",
    "change_preferences",
    "change_role",
    "create_organization",
    "erase_person",
    "invite",
    "issue_key",
    "move_team",
    "remove_identity",
    "remove_member",
    "restore",
    "revoke_key",
    "rotate_key",
]
