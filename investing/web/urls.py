"""Investor pages of investing."""

app_name = "investing"

urlpatterns: list[object] = []
