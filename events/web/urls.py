"""Addresses of notifications."""

from django.urls import path

from events.web import notifications

app_name = "events"

urlpatterns = [
    path("notifications/", notifications.notifications_page, name="notifications"),
    path("notifications/bell/", notifications.bell, name="bell"),
    path("notifications/read/", notifications.read_all, name="read-all"),
    path("notifications/preferences/", notifications.preferences_page, name="preferences"),
    path("notifications/<uuid:public_id>/open/", notifications.open_one, name="open"),
    path("notifications/<uuid:public_id>/read/", notifications.read_one, name="read"),
]
