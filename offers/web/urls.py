"""Pages of offers."""

from django.urls import path

from offers.web import comparison, investor, leaderboard, manager, offer_page, simulator

app_name = "offers"

urlpatterns = [
    path("", leaderboard.leaderboard_page, name="leaderboard"),
    path("offers/compare/", comparison.comparison_page, name="comparison"),
    path("offers/<uuid:public_id>/", offer_page.offer_page, name="offer"),
    path("offers/<uuid:public_id>/join/", investor.join_page, name="join"),
    path("offers/<uuid:public_id>/simulator/", simulator.simulator_page, name="simulator"),
    path("join/<str:token>/", offer_page.by_link_page, name="by-link"),
    path("join/<str:token>/start/", investor.start_by_link, name="start-by-link"),
    path("manage/accounts/<uuid:account_id>/offers/new/", manager.create, name="create"),
    path("manage/offers/<uuid:offer_id>/", manager.managed_offer, name="managed-offer"),
    path("manage/offers/<uuid:offer_id>/edit/", manager.edit, name="edit"),
    path("manage/offers/<uuid:offer_id>/move/", manager.move, name="move"),
    path("manage/offers/<uuid:offer_id>/close/", manager.close, name="close"),
    path("manage/offers/<uuid:offer_id>/links/", manager.add_link, name="add-link"),
    path(
        "manage/offers/<uuid:offer_id>/links/<uuid:link_id>/revoke/", manager.revoke_link, name="revoke-link"
    ),
]
