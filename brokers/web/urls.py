"""Addresses of the brand."""

from django.urls import path

from brokers.web import views

app_name = "brokers"

urlpatterns = [
    path("brand.css", views.brand_stylesheet, name="brand-stylesheet"),
    path("brand/<str:kind>.png", views.brand_image, name="brand-image"),
    path("brand/icon/", views.brand_icon, name="brand-icon"),
    path("theme/", views.choose_theme, name="choose-theme"),
]
