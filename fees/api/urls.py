"""Addresses of the fees' endpoints, below `/api/v1/`."""

from django.urls import path

from fees.api.views import FeeSimulationView

app_name = "fees_api"

urlpatterns = [
    path("fee-simulations/", FeeSimulationView.as_view(), name="simulations"),
]
