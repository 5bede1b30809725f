"""Pages of what accounts trade."""

from django.urls import path

from rollover.web import trades

app_name = "trades"

urlpatterns = [
    path("offers/<uuid:public_id>/trades/", trades.offer_trades, name="offer"),
    path("offers/<uuid:public_id>/trades.csv", trades.offer_trades_csv, name="offer-csv"),
    path("investments/<uuid:public_id>/trades/", trades.investment_trades, name="investment"),
    path("investments/<uuid:public_id>/trades.csv", trades.investment_trades_csv, name="investment-csv"),
]
