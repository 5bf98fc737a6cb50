"""Addresses of connected accounts and their feeds, below /api/v1/."""

from __future__ import annotations

from django.urls import path

from finops.api.converters import register
from finops.polling import api

register()

urlpatterns = [
    path("accounts", api.Accounts.as_view()),
    path("accounts/catalogue", api.Catalogue.as_view()),
    path("accounts/<id:account_id>", api.OneAccount.as_view()),
    path("accounts/<id:account_id>/credential", api.AccountCredential.as_view()),
    path("accounts/<id:account_id>/disconnect", api.DisconnectAccount.as_view()),
    path("accounts/<id:account_id>/feeds", api.AccountFeeds.as_view()),
    path("feeds", api.Feeds.as_view()),
    path("feeds/<id:feed_id>/pause", api.PauseFeed.as_view()),
    path("feeds/<id:feed_id>/resume", api.ResumeFeed.as_view()),
    path("feeds/<id:feed_id>/poll", api.PollFeed.as_view()),
    path("feeds/<id:feed_id>/backfill", api.BackfillFeed.as_view()),
]
