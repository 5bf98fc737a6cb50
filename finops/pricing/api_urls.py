"""Addresses of the pricing resources, below /api/v1/."""

from __future__ import annotations

from django.urls import path

from finops.api.converters import register
from finops.pricing import api

register()

urlpatterns = [
    path("prices", api.Prices.as_view()),
    path("prices/quote", api.QuotePrice.as_view()),
    path("prices/<id:price_id>", api.OnePrice.as_view()),
    path("contracts", api.Contracts.as_view()),
    path("contracts/<id:contract_id>/close", api.CloseContract.as_view()),
    path("model-aliases", api.ModelAliases.as_view()),
    path("model-aliases/<id:alias_id>/archive", api.ArchiveModelAlias.as_view()),
    path("exchange-rates", api.ExchangeRates.as_view()),
]
