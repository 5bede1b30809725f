"""Addresses of the track record's endpoints, below `/api/v1/`."""

from django.urls import path

from track_record.api.views import PriceSeriesView

app_name = "track_record_api"

urlpatterns = [
    path("pamm-accounts/<uuid:public_id>/price-series/", PriceSeriesView.as_view(), name="price-series"),
]
