"""Investor pages of allocation."""

app_name = "allocation"

urlpatterns: list[object] = []
