"""Routes of every broker's host."""

from django.urls import URLPattern, URLResolver, include, path

from pamm_platform.admin_site import back_office

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("brokers.web.urls")),
    path("", include("offers.web.urls")),
    path("", include("allocation.web.urls")),
    path("", include("investing.web.urls")),
    path("", include("rollover.web.urls")),
    path("api/v1/", include("track_record.api.urls")),
    path("api/v1/", include("rollover.api.urls")),
    path("api/v1/", include("fees.api.urls")),
    path("", include("track_record.web.urls")),
    path("", include("accounts.web.urls")),
    path("", include("fees.web.urls")),
    path("", include("events.web.urls")),
    path("", include("statements.web.urls")),
    path("accounts/", include("allauth.urls")),
    path("admin/", back_office.urls),
]
