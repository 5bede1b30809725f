"""Pages of requests."""

from django.urls import path

from investing.web import investor, manager, stops, terms

app_name = "investing"

urlpatterns = [
    path("requests/", investor.requests_page, name="requests"),
    path("requests.csv", investor.requests_csv, name="requests-csv"),
    path("requests/<uuid:public_id>/", investor.request_page, name="request"),
    path("requests/<uuid:public_id>/cancel/", investor.cancel_page, name="cancel"),
    path("investments/<uuid:public_id>/withdraw/", investor.withdraw_page, name="withdraw"),
    path("investments/<uuid:public_id>/close/", investor.close_page, name="close"),
    path("investments/<uuid:public_id>/deposit/", investor.deposit_page, name="deposit"),
    path("investments/<uuid:public_id>/terms/", terms.terms_page, name="terms"),
    path("investments/<uuid:public_id>/stops/", stops.stops_page, name="stops"),
    path("investments/<uuid:public_id>/stops/remove/", stops.remove_page, name="remove-stop"),
    path("manage/requests/", manager.approvals, name="approvals"),
    path("manage/requests/<uuid:request_id>/reject/", manager.reject, name="reject"),
]
