"""Addresses of the pages. Ids are `<id:…>` (never beyond what the database holds), names are slugs."""

from __future__ import annotations

from django.urls import include, path

from dashboards.views import (
    audit,
    charges,
    gallery,
    home,
    jobs,
    keys,
    people,
    prices,
    rules,
    sessions,
    settings,
    sources,
    spend,
)
from dashboards.views import shared as shared_views
from dashboards.views import unpriced as unpriced_views
from finops.api import converters

app_name = "dashboards"
converters.register()

organization = [
    path("", spend.overview, name="overview"),
    path("spend/", spend.explorer, name="spend"),
    path("spend.csv", spend.export, name="spend_csv"),
    path("spend/filter/", spend.pick, name="pick"),
    path("charges/", charges.charges, name="charges"),
    path("charges/<uuid:charge_id>/", charges.charge, name="charge"),
    path("sessions/", sessions.sessions, name="sessions"),
    path("unpriced/", unpriced_views.unpriced, name="unpriced"),
    path("unpriced/rate-again/", unpriced_views.rerate, name="rerate"),
    path("rules/", rules.rules, name="rules"),
    path("rules/new/", rules.edit, name="rule_add"),
    path("rules/attribute-again/", rules.reattribute, name="reattribute"),
    path("rules/<id:rule_id>/", rules.edit, name="rule_edit"),
    path("rules/<id:rule_id>/move/", rules.move, name="rule_move"),
    path("rules/<id:rule_id>/retire/", rules.retire, name="rule_retire"),
    path("shared/", shared_views.shared, name="shared"),
    path("shared/new/", shared_views.add, name="shared_add"),
    path("shared/split/", shared_views.split, name="shared_split"),
    path("shared/<id:shared_cost_id>/end/", shared_views.end, name="shared_end"),
    path("sources/", sources.sources, name="sources"),
    path("sources/new/", sources.add, name="source_add"),
    path("quarantine/replay/", sources.replay_reason, name="replay"),
    path("quarantine/<id:record_id>/", sources.record, name="record"),
    path("quarantine/<id:record_id>/replay/", sources.replay_one, name="record_replay"),
    path("quarantine/<id:record_id>/discard/", sources.discard_one, name="record_discard"),
    path("prices/", prices.prices, name="prices"),
    path("prices/model/", prices.model, name="model"),
    path("prices/discount/", prices.discount, name="contract_discount"),
    path("prices/committed/", prices.committed, name="contract_committed"),
    path("prices/own/", prices.custom, name="contract_custom"),
    path("prices/contracts/<id:contract_id>/end/", prices.close, name="contract_close"),
    path("prices/names/", prices.alias, name="alias_add"),
    path("prices/names/<id:alias_id>/remove/", prices.archive_alias, name="alias_archive"),
    path("prices/exchange/", prices.exchange, name="exchange_add"),
    path("people/", people.people, name="people"),
    path("people/new/", people.add_person, name="person_add"),
    path("people/new-team/", people.add_team, name="team_add"),
    path("people/teams/<slug:team>/", people.edit_team, name="team"),
    path("people/teams/<slug:team>/archive/", people.archive_team, name="team_archive"),
    path("people/kinds/<slug:kind>/", people.things, name="things"),
    path("people/kinds/<slug:kind>/new/", people.add_thing, name="thing_add"),
    path("people/kinds/<slug:kind>/<slug:reference>/archive/", people.archive_thing, name="thing_archive"),
    path("people/identities/<id:identity_id>/remove/", people.remove_identity, name="identity_remove"),
    path("people/who/<slug:person>/", people.person, name="person"),
    path("people/who/<slug:person>/change/", people.edit_person, name="person_edit"),
    path("people/who/<slug:person>/erase/", people.erase, name="person_erase"),
    path("people/who/<slug:person>/identities/", people.add_identity, name="identity_add"),
    path("keys/", keys.keys, name="keys"),
    path("keys/new/", keys.issue, name="key_issue"),
    path("keys/<id:key_id>/rotate/", keys.rotate, name="key_rotate"),
    path("keys/<id:key_id>/revoke/", keys.revoke, name="key_revoke"),
    path("jobs/", jobs.jobs, name="jobs"),
    path("jobs/<id:job_id>/stop/", jobs.stop, name="job_stop"),
    path("jobs/<id:job_id>/resume/", jobs.resume, name="job_resume"),
    path("audit/", audit.audit, name="audit"),
    path("settings/", settings.settings, name="settings"),
    path("settings/members/new/", settings.invite, name="invite"),
    path("settings/members/<id:user_id>/", settings.role, name="member"),
    path("settings/members/<id:user_id>/remove/", settings.remove, name="member_remove"),
    path("settings/tags/promote/", settings.promote, name="tag_promote"),
    path("settings/tags/<id:tag_id>/retire/", settings.retire_tag, name="tag_retire"),
]

urlpatterns = [
    path("", home.home, name="home"),
    path("preferences/", home.preferences, name="preferences"),
    path("ui/", gallery.gallery, name="gallery"),
    path("o/<slug:organization>/", include(organization)),
]
