"""Addresses of this room's resources, below /api/v1/. The preview of a rule reads the ledger, so it is ingest's."""

from __future__ import annotations

from django.urls import path

from finops.api.converters import register
from finops.attribution.api import rules, shared, tags

register()

urlpatterns = [
    path("attribution-rules", rules.Rules.as_view()),
    path("attribution-rules/<id:rule_id>", rules.OneRule.as_view()),
    path("attribution-rules/<id:rule_id>/move", rules.MoveRule.as_view()),
    path("attribution-rules/<id:rule_id>/retire", rules.RetireRule.as_view()),
    path("shared-costs", shared.SharedCosts.as_view()),
    path("shared-costs/<id:shared_cost_id>", shared.OneSharedCost.as_view()),
    path("shared-costs/<id:shared_cost_id>/retire", shared.RetireSharedCost.as_view()),
    path("promoted-tags", tags.PromotedTags.as_view()),
    path("promoted-tags/<id:tag_id>/retire", tags.RetirePromotedTag.as_view()),
]
