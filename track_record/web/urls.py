"""Addresses of the widgets, and of the page that hands out their code."""

from django.urls import path

from track_record.web import manager, widgets

app_name = "widgets"

urlpatterns = [
    path("widgets/leaderboard/", widgets.leaderboard_widget, name="leaderboard"),
    path("widgets/offers/<uuid:public_id>/", widgets.offer_widget, name="offer"),
    path("manage/widgets/", manager.widgets_page, name="manage"),
]
