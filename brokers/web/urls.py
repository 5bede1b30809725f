"""Addresses of the brand."""

from django.urls import path

from brokers.web import design, views

app_name = "brokers"

urlpatterns = [
    path("brand.css", views.brand_stylesheet, name="brand-stylesheet"),
    path("brand/<str:kind>.png", views.brand_image, name="brand-image"),
    path("brand/icon/", views.brand_icon, name="brand-icon"),
    path("design/", design.design_page, name="design"),
    path("design/sheet/", design.design_sheet_page, name="design-sheet"),
    path("theme/", views.choose_theme, name="choose-theme"),
]
