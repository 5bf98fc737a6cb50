"""Addresses of this room's resources, below /api/v1/."""

from __future__ import annotations

from django.urls import path

from finops.api.converters import register
from finops.orgs.api import keys, organization, owners, people

register()

urlpatterns = [
    path("organization", organization.OneOrganization.as_view()),
    path("members", organization.Members.as_view()),
    path("members/<id:user_id>", organization.OneMember.as_view()),
    path("audit", organization.AuditTrail.as_view()),
    path("teams", owners.Teams.as_view()),
    path("teams/<slug:team>", owners.OneTeam.as_view()),
    path("teams/<slug:team>/move", owners.MoveTeam.as_view()),
    path("teams/<slug:team>/archive", owners.ArchiveTeam.as_view()),
    path("people", people.People.as_view()),
    path("people/<slug:person>", people.OnePerson.as_view()),
    path("people/<slug:person>/archive", people.ArchivePerson.as_view()),
    path("people/<slug:person>/identities", people.Identities.as_view()),
    path("identities/<id:identity_id>", people.OneIdentity.as_view()),
    path("projects", owners.Projects.as_view()),
    path("projects/<slug:project>", owners.OneProject.as_view()),
    path("projects/<slug:project>/archive", owners.ArchiveProject.as_view()),
    path("agents", owners.Agents.as_view()),
    path("agents/<slug:agent>", owners.OneAgent.as_view()),
    path("agents/<slug:agent>/archive", owners.ArchiveAgent.as_view()),
    path("customers", owners.Customers.as_view()),
    path("customers/<slug:customer>", owners.OneCustomer.as_view()),
    path("customers/<slug:customer>/archive", owners.ArchiveCustomer.as_view()),
    path("keys", keys.Keys.as_view()),
    path("keys/<id:key_id>", keys.OneKey.as_view()),
    path("keys/<id:key_id>/revoke", keys.RevokeKey.as_view()),
    path("keys/<id:key_id>/rotate", keys.RotateKey.as_view()),
]
