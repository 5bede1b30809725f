"""Addresses of the fees' endpoints, below `/api/v1/`."""

from django.urls import path

from fees.api.accrued import AccruedFeesView
from fees.api.charges import ChargesView, ChargeView
from fees.api.views import FeeSimulationView

app_name = "fees_api"

urlpatterns = [
    path("fee-simulations/", FeeSimulationView.as_view(), name="simulations"),
    path("charges/", ChargesView.as_view(), name="charges"),
    path("charges/<uuid:public_id>/", ChargeView.as_view(), name="charge"),
    path("investments/<uuid:public_id>/accrued-fees/", AccruedFeesView.as_view(), name="accrued-fees"),
]
