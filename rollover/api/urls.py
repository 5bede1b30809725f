"""Addresses of what accounts trade, below `/api/v1/`."""

from django.urls import path

from rollover.api.trades import OpenPositionsView, TradesView

app_name = "trades_api"

urlpatterns = [
    path("pamm-accounts/<uuid:public_id>/trades/", TradesView.as_view(), name="trades"),
    path(
        "pamm-accounts/<uuid:public_id>/open-positions/", OpenPositionsView.as_view(), name="open-positions"
    ),
]
